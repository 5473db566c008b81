"""Ensembles: they read DNA as suits the data; what is saved answers the same."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.errors import ModelError
from genoglot.models import load
from genoglot.models.dna.cnn import CnnLstm
from genoglot.models.dna.ensemble import SequenceEnsemble
from genoglot.models.dna.ensemble_training import fit_ensemble
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.sequence_trees import SequenceTrees
from genoglot.sequence import to_codes, to_text

CPU = "cpu"
TINY = {"width": 8, "learned": 8, "blocks": 1, "epochs": 1, "min_steps": 1, "batch_size": 32}
TINY |= {"trees": 20}


def planted(n: int, site: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of which every second one holds a site, somewhere, on the strand given."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, 40)).astype(np.uint8)
    for i in range(0, n, 2):
        at = rng.integers(0, 40 - len(site))
        codes[i, at : at + len(site)] = to_codes(site)
    return codes, (np.arange(n) % 2 == 0).astype(np.int64)


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> tuple[SequenceEnsemble, Path]:
    folder = tmp_path_factory.mktemp("ensemble")
    fitted = fit_ensemble(
        *planted(128, "GGGGTTTTCCGGAA", 0), planted(32, "GGGGTTTTCCGGAA", 1),
        target="multi-class", names=["no", "yes"], log_folder=folder, device=CPU, **TINY,
    )  # fmt: skip
    return fitted, folder


def test_there_are_networks_with_and_without_motifs_and_their_curves(
    ensemble: tuple[SequenceEnsemble, Path],
) -> None:
    fitted, folder = ensemble
    assert [m.encoder.settings.motifs for m in fitted.networks()] == [True, False]
    assert len({m.settings.seed for m in fitted.networks()}) == 2
    for name in ("pilot-free", "pilot-anchored", "0-motifs", "1-learned"):
        assert (folder / name / "validation.csv").exists()


def ordered(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences with a site in the first half, or else in the second."""
    codes = np.random.default_rng(seed).integers(0, 4, (n, 40)).astype(np.uint8)
    for i in range(n):
        codes[i, 20 * (i % 2) + 3 :][:10] = to_codes("GGTTTTCCAA")
    return codes, np.arange(n) % 2


def mirrored(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of which every second one holds a site, anywhere in the middle, on any strand."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, 40)).astype(np.uint8)
    for i in range(0, n, 2):
        codes[i, rng.integers(8, 23) :][:10] = to_codes("GGTTTTCCAA")
    codes[::4] = 3 - codes[::4, ::-1]
    return codes, (np.arange(n) % 2 == 0).astype(np.int64)


@pytest.mark.slow
def test_data_decide_whether_strand_and_place_matter() -> None:
    how = {"target": "multi-class", "names": ["no", "yes"], "device": CPU, **TINY}
    how |= {"width": 64, "learned": 32, "trees": 0}
    for make, anchored in ((ordered, True), (mirrored, False)):
        fitted = fit_ensemble(*make(600, 0), make(300, 1), **how)
        networks = fitted.networks()
        assert {m.encoder.settings.positions > 0 for m in networks} == {anchored}
        assert {m.settings.strands for m in networks} == {"forward" if anchored else "random"}
    told = fit_ensemble(*ordered(80, 0), ordered(80, 1), anchored=False, **how)
    assert {m.settings.shift for m in told.members} == {6}


def test_the_ensemble_is_the_mean_and_is_saved(
    ensemble: tuple[SequenceEnsemble, Path], tmp_path: Path
) -> None:
    fitted, _ = ensemble
    codes, _ = planted(20, "GGGGTTTTCCGGAA", 2)
    _, trees = fitted.members
    assert isinstance(trees, SequenceTrees)
    expected = sum(member.predict(codes) for member in fitted.networks()) / 4
    expected += trees.predict(codes) / 2
    found = fitted.predict(codes)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    fitted.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", "dna-predictor")
    assert loaded.names == ["no", "yes"]
    np.testing.assert_array_equal(loaded.predict(codes), found)
    with pytest.raises(ModelError, match="sequence-ensemble"):
        SequenceModel.from_pretrained(tmp_path / "model")

    fasta, out = tmp_path / "a.fa", tmp_path / "a.parquet"
    fasta.write_text("".join(f">s{i}\n{to_text(row)}\n" for i, row in enumerate(codes)))
    command = [sys.executable, "-m", "genoglot", "predict", tmp_path / "model", fasta, "-o", out]
    done = subprocess.run([*map(str, command), "--device", "cpu"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(pl.read_parquet(out)["yes"].to_numpy(), found[:, 1], atol=1e-6)


def test_fitting_again_is_the_same_and_resuming_too(
    ensemble: tuple[SequenceEnsemble, Path], caplog: pytest.LogCaptureFixture
) -> None:
    fitted, folder = ensemble
    data = *planted(128, "GGGGTTTTCCGGAA", 0), planted(32, "GGGGTTTTCCGGAA", 1)
    how = {"target": "multi-class", "names": ["no", "yes"], "device": CPU, **TINY}
    codes, _ = planted(20, "GGGGTTTTCCGGAA", 2)
    with caplog.at_level(logging.INFO, "genoglot"):
        resumed = fit_ensemble(*data, log_folder=folder, resume=True, **how)
    said = [record.getMessage() for record in caplog.records]
    names = ("pilot-anchored", "pilot-free", "0-motifs", "1-learned")
    assert [line.endswith("; not trained again") for line in said] == [True] * 4 + [False]
    assert all(str(folder / name) in line for name, line in zip(names, said, strict=False))
    assert said[4].endswith("trees: resuming with the trees of 1 of 1 outputs, trained before")
    for again in (fit_ensemble(*data, **how), resumed):
        np.testing.assert_allclose(again.predict(codes), fitted.predict(codes), atol=1e-6)
    other = data[0], 1 - data[1], data[2]
    with pytest.raises(ModelError, match="of another model, other settings or other data"):
        fit_ensemble(*other, log_folder=folder, resume=True, **how)


def test_bad_ensembles_are_refused(ensemble: tuple[SequenceEnsemble, Path]) -> None:
    with pytest.raises(ModelError, match="at least one model"):
        SequenceEnsemble([])
    other = SequenceModel(CnnLstm(channels=(4,), dim=4), names=["a", "b"])
    with pytest.raises(ModelError, match="different names of outputs"):
        SequenceEnsemble([*ensemble[0].members, other])
    with pytest.raises(ModelError, match="no setting 'epoch'"):
        fit_ensemble(*planted(8, "ACGT", 0), planted(8, "ACGT", 0), target="binary", epoch=3)
    with pytest.raises(ModelError, match="labels or classes"):
        fit_ensemble(*planted(8, "ACGT", 0), planted(8, "ACGT", 0), target="regression")
