"""The experiment on VISTA enhancers: what encoders read, and tables that further models join."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import vista

from genoglot.models.dna.attention import AttentionEncoder
from genoglot.sequence import PatchTokenizer, to_codes, to_text
from genoglot.sequence.alphabet import N


def encoder() -> AttentionEncoder:
    return AttentionEncoder(PatchTokenizer(4), dim=8, heads=2, layers=1, max_length=16)


def padded(texts: list[str]) -> np.ndarray:
    width = max(map(len, texts))
    return np.stack([to_codes(text.ljust(width, "N")) for text in texts])


def test_the_central_part_of_padded_sequences() -> None:
    codes = padded(["ACGTACGGTTA", "CCAGT", "ACG"])
    part, lengths = vista.central(codes, 5)
    assert [to_text(row) for row in part] == ["TACGG", "CCAGT", "ACGNN"]
    assert lengths.tolist() == [5, 5, 3]


def test_vectors_are_the_mean_over_windows_that_are_not_mostly_padding() -> None:
    rng, model = np.random.default_rng(0), encoder()
    dna = ["".join(rng.choice(list("ACGT"), n)) for n in (50, 41, 30, 6)]
    windows = [["0:20", "20:40", "40:50"], ["0:20", "20:40"], ["0:20", "20:30"], ["0:6"]]
    found = vista.mean_vectors(model, padded(dna), 20)
    for row, text, parts in zip(found, dna, windows, strict=True):
        cut = [text[slice(*map(int, part.split(":")))] for part in parts]
        each = [model.embed(to_codes(part)[None], strands="both")[0] for part in cut]
        np.testing.assert_allclose(row, np.mean(each, axis=0), atol=1e-5)


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    """Elements of 60 to 90 bp; positive ones have more C."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(60):
        dna = "".join(rng.choice(list("ACCCGT" if i % 2 else "ACGT"), 60 + i % 30))
        activity = "positive  | limb[4/6]" if i % 2 else "negative "
        lines.append(f">Human|chr1:{100 * i + 1}-{100 * i + len(dna)} | element {i} | {activity}")
        lines.append(dna)
    (tmp_path / "vista.fa").write_text("\n".join([*lines, ""]))
    return tmp_path / "vista.fa"


def test_models_join_a_table_and_are_compared_on_the_same_draws(
    fasta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder().save_pretrained(tmp_path / "mine")

    def run(*options: str) -> tuple[str, pl.DataFrame]:
        argv = ["vista.py", str(fasta), "-o", str(tmp_path / "out"), "--width", "80", *options]
        monkeypatch.setattr(sys, "argv", argv)
        vista.main()
        table = pl.read_csv(tmp_path / "out" / "VISTA" / "table.csv")
        return capsys.readouterr().out, table

    shown, _ = run("--models", "constant", "kmer-linear")
    assert "60 elements in 60 groups of homologs" in shown and "kmer-linear: fold-4" in shown
    more = ["--models", "constant", "--encoder", f"mine={tmp_path / 'mine'}", "--window", "40"]
    shown, table = run(*more, "--training", '{"epochs": 1}')
    assert "constant: fold" not in shown and "mine, fine-tuned: fold-4" in shown
    of = {row["model"]: row for row in table.filter(metric="AUROC").iter_rows(named=True)}
    assert list(of) == ["constant", "kmer-linear", "mine, fine-tuned", "mine, frozen"]
    assert of["kmer-linear"]["value"] > 0.7 and of["constant"]["value"] == 0.5
    difference = of["constant"]["value"] - of["kmer-linear"]["value"]
    rows = shown.partition("Minus kmer-linear")[2].splitlines()
    columns = next(row for row in rows if row.startswith("| constant")).split("|")
    assert columns[3].split()[0] == f"{difference:.3f}"
    same = next(row for row in rows if row.startswith("| kmer-linear")).split("|")
    assert same[3].strip() == "0.000 [0.000, 0.000]"


def test_every_element_is_predicted_once_by_a_model_that_has_not_seen_it(fasta: Path) -> None:
    (data,) = vista.TASKS["VISTA"].build([fasta], fasta.parent / "task", leakage=False)
    seen = []

    def predict(split: str) -> np.ndarray:
        rows = data.rows(split, "test")
        assert not set(rows) & {*data.rows(split, "train"), *data.rows(split, "validation")}
        seen.extend(rows)
        return np.asarray(rows, np.float32)[:, None]

    vista.save(fasta.parent / "model.npz", data, predict)
    found = np.load(fasta.parent / "model.npz")
    assert sorted(seen) == found["predictions"].ravel().tolist() == list(range(60))
    assert (data.codes[:] != N).sum() == sum(60 + i % 30 for i in range(60))
