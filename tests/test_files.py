"""Files are written whole or not at all, and what is no file is never replaced."""

import gzip
import io
import os
import random
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from genoglot.errors import GenoglotError
from genoglot.files import atomic_path, bgzip, read_bytes, read_lines, text_writer
from genoglot.regions import Regions
from genoglot.sequence.fasta import read_fasta


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


@pytest.mark.parametrize("name", ["new", "replaced"])
def test_any_name_can_be_written(tmp_path: Path, name: str) -> None:
    for content in ("a", "b"):
        with atomic_path(tmp_path / name, directory=True, overwrite=True) as folder:
            (folder / "x").write_text(content)
        assert (tmp_path / name / "x").read_text() == content
        with atomic_path(tmp_path / "files" / name) as file:
            file.write_text(content)
        assert (tmp_path / "files" / name).read_text() == content


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


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for read in (read_bytes, lambda path: next(read_fasta(path)).name.encode()):
        content = io.BufferedReader(io.BytesIO(b">a\nACGT\n"))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
        assert b"a" in read("-")
        for again in (read_bytes, lambda path: next(read_fasta(path))):
            with pytest.raises(GenoglotError, match="can be read once; give a file for all inputs"):
                again("-")


def test_files_get_the_permissions_of_the_umask_whatever_wrote_them(tmp_path: Path) -> None:
    program = """if True:
        import os, sys
        from pathlib import Path
        import numpy as np
        from safetensors.numpy import save_file
        from genoglot.files import atomic_path
        os.umask(int(sys.argv[2], 8))
        with atomic_path(Path(sys.argv[1]) / "model", directory=True) as folder:
            save_file({"a": np.ones(3)}, folder / "model.safetensors")
            (folder / "deep").mkdir()
            (folder / "deep" / "config.json").write_text("{}")
        with atomic_path(Path(sys.argv[1]) / "file") as file:
            save_file({"a": np.ones(3)}, file)
    """
    for umask, mode in (("022", 0o644), ("007", 0o660), ("077", 0o600)):
        out = tmp_path / umask
        subprocess.run([sys.executable, "-c", program, out, umask], check=True)
        files = [path for path in out.rglob("*") if path.is_file()]
        assert {path.name for path in files} == {"model.safetensors", "config.json", "file"}
        assert {path.stat().st_mode & 0o777 for path in files} == {mode}


@pytest.mark.parametrize(
    "content",
    [
        b"one\r\ntw\xc3\xb6\r\n",
        b"one\rtw\xc3\xb6\r",
        b"\xef\xbb\xbfone\ntw\xc3\xb6\n",
        "one\r\ntw\u00f6\n".encode("utf-16"),
        b"\xfe\xff" + "one\rtw\u00f6\n".encode("utf-16-be"),
        "one\ntw\u00f6\n".encode("utf-32"),
        b"one\ntw\xf6\n",
    ],
)
@pytest.mark.parametrize("compress", [bytes, lambda data: gzip.compress(data, mtime=0)])
def test_text_of_any_encoding_and_line_end_is_the_same_lines(
    tmp_path: Path, content: bytes, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "text"
    path.write_bytes(compress(content))
    assert read_lines(path) == "one\ntw\u00f6\n".encode()


def test_what_is_not_utf8_is_said_with_its_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes(b"one\ntw\xf6\n")
    read_lines(path)
    assert f"{path}:2: byte 0xf6 is not UTF-8" in caplog.text
    path.write_bytes(b"\xff\xfeo")
    with pytest.raises(GenoglotError, match="damaged UTF-16 text"):
        read_lines(path)


@pytest.mark.parametrize("name", ["bytes", "ascii", "appended", "cut", "rubbish"])
def test_a_damaged_gzip_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    noise = random.Random(0).randbytes(20_000)
    whole = gzip.compress(noise, mtime=0)
    damaged = {
        "bytes": whole[:10] + b"\xff\xff" + whole[12:],
        "ascii": whole.replace(b"\x0a", b"\x0d\x0a"),
        "appended": whole[: len(whole) // 2] + whole,
        "cut": whole[:-5],
        "rubbish": whole + b"<html>",
    }[name]
    path = tmp_path / "a.bed.gz"
    path.write_bytes(damaged)
    with pytest.raises(GenoglotError, match=r"a\.bed\.gz: damaged gzip file .*fetch it again"):
        read_bytes(path)


def test_a_user_without_a_home_is_told_how_to_name_a_cache(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HOME", "XDG", "GENO"))}
    program = "import pwd; pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid))\n"
    program += "from genoglot.files import cache_folder; cache_folder()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert "set the environment variable GENOGLOT_CACHE" in done.stderr.splitlines()[-1]


def test_a_text_in_many_parts_is_compressed_like_one(tmp_path: Path) -> None:
    lines = [f"chr1\t{50 * i}\t{50 * i + 12}\tCTCF\n" for i in range(6_000)]
    with text_writer(tmp_path / "parts.bed.gz") as write:
        for line in lines:
            write(line)
    whole = "".join(lines).encode()
    assert len(whole) > 2 * 65_280
    assert (tmp_path / "parts.bed.gz").read_bytes() == bgzip(whole)
