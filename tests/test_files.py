"""Files are written whole or not at all, and what is no file is never replaced."""

import os
import stat
import threading
from pathlib import Path

import pytest

from genoglot.errors import GenoglotError
from genoglot.files import atomic_path, read_bytes
from genoglot.regions import Regions


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_a_full_directory_is_replaced_only_when_told(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").touch()
    with (
        pytest.raises(GenoglotError, match="not empty"),
        atomic_path(tmp_path / "d", directory=True),
    ):
        raise AssertionError
    with atomic_path(tmp_path / "d", directory=True, overwrite=True) as folder:
        (folder / "new").touch()
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["new"]
    with pytest.raises(GenoglotError, match="is a directory"), atomic_path(tmp_path / "d"):
        raise AssertionError


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    Regions(["chr1"], [5], [9]).to_bed(pipe)
    reader.join()
    assert received == [b"chr1\t5\t9\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_null_device_stays_a_device() -> None:
    Regions(["chr1"], [5], [9]).to_bed(os.devnull)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(GenoglotError, match="no such file"):
        read_bytes(tmp_path / "nothing.bed")
    with pytest.raises(GenoglotError, match="is a directory"):
        read_bytes(tmp_path)
    (tmp_path / "cut.bed.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    with pytest.raises(GenoglotError, match="damaged gzip"):
        read_bytes(tmp_path / "cut.bed.gz")
