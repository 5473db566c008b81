"""Disease risk of the people of a cohort, by nested cross-validation.

All models are logistic regressions with the same covariates; they differ in what they read of the
locus. Each person's risk is estimated by a model that was fitted without this person, and without
the other people of the same group. A second cross-validation within the training people chooses the
penalty, and whether the model reads the locus, the covariates only, or nothing: a model without any
effect would otherwise rank the people of a part by chance effects in the others, which are rather
opposite there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.bench.linear import fit_linear, predict_linear
from genoglot.errors import TaskError
from genoglot.evaluation import TextTable, format_interval, measure_predictions
from genoglot.models.dna.sequence_encoder import SequenceEncoder, Strands
from genoglot.tasks.cohort import Cohort, Floats
from genoglot.tasks.task import PublishedResult, published_results

METRICS = ("AUROC", "MCC", "precision (macro)", "recall (macro)")
PENALTIES = tuple(10.0**power for power in (1, 0, -1, -2, -3, -4, -5))
"""Penalties to choose from, the largest first."""

RARE = 0.01
"""Maximum frequency of a rare allele."""

COVARIATE_WEIGHT = 10.0
"""Factor of standardized covariates: their penalty is 100 times smaller, so they hardly shrink."""

MINIMUM_BASES = 16
"""Minimum length of the DNA that an encoder reads; shorter windows are padded with N."""

CONSTANT, COVARIATES = "constant", "covariates"

PUBLISHED: tuple[PublishedResult, ...] = tuple(
    result._replace(dataset=dataset)
    for dataset, rows in {
        "HSCR-RET": {"DNABERT": (0.265, 0.500, 0.500), "GeneBERT": (0.770, 0.519, 0.562)},
        "HSCR-RET-Long": {"DNABERT": (0.252, 0.500, 0.462), "GeneBERT": (0.768, 0.513, 0.541)},
    }.items()
    for result in published_results(
        ("precision (macro)", "recall (macro)", "AUROC"),
        rows,
        "Mo et al. 2021, table 3, Hirschsprung disease",
    )
)
"""Published results, of other people: the cohort is not public. DNABERT predicts one class."""


class RiskResult(NamedTuple):
    """Risk of each person, and how well each model estimates it.

    Attributes
    ----------
    metrics
        Table with a row per model and metric: model, metric, value, low, high (95 % interval).
    risk
        Table with a row per person: person, case, fold, and a column for each model with the
        probability of being a case.
    """

    metrics: pl.DataFrame
    risk: pl.DataFrame

    def table(self) -> TextTable:
        """Show the metrics as a table, a row per model."""
        text = pl.struct("value", "low", "high").map_elements(
            lambda row: format_interval(*row.values()), return_dtype=pl.String
        )
        shown = self.metrics.with_columns(text=text)
        columns = {name: pl.col("text").filter(metric=name).first() for name in METRICS}
        cases = int(self.risk["case"].sum())
        table = TextTable.pivot(
            shown,
            ["model"],
            columns,
            title=f"Disease risk, {cases} cases and {len(self.risk) - cases} controls",
            caption="Classes are predicted at a risk of 0.5, at the cohort's proportion of cases. "
            "95 % intervals: bootstrap over people "
            "or groups. Published: other people, Mo et al. 2021, table 3.",
        )
        return table._replace(rows=[*table.rows, *_published_rows()])


def estimate_risk(
    cohort: Cohort,
    encoder: SequenceEncoder | None = None,
    *,
    window: int = 500,
    strands: Strands = "both",
    folds: int = 5,
    inner_folds: int = 4,
    draws: int = 1000,
    seed: int = 0,
) -> RiskResult:
    """Estimate the risk of each person by nested cross-validation.

    Models: `constant` (the proportion of cases among the training people), `covariates`, `burden`
    (number of alternative alleles), `rare burden` (of those with a frequency below 1 % among the
    training people), `genotypes` (dosage of each alternative allele) and, with an encoder,
    `embedding`.

    Parameters
    ----------
    cohort
        The people.
    encoder
        Encoder of DNA; its weights are not changed. Default: no model `embedding`.
    window, strands
        See `embed_haplotypes`.
    folds, inner_folds
        Number of parts of the cross-validation, and of the one that chooses the penalty.
    draws
        Number of bootstrap draws of the intervals.
    seed
        Seed of the parts and of the draws.

    Returns
    -------
    RiskResult
        Metrics and risks.

    Raises
    ------
    TaskError
        If a class has too few people, or groups, for the number of folds.
    """
    dosages, fixed = cohort.dosages(), {}
    if encoder is not None:
        fixed["embedding"] = embed_haplotypes(cohort, encoder, window=window, strands=strands)
    n = len(cohort)
    fold, prior = np.zeros(n, np.int64), np.zeros(n)
    risk: dict[str, NDArray[np.float64]] = {CONSTANT: prior}
    for number, (train, test) in enumerate(_split(cohort.case, cohort.groups, folds, seed)):
        fold[test], prior[test] = number, cohort.case[train].mean()
        groups = None if cohort.groups is None else cohort.groups[train]
        inner = [
            (train[fitted], train[held_out])
            for fitted, held_out in _split(cohort.case[train], groups, inner_folds, seed + 1)
        ]
        covariates = COVARIATE_WEIGHT**2 * _gram(cohort.covariates, train)
        simpler = [
            _choose_penalty(gram, cohort.case, inner) for gram in (0 * covariates, covariates)
        ]
        for name, block in {**_genotype_features(cohort, dosages, train), **fixed}.items():
            with_block = covariates + _gram(block, train)
            fits = [*simpler, _choose_penalty(with_block, cohort.case, inner)]
            _, gram, penalty = min(fits, key=lambda fit: fit.loss)  # of equal ones, the simplest
            (predicted,) = _fit_predict(gram, cohort.case, train, test, [penalty])
            risk.setdefault(name, np.zeros(n))[test] = predicted
    metrics = _measure(cohort, risk, prior, draws, seed)
    people = {"person": cohort.people, "case": cohort.case, "fold": fold}
    return RiskResult(metrics, pl.DataFrame(people | risk))


def embed_haplotypes(
    cohort: Cohort,
    encoder: SequenceEncoder,
    *,
    window: int = 500,
    strands: Strands = "both",
    batch_size: int = 64,
) -> Floats:
    """Encode both haplotypes of each person.

    The locus is divided into windows of equal length on the reference. A window's DNA on a
    haplotype is what the haplotype has in its position, so that an insertion or deletion does not
    shift the windows after it. Each distinct sequence is encoded once. The features of a person
    are, for each window in which haplotypes differ, the mean of the vectors of both haplotypes, and
    the absolute difference: neither depends on the order of the haplotypes.

    Parameters
    ----------
    cohort
        The people.
    encoder
        Encoder of DNA.
    window
        Maximum length of a window on the reference, bp.
    strands
        `"both"`: vectors are means over both strands.
    batch_size
        Number of sequences that are encoded at a time.

    Returns
    -------
    Floats
        float32 (people, 2 * dim * windows with differences).

    Raises
    ------
    ModelError
        If the DNA of a window is longer than the encoder can read.
    """
    haplotypes = cohort.haplotypes
    start, end = haplotypes.locus.start, haplotypes.locus.end
    edges = np.linspace(start, end, -(-(end - start) // window) + 1).astype(np.int64)
    blocks = []
    for begin, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        codes, lengths, which = haplotypes.windows(begin, stop)
        if len(codes) == 1:
            continue
        what = f"the DNA of {haplotypes.locus.chrom}:{begin + 1}-{stop}"
        encoder.check_length(int(lengths.max()), what)
        padding = max(MINIMUM_BASES - codes.shape[1], 0)
        codes = np.pad(codes, ((0, 0), (0, padding)), constant_values=4)
        vectors = encoder.embed(
            codes, np.maximum(lengths, MINIMUM_BASES), strands=strands, batch_size=batch_size
        )
        first, second = (vectors[which[copy]] for copy in haplotypes.copies.T)
        blocks += [(first + second) / 2, np.abs(first - second)]
    return np.hstack(blocks) if blocks else np.zeros((len(cohort), 0), np.float32)


def _published_rows() -> list[list[str]]:
    rows: dict[str, dict[str, str]] = {}
    for figure in PUBLISHED:
        name = f"published: {figure.model}, {figure.dataset}"
        rows.setdefault(name, {})[figure.metric] = f"{figure.value:.3f}"
    return [[name, *(row.get(metric, "") for metric in METRICS)] for name, row in rows.items()]


def _genotype_features(
    cohort: Cohort, dosages: Floats, train: NDArray[np.int64]
) -> dict[str, Floats]:
    """Features of the models without DNA, by name of the model."""
    ploidy = np.where(cohort.genotypes.haploid[train], 1, 2)
    copies = np.maximum(ploidy @ ~np.isnan(dosages[train]), 1)
    rare = np.nansum(dosages[train], axis=0) / copies < RARE
    return {
        COVARIATES: dosages[:, :0],
        "burden": np.nansum(dosages, axis=1, keepdims=True),
        "rare burden": np.nansum(dosages[:, rare], axis=1, keepdims=True),
        "genotypes": dosages,
    }


Part = tuple[NDArray[np.int64], NDArray[np.int64]]


def _split(
    case: NDArray[np.int8], groups: NDArray[np.object_] | None, folds: int, seed: int
) -> list[Part]:
    """Divide people into stratified parts that no group crosses: training and test indices."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    units = np.arange(len(case)) if groups is None else groups
    for label, what in ((1, "cases"), (0, "controls")):
        n = len(set(units[case == label]))
        if n < folds:
            of = "" if groups is None else " groups of"
            raise TaskError(
                f"{n}{of} {what} for a cross-validation with {folds} parts; give more people, or "
                "use fewer folds (--folds)"
            )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    parts = [(train, test) for train, test in splitter.split(case[:, None], case, groups)]
    if any(len(np.unique(case[side])) < 2 for part in parts for side in part):
        raise TaskError(
            "the groups do not divide into parts that all have cases and controls; use fewer "
            "folds (--folds), or smaller groups"
        )
    return parts


