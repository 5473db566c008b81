"""Maps of GeneBERT's samples by cell type, with silhouette scores (Mo et al. 2021, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import GenoglotError
from genoglot.evaluation.intervals import Interval, bootstrap_interval
from genoglot.files import atomic_path
from genoglot.reports.plots import plot_sample_maps, plot_style
from genoglot.reports.report import render_svg

if TYPE_CHECKING:
    from genoglot.models.dna.genebert import GeneBert
    from genoglot.models.dna.genebert_data import GeneBertData, Subset
    from genoglot.models.dna.genebert_samples import Samples

Floats = NDArray[np.float32]

N_CELL_TYPES = 10
"""Number of cell types on a map if none are named, as in the figure of the paper."""

BLOCK = 100_000
"""Length in bp of the blocks of a chromosome that the bootstrap draws."""

POOL = 20  # times the samples that are wanted: so many are looked at
FORMATS = (".png", ".svg")


class SampleMap(NamedTuple):
    """Samples on a plane, by one kind of vectors.

    Attributes
    ----------
    name
        What the vectors are made from.
    plane
        Coordinates of the samples by t-SNE, float32 (n, 2).
    silhouette
        Mean silhouette score of the vectors, not of the plane, by cell type, from -1 to 1; and its
        interval. The bootstrap draws blocks of a chromosome and cell types, crossed, because
        neighboring samples have regions in common, and those of one cell type factors.
    chance
        Mean silhouette score if the cell types are permuted.
    """

    name: str
    plane: Floats
    silhouette: Interval
    chance: float

    @property
    def caption(self) -> str:
        """The silhouette score, its interval and that of chance, in two lines."""
        value, low, high = self.silhouette
        return f"silhouette {value:.3f} [{low:.3f}, {high:.3f}]\npermuted: {self.chance:.3f}"


class DrawnSamples(NamedTuple):
    """Samples of a data set that are on a map.

    Attributes
    ----------
    samples, rows
        Samples of the subset and the cell types, and which of them are on the map, int64 (n,).
    cell_type
        Name of the cell type of each sample, str (n,).
    block
        Number of the block of `BLOCK` bp with the middle of each sample, int64 (n,).
    """

    samples: Samples
    rows: NDArray[np.int64]
    cell_type: NDArray[np.str_]
    block: NDArray[np.int64]

    @classmethod
    def draw(
        cls,
        data: GeneBertData,
        subset: Subset,
        cell_types: Sequence[str] | None,
        n_regions: int,
        n: int,
        seed: int,
    ) -> Self:
        """Draw at most `n` samples of `n_regions` regions: see `map_samples`."""
        rng = np.random.default_rng(seed)
        chosen = list(cell_types or data.cell_types)
        if cell_types is None and len(chosen) > N_CELL_TYPES:
            drawn = rng.choice(len(chosen), N_CELL_TYPES, replace=False)
            chosen = [chosen[i] for i in sorted(drawn)]
        samples = data.samples(subset, chosen, n_regions)
        rows = _draw_disjoint(samples, n, rng)
        cell_type = np.array(data.cell_types)[samples.cell_type(rows)]
        if not 2 <= len(np.unique(cell_type)) < len(rows):
            raise GenoglotError(
                f"{data.path}: {len(rows)} samples of {len(np.unique(cell_type))} cell types in "
                f"the subset {subset}; a map needs at least two cell types, and more samples"
            )
        ids = samples.region_ids(rows)
        middle = (data.start[ids[:, 0]] + data.end[ids[:, -1]]) // 2
        block = data.chrom[ids[:, 0]].astype(np.int64) * 1_000_000 + middle // BLOCK
        return cls(samples, rows, cell_type, block)


def map_samples(
    model: GeneBert,
    data: GeneBertData,
    *,
    unimodal: GeneBert | None = None,
    subset: Subset = "test",
    cell_types: Sequence[str] | None = None,
    n: int = 500,
    seed: int = 0,
) -> tuple[DrawnSamples, list[SampleMap]]:
    """Lay out samples on planes by t-SNE: with DNA only, and with DNA and motif scores.

    Vectors are centered and scaled to unit length. The last map is of the motif scores themselves,
    without a model: a model that separates cell types less than these has not learned from them
    what they show.

    Parameters
    ----------
    model
        A model that was trained with the matching loss: it gives a map of the vectors of its
        encoder of DNA, and one of the vectors of DNA and matrix in their common space, side by
        side. Another model gives the first one only.
    data
        The data set.
    unimodal
        A model that was trained without the matching loss, for a map of its vectors of DNA.
    subset
        Subset of the regions.
    cell_types
        Names of the cell types. Default: all, or 10 that are drawn if there are more.
    n
        Maximum number of samples. Two samples of one cell type have no region in common: if they
        had, they would lie together for that reason alone.
    seed
        Seed of the cell types and samples that are drawn, of t-SNE and of the bootstrap.

    Returns
    -------
    tuple
        The samples; and the maps, the one of `unimodal` first.

    Raises
    ------
    GenoglotError
        If the models and the data do not fit together, a cell type is unknown, or there are fewer
        than two cell types, or no more samples than cell types.
    """
    drawn = DrawnSamples.draw(data, subset, cell_types, model.settings.n_regions, n, seed)
    samples, rows = drawn.samples, drawn.rows
    vectors: dict[str, Floats] = {}
    if unimodal is not None:
        vectors["DNA, trained on DNA only"] = unimodal.embed_samples(data, samples, rows).sequence
    sequence, dna, regions = model.embed_samples(data, samples, rows)
    vectors["DNA"] = sequence
    if dna is not None and regions is not None:
        vectors["DNA and motif scores"] = np.concatenate([dna, regions], axis=1)
    scores = data.motif_scores(samples.region_ids(rows))
    vectors["motif scores, no model"] = scores.reshape(len(rows), -1)
    return drawn, [_map(name, array, drawn, seed) for name, array in vectors.items()]


def write_map(path: str | Path, samples: DrawnSamples, maps: Sequence[SampleMap]) -> None:
    """Draw maps of samples, as PNG or SVG as the ending of the path says: see `check_map`."""
    path = check_map(path)
    shown = {one.name: (one.plane, one.caption) for one in maps}
    figure = plot_sample_maps(shown, samples.cell_type.tolist())
    with atomic_path(path) as temporary:
        if path.suffix == ".svg":
            temporary.write_bytes(render_svg(figure))
        else:
            with plot_style():
                figure.savefig(temporary, format="png", dpi=200)


def check_map(path: str | Path) -> Path:
    """Refuse a path that ends in neither .png nor .svg."""
    path = Path(path)
    if path.suffix not in FORMATS:
        raise GenoglotError(f"{path}: a map is written as {' or '.join(FORMATS)}; name it so")
    return path


def _draw_disjoint(samples: Samples, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw at most `n` samples; those of one cell type have no region in common."""
    order = rng.permutation(len(samples))[: POOL * n]
    members, cell_types = samples.region_ids(order), samples.cell_type(order).tolist()
    rows: list[int] = []
    used: set[tuple[int, int]] = set()
    for row, ids, cell_type in zip(order.tolist(), members.tolist(), cell_types, strict=True):
        regions = {(cell_type, region) for region in ids}
        if used.isdisjoint(regions):
            rows.append(row)
            used |= regions
        if len(rows) == n:
            break
    return np.sort(np.array(rows, np.int64))


def _map(name: str, vectors: Floats, samples: DrawnSamples, seed: int) -> SampleMap:
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_samples
    from sklearn.preprocessing import normalize

    unit = normalize(vectors - vectors.mean(axis=0))
    labels = samples.cell_type
    scores = silhouette_samples(unit, labels)
    permuted = np.random.default_rng(seed).permutation(labels)
    perplexity = min(30.0, (len(unit) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(unit)
    return SampleMap(
        name,
        np.asarray(plane, np.float32),
        bootstrap_interval(scores, groups=samples.block, crossed=labels, seed=seed),
        float(silhouette_samples(unit, permuted).mean()),
    )
