"""Models that older versions saved are refused, with the version and what to do."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from genoglot.errors import ModelError
from genoglot.models import load
from genoglot.pretrained import Pretrained
from genoglot.sequence import DnaTokenizer

SAVED = Path(__file__).parent / "data" / "saved_0.0"
FOLDERS = [path for path in SAVED.iterdir() if path.name not in ("README.md", "expected")]


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_format_1_is_refused_in_one_line(path: Path, tmp_path: Path) -> None:
    if path.suffix == ".gz":
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path, filter="data")
        path = tmp_path / path.name.removesuffix(".tar.gz")
    tokenizer = path.name.startswith("tokenizer")
    for read in (load, Pretrained.from_pretrained, *[DnaTokenizer.from_pretrained] * tokenizer):
        with pytest.raises(ModelError) as refused:
            read(path)
        said = str(refused.value)
        assert said.startswith(f"{path}: saved in format 1 by Genoglot 0.1.0")
        assert re.search("train or save it again with this version$", said)
        assert "\n" not in said


def test_there_are_folders_of_every_kind() -> None:
    assert len(FOLDERS) == 44


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "kmer", "format": 3, "genoglot": "9.0.0", "settings": {"k": 3}}'
    )
    with pytest.raises(ModelError, match="format 3 needs a newer Genoglot; upgrade it"):
        load(tmp_path)
