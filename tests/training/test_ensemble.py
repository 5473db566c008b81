"""Ensembles: variants that suit the data get the weight; what is saved answers the same."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.errors import ModelError
from genoglot.models import load_predictor
from genoglot.models.ensemble import SequenceEnsemble, mixture_weights
from genoglot.models.predictor import SequencePredictor
from genoglot.sequence import to_codes, to_text
from genoglot.training.ensemble import VARIANTS, fit_ensemble
from genoglot.training.loop import Where

CPU = Where(device="cpu")
TINY = {"width": 8, "learned": 8, "blocks": 1, "epochs": 2, "batch_size": 32}


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
        *planted(400, "GGGGTTTTCCGGAA", 0), planted(100, "GGGGTTTTCCGGAA", 1),
        target="multi-class", names=["no", "yes"], log_folder=folder, where=CPU, **TINY,
    )  # fmt: skip
    return fitted, folder


def test_there_is_a_network_of_each_variant_with_its_curve(
    ensemble: tuple[SequenceEnsemble, Path],
) -> None:
    fitted, folder = ensemble
    assert len(fitted.members) == len(VARIANTS) == 4
    assert abs(fitted.weights.sum() - 1) < 1e-9
    told = {(m.encoder.settings.motifs, m.settings.strands) for m in fitted.members}
    assert told == {(motifs, s) for motifs in (True, False) for s in ("forward", "random")}
    for number, variant in enumerate(VARIANTS):
        assert (folder / f"{number}-{variant}" / "validation.csv").exists()


def test_the_ensemble_is_the_weighted_mean_and_is_saved(
    ensemble: tuple[SequenceEnsemble, Path], tmp_path: Path
) -> None:
    fitted, _ = ensemble
    codes, _ = planted(20, "GGGGTTTTCCGGAA", 2)
    expected = sum(
        weight * member.predict(codes)
        for weight, member in zip(fitted.weights, fitted.members, strict=True)
    )
    found = fitted.predict(codes)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    fitted.save_pretrained(tmp_path / "model")
    loaded = load_predictor(tmp_path / "model")
    assert loaded.names == ["no", "yes"]
    np.testing.assert_array_equal(loaded.predict(codes), found)
    with pytest.raises(ModelError, match="sequence-ensemble"):
        SequencePredictor.from_pretrained(tmp_path / "model")

    fasta, out = tmp_path / "a.fa", tmp_path / "a.parquet"
    fasta.write_text("".join(f">s{i}\n{to_text(row)}\n" for i, row in enumerate(codes)))
    command = [sys.executable, "-m", "genoglot", "predict", tmp_path / "model", fasta, "-o", out]
    done = subprocess.run([*map(str, command), "--device", "cpu"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(pl.read_parquet(out)["yes"].to_numpy(), found[:, 1], atol=1e-6)


def test_fitting_again_is_the_same_and_resuming_too(
    ensemble: tuple[SequenceEnsemble, Path],
) -> None:
    fitted, folder = ensemble
    data = *planted(400, "GGGGTTTTCCGGAA", 0), planted(100, "GGGGTTTTCCGGAA", 1)
    how = {"target": "multi-class", "names": ["no", "yes"], "where": CPU, **TINY}
    codes, _ = planted(20, "GGGGTTTTCCGGAA", 2)
    for again in (fit_ensemble(*data, **how), fit_ensemble(*data, log_folder=folder, **how)):
        np.testing.assert_allclose(again.weights, fitted.weights, atol=1e-6)
        np.testing.assert_allclose(again.predict(codes), fitted.predict(codes), atol=1e-6)


def test_the_likeliest_mixture_beats_each_member_and_the_plain_mean() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(500) < 0.5
    told = [np.clip(truth + rng.normal(0, s, 500), 0.05, 0.95) for s in (0.6, 0.7, 3)]
    likelihoods = np.stack([np.where(truth, p, 1 - p) for p in told])
    weights = mixture_weights(likelihoods)
    mixed = np.log(weights @ likelihoods).sum()
    assert mixed >= np.log(likelihoods).sum(1).max() - 1e-6
    assert mixed > np.log(likelihoods.mean(0)).sum()
    for _ in range(200):
        other = rng.dirichlet(np.ones(3))
        assert mixed >= np.log(other @ likelihoods).sum() - 1e-3


def test_bad_ensembles_are_refused(ensemble: tuple[SequenceEnsemble, Path]) -> None:
    members = ensemble[0].members
    with pytest.raises(ModelError, match="no model"):
        SequenceEnsemble([])
    with pytest.raises(ModelError, match="weights"):
        SequenceEnsemble(members, [1, -1, 1, 1])
    with pytest.raises(ModelError, match="no setting 'epoch'"):
        fit_ensemble(*planted(8, "ACGT", 0), planted(8, "ACGT", 0), target="binary", epoch=3)
    with pytest.raises(ModelError, match="labels and classes"):
        fit_ensemble(*planted(8, "ACGT", 0), planted(8, "ACGT", 0), target="regression")
