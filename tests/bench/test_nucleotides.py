"""Baselines of nucleotides, counted by hand, and what does not fit labels of nucleotides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from genoglot.bench.baselines import BASELINES, SPLICE_WINDOWS
from genoglot.bench.ensemble import fit_ensemble_to_task
from genoglot.bench.nucleotides import fit_nucleotide_model_to_task
from genoglot.errors import TaskError
from genoglot.models.dna.target import NUCLEOTIDES
from genoglot.tasks import TaskData

CONTEXT = 30
CODES = np.random.default_rng(0).integers(0, 5, (6, 40 + CONTEXT), np.uint8)
LABELS = np.random.default_rng(1).choice([-1, 0, 1, 2], (6, 40), p=[0.1, 0.5, 0.2, 0.2])
LABELS = LABELS.astype(np.int8)


def base_at(i: int, j: int) -> int:
    """Code of the base of label j, or before or after it; 4 past the ends."""
    at = j + CONTEXT // 2
    return int(CODES[i, at]) if 0 <= at < CODES.shape[1] else 4


def test_matrices_are_log_odds_of_the_bases_around_sites() -> None:
    model = BASELINES["splice-matrices"](NUCLEOTIDES, 3)
    model.fit(CODES, LABELS, (CODES, LABELS))
    found = model.predict(CODES)
    assert found.shape == (6, 40, 3) and found.dtype == np.float32
    every = [int(code) for row in CODES for code in row if code < 4]
    background = [(every.count(base) + 1) / (len(every) + 4) for base in range(4)]
    sites = [(i, j, int(LABELS[i, j])) for i in range(6) for j in range(40) if LABELS[i, j] >= 0]
    prior = [sum(one == c for *_, one in sites) + 1 for c in range(3)]

    def log_odds(number: int, offset: int, base: int) -> float:
        seen = [base_at(i, j + offset) for i, j, c in sites if c == number]
        known = [code for code in seen if code < 4]
        return log((known.count(base) + 1) / (len(known) + 4) / background[base])

    for i, j in ((0, 0), (2, 17), (5, 39)):
        odds = [float(prior[0])]
        for number, (low, high) in enumerate(SPLICE_WINDOWS, 1):
            bases = {k: base_at(i, j + k) for k in range(low, high)}
            score = sum(log_odds(number, k, base) for k, base in bases.items() if base < 4)
            odds.append(prior[number] * exp(score))
        np.testing.assert_allclose(found[i, j], np.array(odds) / sum(odds), rtol=1e-4)


def test_the_constant_is_the_frequency_of_each_class() -> None:
    model = BASELINES["constant"](NUCLEOTIDES, 3)
    model.fit(CODES, LABELS, (CODES, LABELS))
    found = model.predict(CODES[:2])
    assert found.shape == (2, 40, 3)
    known = LABELS[LABELS >= 0]
    np.testing.assert_allclose(found[1, 7], [(known == c).mean() for c in range(3)], rtol=1e-6)


def test_matrices_are_of_splice_sites_only() -> None:
    for target, n in (("multi-class", 3), (NUCLEOTIDES, 4)):
        with pytest.raises(TaskError, match="splice-matrices predicts neither, acceptor or donor"):
            BASELINES["splice-matrices"](target, n).fit(CODES, LABELS, (CODES, LABELS))
    for name in ("kmer-linear", "lookup", "motif-linear"):
        with pytest.raises(TaskError, match=f"{name} predicts labels of sequences"):
            BASELINES[name](NUCLEOTIDES, 3)


def test_models_of_sequences_and_of_nucleotides_are_not_mixed_up(
    built: Callable[[str], TaskData],
) -> None:
    data = built("PromVary")
    parts = data.subset(None, "train"), data.subset(None, "validation")
    with pytest.raises(TaskError, match="has labels of sequences, not of nucleotides"):
        fit_nucleotide_model_to_task(data, *parts)
    with pytest.raises(TaskError, match="not nucleotides or the effects of variants"):
        fit_ensemble_to_task(replace(data, target=NUCLEOTIDES), *parts)
