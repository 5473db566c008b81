from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoglot.errors import GenoglotError, ModelError, TextError
from genoglot.text import MiniLM, TextEncoder, Tfidf

DESCRIPTIONS = [
    "NKX2-1 ChIP-seq in human lung",
    "H3K27ac ChIP-seq in HL-60, promyelocytic leukemia",
    "ATAC-seq of CD34+ cells and B cell progenitors",
    "CTCF ChIP-seq in human liver",
]


@pytest.fixture
def fitted() -> Tfidf:
    return Tfidf().fit(DESCRIPTIONS)


@pytest.mark.parametrize("name", ["nkx2-1", "h3k27ac", "hl-60", "atac-seq", "cd34+", "b", "b cell"])
def test_names_of_biology_are_kept_whole(fitted: Tfidf, name: str) -> None:
    assert name in fitted.words


def test_the_nearest_description_shares_the_rare_name(fitted: Tfidf) -> None:
    similarity = fitted.encode(["nkx2-1"]) @ fitted.encode(DESCRIPTIONS).T
    assert similarity.argmax() == 0
    assert np.count_nonzero(similarity) == 1


@settings(max_examples=40)
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_rows_are_of_unit_length_or_zero_when_no_word_is_known(texts: list[str]) -> None:
    encoder = Tfidf().fit(DESCRIPTIONS)
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), encoder.dim)
    assert vectors.dtype == np.float32
    length = np.linalg.norm(vectors, axis=1)
    assert np.all(np.isclose(length, 1, atol=1e-6) | (length == 0))
    assert np.array_equal(encoder.encode_sparse(texts).toarray(), vectors)


def test_a_text_without_a_known_word_is_zero(fitted: Tfidf) -> None:
    assert not fitted.encode(["zebrafish"]).any()


@pytest.mark.parametrize("options", [{}, {"pairs": False, "max_words": 5}, {"lowercase": False}])
def test_a_saved_encoder_gives_the_same(tmp_path: Path, options: dict[str, bool]) -> None:
    encoder = Tfidf(**options).fit(DESCRIPTIONS)  # type: ignore[arg-type]
    encoder.save_pretrained(tmp_path / "encoder")
    again = TextEncoder.from_pretrained(tmp_path / "encoder")
    assert isinstance(again, Tfidf)
    assert again.words == encoder.words
    queries = [*DESCRIPTIONS, "human CTCF", "HL-60"]
    assert np.array_equal(again.encode(queries), encoder.encode(queries))


def test_options_limit_the_words() -> None:
    assert Tfidf(max_words=3).fit(DESCRIPTIONS).dim == 3
    assert not any(" " in word for word in Tfidf(pairs=False).fit(DESCRIPTIONS).words)


def test_nothing_in_nothing_out(fitted: Tfidf) -> None:
    assert fitted.encode([]).shape == (0, fitted.dim)


@pytest.mark.parametrize("texts", [[""], ["liver", " \t\n"], "liver", [3]])
def test_empty_texts_and_lone_strings_are_refused_in_one_line(
    fitted: Tfidf, texts: list[str]
) -> None:
    with pytest.raises(TextError) as raised:
        fitted.encode(texts)
    assert "\n" not in str(raised.value)


def test_an_encoder_that_was_not_fitted_says_so(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="fit"):
        Tfidf().encode(["liver"])
    with pytest.raises(TextError, match="fit"):
        Tfidf().save_pretrained(tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()


def test_texts_without_words_cannot_be_learned_from() -> None:
    with pytest.raises(TextError, match="no words"):
        Tfidf().fit(["---", "!!!"])


def test_damaged_and_foreign_encoders_are_refused(tmp_path: Path, fitted: Tfidf) -> None:
    folder = tmp_path / "encoder"
    with pytest.raises(ModelError, match="no saved model"):
        TextEncoder.from_pretrained(folder)
    fitted.save_pretrained(folder)
    with pytest.raises(GenoglotError, match="not empty"):
        fitted.save_pretrained(folder)
    fitted.save_pretrained(folder, overwrite=True)
    with pytest.raises(ModelError, match="expected MiniLM, but it holds 'tfidf'"):
        MiniLM.from_pretrained(folder)

    config = json.loads((folder / "config.json").read_text())
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:20])
    with pytest.raises(ModelError, match="damaged"):
        TextEncoder.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "vocabulary.json").write_text('["one"]')
    with pytest.raises(ModelError, match="1 words"):
        TextEncoder.from_pretrained(folder)
    (folder / "vocabulary.json").unlink()
    with pytest.raises(ModelError, match="damaged"):
        TextEncoder.from_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "word2vec"}))
    with pytest.raises(ModelError, match="no model named 'word2vec'"):
        TextEncoder.from_pretrained(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="describes no Genoglot model"):
        TextEncoder.from_pretrained(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        TextEncoder.from_pretrained(folder)