def _gram(values: Floats, train: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the products of all people's features, divided by the number of features, (n, n).

    Features are standardized by their mean and deviation among the training people; missing ones
    are the mean.
    """
    mean, deviation = _moments(values[train])
    varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    if not varies.any():
        return np.zeros((len(values), len(values)))
    z = np.nan_to_num((values[:, varies] - mean[varies]) / deviation[varies])
    gram: NDArray[np.float64] = (z @ z.T).astype(np.float64) / z.shape[1]
    return gram


def _moments(values: Floats) -> tuple[Floats, Floats]:
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    square = np.where(known, (values - mean) ** 2, 0).sum(axis=0) / count
    return mean.astype(np.float32), np.sqrt(square).astype(np.float32)


class _Fit(NamedTuple):
    """The best penalty for some features, and its log loss on the people who are held out."""

    loss: float
    gram: NDArray[np.float64]
    penalty: float


def _choose_penalty(
    gram: NDArray[np.float64], case: NDArray[np.int8], parts: Sequence[Part]
) -> _Fit:
    loss = np.zeros(len(PENALTIES))
    for train, test in parts:
        for i, risk in enumerate(_fit_predict(gram, case, train, test, PENALTIES)):
            of_truth = np.where(case[test] == 1, risk, 1 - risk)
            loss[i] -= np.log(np.maximum(of_truth, 1e-7)).sum()
    best = int(loss.argmin())
    return _Fit(float(loss[best]), gram, PENALTIES[best])


def _fit_predict(
    gram: NDArray[np.float64],
    case: NDArray[np.int8],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    penalties: Sequence[float],
) -> Iterator[NDArray[np.float64]]:
    """Fit ridge logistic regressions and predict the test people, one penalty after the other.

    A ridge regression on features is one on the coordinates of people along the principal axes of
    the training people, which are at most as many as these.
    """
    values, axes = np.linalg.eigh(gram[np.ix_(train, train)])
    large = values > 1e-8 * max(float(values[-1]), 1e-12)
    if not large.any():  # the optimizer would not find the proportion of cases exactly
        yield from (np.full(len(test), case[train].mean()) for _ in penalties)
        return
    scale = np.sqrt(values[large])
    fitted, held_out = axes[:, large] * scale, gram[np.ix_(test, train)] @ axes[:, large] / scale
    labels = case[train, None].astype(np.float32)
    weights = None
    for penalty in penalties:
        weights = fit_linear(fitted.astype(np.float32), labels, "binary", penalty, weights)
        predicted = predict_linear(held_out.astype(np.float32), weights, "binary")
        yield predicted[:, 0].astype(np.float64)


def _measure(
    cohort: Cohort,
    risk: Mapping[str, NDArray[np.float64]],
    prior: NDArray[np.float64],
    draws: int,
    seed: int,
) -> pl.DataFrame:
    """Measure all models.

    The proportion of cases differs a little between the training people of the parts, in the
    opposite direction to the people who are held out. So risks are corrected to the proportion in
    the cohort; otherwise a constant has an AUROC below 0.5, and predicts both classes if half of
    the people are cases.
    """
    rows = []
    common = _log_odds(cohort.case.mean())
    for name, values in risk.items():
        score = _log_odds(np.clip(values, 1e-9, 1 - 1e-9)) - _log_odds(prior) + common
        corrected = 1 / (1 + np.exp(-score.round(9)))
        for metric in METRICS:
            (found,) = measure_predictions(
                cohort.case,
                corrected,
                [metric],
                groups=cohort.groups,
                draws=draws,
                seed=seed,
            )
            rows.append((name, metric, found.value, found.low, found.high))
    return pl.DataFrame(rows, ["model", "metric", "value", "low", "high"], orient="row")


def _log_odds(probability: Any) -> Any:
    return np.log(probability / (1 - probability))
