"""Which queries are answered, which with a notice, and which are refused."""

from __future__ import annotations

import logging

import pytest

from genoglot.errors import TextError
from genoglot.text import check_query

BIOLOGY = [
    "Bos taurus longissimus dorsi muscle",
    "ileum jejunum duodenum colon",
    "Mus musculus musculus gastrocnemius medialis",
    "Canis lupus familiaris dorsal root ganglia",
    "substantia nigra pars compacta neurons",
    "musculus rectus abdominis homo sapiens",
    "Sus scrofa domesticus ileum jejunum",
    "caput epididymis, corpus epididymis, cauda epididymis",
    "H3K27ac in Ammon's horn CA1",
    "".join(chr(ord(letter) + 0xFEE0) for letter in "CTCFinLiver"),  # of a Japanese keyboard
    "β-catenin, TGF-β, CO₂, 5' UTR of Größe",
]


@pytest.mark.parametrize("text", BIOLOGY)
def test_biology_is_never_refused(text: str) -> None:
    check_query(text)


def test_another_language_gets_a_notice(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "genoglot"):
        check_query("open chromatin in human liver, female adult")
        check_query("menschliche Leber")
        assert not caplog.messages
        check_query("chromatine ouverte dans le foie humain")
    (message,) = caplog.messages
    assert "another language than English (fr: 'chromatine ouverte" in message


@pytest.mark.parametrize("text", ["人类肝脏", "открытый хроматин", "كبد", "肝脏 CTCF 开放染色质"])
def test_another_script_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="not in Latin letters"):
        check_query(text)


@pytest.mark.parametrize(("text", "problem"), [(" \t\n", "empty"), ("x" * 10_001, "10,001 char")])
def test_what_is_no_query(text: str, problem: str) -> None:
    with pytest.raises(TextError, match=problem):
        check_query(text)
