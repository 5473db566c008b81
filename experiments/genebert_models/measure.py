"""Retrieval, next segments and cell types of held-out samples: what a trained GeneBERT is asked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from genebert_models.ridge import Floats, Ridge, cosine
from genoglot.evaluation.intervals import bootstrap_interval
from genoglot.evaluation.retrieval import draw_candidates, match_ranks, measure_retrieval
from genoglot.models.dna.genebert import GeneBert, SampleVectors
from genoglot.models.dna.genebert_data import GeneBertData, Subset
from genoglot.models.dna.genebert_samples import Samples
from genoglot.models.dna.sequence_encoder import inference
from genoglot.training.examples import Draw

BLOCK = 100_000
"""Length of the blocks of a chromosome that the bootstrap draws, bp."""

CANDIDATES = 1000
FITTED, CHECKED = 3000, 1000
"""Number of training and of validation samples that are read to fit ridge and logistic models."""


class HeldOut(NamedTuple):
    """Held-out samples that are each other's candidates.

    Attributes
    ----------
    samples, rows
        The samples of a subset, and which of them are candidates.
    shared
        Maximum number of regions that two candidates have in common.
    block, cell_type
        Labels that the bootstrap draws: block of `BLOCK` bp with the middle of the sample, and
        cell type. Both are drawn, crossed, since neighboring samples share regions, and so do
        samples of one cell type.
    """

    samples: Samples
    rows: NDArray[np.int64]
    shared: int
    block: NDArray[np.int64]
    cell_type: NDArray[np.int64]

    @property
    def ids(self) -> NDArray[np.int64]:
        """Regions of the candidates, (candidates, regions)."""
        return self.samples.region_ids(self.rows)

    @classmethod
    def draw(
        cls, data: GeneBertData, cell_types: list[str] | None, n_regions: int,
        subset: Subset = "test",
    ) -> HeldOut:  # fmt: skip
        """Draw candidates."""
        samples = data.samples(subset, cell_types, n_regions)
        rows, shared = draw_candidates(samples.region_ids(np.arange(len(samples))), CANDIDATES)
        ids = samples.region_ids(rows)
        middle = (data.start[ids[:, 0]] + data.end[ids[:, -1]]) // 2
        block = data.chrom[ids[:, 0]].astype(np.int64) * 1_000_000 + middle // BLOCK
        return cls(samples, rows, shared, block, samples.cell_type(rows))

    def retrieval(self, similarity: Floats, **labels: Any) -> dict[str, Any]:
        """Measure the similarities of DNA (rows) to matrices (columns)."""
        ranks = match_ranks(similarity)
        measured = measure_retrieval(ranks, groups=self.block, crossed=self.cell_type)
        return {
            "measure": "retrieval", **labels, "candidates": len(self.rows), "shared": self.shared,
            "blocks": len(np.unique(self.block)), "metrics": [m._asdict() for m in measured],
            "above": ranks.above.tolist(), "tied": ranks.tied.tolist(), **self.labels(),
        }  # fmt: skip

    def accuracy(
        self, measure: str, right: ArrayLike, chance: float, **more: Any
    ) -> dict[str, Any]:
        """Measure the fraction of samples that are right."""
        values = np.asarray(right, np.float64)
        interval = bootstrap_interval(
            values, groups=self.block, crossed=self.cell_type, proportion=True
        )
        metric = {"metric": "accuracy", **interval._asdict(), "chance": chance}
        return {"measure": measure, **more, "metrics": [metric],
                "right": values.astype(int).tolist(), **self.labels()}  # fmt: skip

    def labels(self) -> dict[str, list[int]]:
        """Return what the bootstrap draws."""
        return {"block": self.block.tolist(), "cell_type": self.cell_type.tolist()}


def draw_rows(samples: Samples, n: int, seed: int) -> NDArray[np.int64]:
    """Draw samples without replacement."""
    return np.random.default_rng(seed).permutation(len(samples))[:n]


def matrices(data: GeneBertData, samples: Samples, rows: NDArray[np.int64]) -> Floats:
    """Motif scores of samples, (samples, regions * motifs)."""
    return data.motif_scores(samples.region_ids(rows)).reshape(len(rows), -1)


def measure_model(
    model: GeneBert, data: GeneBertData, cell_types: list[str] | None = None
) -> list[dict[str, Any]]:
    """Measure retrieval by the common space, retrieval by ridge, next segments and cell types.

    Parameters
    ----------
    model
        A trained model.
    data
        The data set; candidates are from its test subset.
    cell_types
        Cell types of the samples that are read; by default all.
    """
    n_regions = model.settings.n_regions
    held = HeldOut.draw(data, cell_types, n_regions)
    test = model.embed_samples(data, held.samples, held.rows)
    found = common_space(test, held)
    embedded = []
    for subset, n in (("train", FITTED), ("validation", CHECKED)):
        samples = data.samples(subset, cell_types, n_regions)  # type: ignore[arg-type]
        rows = draw_rows(samples, n, 0)
        vectors = model.embed_samples(data, samples, rows).sequence
        embedded.append((vectors, samples, rows))
    (x, train, a), (x_validation, validation, b) = embedded
    ridge = Ridge(x, matrices(data, train, a), x_validation, matrices(data, validation, b))
    predicted = ridge.predict(test.sequence)
    similarity = cosine(predicted, matrices(data, held.samples, held.rows))
    found.append(held.retrieval(similarity, by="embedding + ridge"))
    types = [s.cell_type(rows) for s, rows in ((train, a), (validation, b))]
    if len(data.cell_types) > 1:
        found.append(
            classify(x, types[0], x_validation, types[1], test.sequence, held, by="embedding")
        )
    if model.next_segment is not None:
        found.append(next_segments(model, data, held))
    return found


def common_space(vectors: SampleVectors, held: HeldOut) -> list[dict[str, Any]]:
    """Measure retrieval by the common space in both directions, if the model has one."""
    dna, regions = vectors.dna, vectors.regions
    if dna is None or regions is None:
        return []
    return [
        held.retrieval(dna @ regions.T, by="common space"),
        held.retrieval(regions @ dna.T, by="common space, matrix to DNA"),
    ]


def classify(
    x: Floats, y: NDArray[np.int64], x_validation: Floats, y_validation: NDArray[np.int64],
    x_test: Floats, held: HeldOut, *, by: str,
) -> dict[str, Any]:  # fmt: skip
    """Cell type of samples: logistic regression, its penalty chosen on the validation subset."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = x.mean(0), np.maximum(x.std(0), 1e-6)
    parts = [(part - mean) / scale for part in (x, x_validation, x_test)]
    best = None
    for c in (0.001, 0.01, 0.1):
        model = LogisticRegression(C=c, max_iter=100).fit(parts[0], y)
        score = float((model.predict(parts[1]) == y_validation).mean())
        if best is None or score > best[0]:
            best = score, model
    assert best is not None
    right = best[1].predict(parts[2]) == held.cell_type
    majority = float((held.cell_type == np.bincount(y).argmax()).mean())
    n = len(np.unique(y))
    return held.accuracy("cell type", right, majority, by=by, cell_types=n)


def next_segments(model: GeneBert, data: GeneBertData, held: HeldOut) -> dict[str, Any]:
    """Accuracy of the prediction whether the second segment follows the first one."""
    assert model.next_segment is not None
    batches, device = model.batches(data, held.samples), next(model.parameters()).device
    right: list[float] = []
    with inference(model):
        for i in range(0, len(held.rows), 64):
            batch = batches.draw(
                Draw(held.rows[i : i + 64], 0, 0), None, segments=True, matrix=False
            )
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            follows = batch.pop("follows")
            logits = model.next_segment(model.encoder(batch).sequence)
            right += (logits.argmax(1) == follows).float().tolist()
    return held.accuracy("next segment", right, 0.5, by="head")


def n_parameters(model: torch.nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())
