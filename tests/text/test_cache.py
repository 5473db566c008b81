from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genoglot.files import cache_folder
from genoglot.text import MiniLM
from genoglot.text.cache import EmbeddingCache

WRITER = """
import sys, pathlib, numpy as np
from genoglot.text.cache import EmbeddingCache
cache = EmbeddingCache(pathlib.Path(sys.argv[1]), "model")
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[3])):
    mine = (f"{sys.argv[2]} {i}", np.full(384, i, np.float32), False)
    cache.put([mine, (f"both {i}", np.ones(384, np.float32), True)])
    print(i, flush=True)
"""


def start_writer(folder: Path, name: str, rows: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(rows)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_what_was_put_is_got_by_model_and_text(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, "model")
    vector = np.arange(4, dtype=np.float32)
    cache.put([("kidney", vector, False), ("long", -vector, True)])
    found = EmbeddingCache(tmp_path, "model").get(["long", "kidney", "liver"])
    assert set(found) == {"kidney", "long"}
    assert np.array_equal(found["kidney"][0], vector)
    assert (found["kidney"][1], found["long"][1]) == (False, True)
    assert EmbeddingCache(tmp_path, "another").get(["kidney"]) == {}


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    rows = 40
    writers = [start_writer(tmp_path, name, rows) for name in ("a", "b")]
    for writer in writers:
        go(writer)
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    texts = [f"{name} {i}" for name in ("a", "b", "both") for i in range(rows)]
    found = EmbeddingCache(tmp_path, "model").get(texts)
    assert len(found) == 3 * rows
    assert all(found[f"a {i}"][0][0] == i for i in range(rows))


def test_a_killed_writer_leaves_a_sound_cache(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, "a", 1_000_000)
    go(writer)
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    cache = EmbeddingCache(tmp_path, "model")
    assert len(cache.get([f"a {i}" for i in range(20)])) == 20
    cache.put([("after", np.zeros(2, np.float32), False)])
    assert "after" in cache.get(["after"])
    with sqlite3.connect(cache.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_cached_texts_need_no_network(tmp_path: Path) -> None:
    first = MiniLM(cache=tmp_path)
    vectors = first.encode(["kidney", "liver", "kidney"])
    assert np.array_equal(vectors[0], vectors[2])
    script = (
        "import sys; from genoglot.text import MiniLM\n"
        f"m = MiniLM(cache={str(tmp_path)!r})\n"
        "print(m.encode(['liver', 'kidney']).tobytes().hex())\n"
        "assert 'torch' not in sys.modules"
    )
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == vectors[[1, 0]].tobytes().hex()


@pytest.mark.parametrize("broken", ["garbage", "folder", "file in the way"])
def test_a_cache_that_cannot_be_used_is_reported_once_and_does_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    folder = tmp_path / "cache"
    if broken == "file in the way":
        folder.write_text("")
    elif broken == "folder":
        (folder / "embeddings.sqlite").mkdir(parents=True)
    else:
        folder.mkdir()
        (folder / "embeddings.sqlite").write_bytes(b"no database at all" * 1000)
    cache = EmbeddingCache(folder, "model")
    with caplog.at_level(logging.WARNING, "genoglot"):
        assert cache.get(["kidney"]) == {}
        cache.put([("kidney", np.zeros(2, np.float32), False)])
        assert cache.get(["kidney"]) == {}
    assert len(caplog.records) == 1


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GENOGLOT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache/genoglot"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "genoglot"
    monkeypatch.setenv("GENOGLOT_CACHE", str(tmp_path / "mine"))
    MiniLM().encode(["kidney"])
    assert (tmp_path / "mine/embeddings.sqlite").exists()
    monkeypatch.setenv("GENOGLOT_CACHE", str(tmp_path / "none"))
    MiniLM(cache=False).encode(["kidney"])
    assert not (tmp_path / "none").exists()
