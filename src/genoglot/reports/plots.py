"""Plots, each a matplotlib figure of plain tables and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Okabe and Ito's colors, which color-blind readers can distinguish, without the yellow.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b4a9e", "#8c564b")
INK, GRAY, FAINT = "#24292f", "#8b949e", "#e3e7eb"
MARKERS = "os^Dv*"
WIDTH = 9.2  # inches, of every plot: a report shows all at one scale
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRAY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Draw and save in the style of all plots, whatever the user's own settings are."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plot_intervals(results: pl.DataFrame, metric: str, *, highlight: Sequence[str] = ()) -> Figure:
    """Plot a metric of several models with its interval, one line each, the first on top.

    Parameters
    ----------
    results
        Results of the models: see `ResultsTable.results`.
    metric
        Name of the metric, such as "average_precision".
    highlight
        Models to draw in color.
    """
    rows = results.filter(pl.col("metric") == metric).rows(named=True)
    with plot_style():
        figure = _figure(WIDTH, 0.5 + 0.32 * len(rows))
        axes = figure.add_subplot()
        for y, row in enumerate(rows):
            color = PALETTE[0] if row["model"] in highlight else GRAY
            axes.plot([row["low"], row["high"]], [y, y], color=color, linewidth=2.4, alpha=0.55)
            axes.plot(row["value"], y, "o", color=color, markersize=6)
        axes.set_yticks(range(len(rows)), [row["model"] for row in rows])
        axes.set(xlabel=metric.replace("_", " "), xlim=(0, None), ylim=(len(rows) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def plot_losses(logs: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]]) -> Figure:
    """Plot training and validation loss by epoch, one panel for each model.

    Parameters
    ----------
    logs
        For each model, the `loss.csv` and the `validation.csv` of its training, which was measured
        on validation data after every epoch.
    """
    from matplotlib.ticker import MaxNLocator

    with plot_style():
        figure = _figure(WIDTH, 2.8)
        for axes, (name, log) in zip(_panels(figure, len(logs)), logs.items(), strict=True):
            losses, validation = log
            ends = validation["step"].to_numpy()
            epoch = np.searchsorted(ends, losses["step"].to_numpy())
            means = losses.group_by(pl.Series("epoch", epoch)).agg(pl.mean("loss")).sort("epoch")
            axes.plot(means["epoch"] + 1, means["loss"], color=GRAY, label="training")
            epochs = np.arange(1, len(ends) + 1)
            axes.plot(epochs, validation["loss"], color=PALETTE[0], label="validation")
            axes.set(title=name, xlabel="epoch", ylabel="loss")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()
    return figure


def plot_score_distributions(scores: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Plot how a model scores true regions and all others, one panel for each model.

    Parameters
    ----------
    scores
        For each model, the scores of true regions and those of all others, between 0 and 1.
    """
    bins = np.linspace(0, 1, 41)
    with plot_style():
        figure = _figure(WIDTH, 2.8)
        panels = _panels(figure, len(scores), sharey=True)
        for axes, (name, groups) in zip(panels, scores.items(), strict=True):
            for values, label, color in zip(
                groups, ("true", "other"), (PALETTE[1], GRAY), strict=True
            ):
                array = np.asarray(values)
                percent = 100 * np.histogram(array, bins)[0] / max(len(array), 1)
                axes.stairs(percent, bins, fill=True, color=color, alpha=0.35)
                axes.stairs(percent, bins, color=color, linewidth=1.4, label=f"{label} regions")
            axes.set(title=name, xlabel="score (not calibrated)", xlim=(0, 1))
            axes.set(yscale="log", ylim=(0.01, 130))
            axes.yaxis.set_major_formatter("{x:g} %")
        panels[0].set_ylabel("proportion of the regions")
        panels[-1].legend()
    return figure


def plot_set_map(
    plane: NDArray[np.floating], color: Sequence[str], marker: Sequence[str]
) -> Figure:
    """Plot region sets as points on a map.

    Parameters
    ----------
    plane
        Coordinates of the sets, (sets, 2): see `map_sets`.
    color, marker
        Labels that give each set its color and its marker, (sets,).
    """
    colors = dict(zip(sorted(set(color)), cycle(PALETTE), strict=False))
    markers = dict(zip(sorted(set(marker)), cycle(MARKERS), strict=False))
    with plot_style():
        figure = _figure(WIDTH, 5)
        axes = figure.add_subplot()
        for position, c, m in zip(plane, color, marker, strict=True):
            axes.plot(
                *position, markers[m], color=colors[c], alpha=0.8, markersize=6.5,
                markeredgecolor="white", markeredgewidth=0.6,
            )  # fmt: skip
        dots = [_legend_entry("o", c, label) for label, c in colors.items()]
        shapes = [_legend_entry(m, GRAY, label) for label, m in markers.items()]
        style: dict[str, Any] = {"loc": "upper left", "alignment": "left", "title_fontsize": 9}
        first = axes.legend(handles=dots, title="organ", bbox_to_anchor=(1.01, 1.02), **style)
        axes.add_artist(first)
        axes.legend(handles=shapes, title="assay", bbox_to_anchor=(1.01, 0.55), **style)
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        for spine in axes.spines.values():
            spine.set(visible=True, color=FAINT)
    return figure


def plot_sample_maps(
    maps: Mapping[str, tuple[NDArray[np.floating], str]], cell_types: Sequence[str]
) -> Figure:
    """Plot the same samples as points on several maps, side by side.

    Parameters
    ----------
    maps
        By title, the coordinates of the samples, (n, 2), and the text below the map.
    cell_types
        Cell type of each sample, (n,).
    """
    labels = np.asarray(cell_types)
    names = np.unique(labels).tolist()
    size = WIDTH / max(len(maps), 2)
    columns = 1 if max(map(len, names)) > 40 else 3
    with plot_style():
        figure = _figure(WIDTH, size + 0.75 + 0.2 * -(-len(names) // columns))
        panels = _panels(figure, len(maps))
        for axes, (title, (plane, text)) in zip(panels, maps.items(), strict=True):
            for i, name in enumerate(names):
                axes.plot(
                    *plane[labels == name].T, linestyle="", **_point_style(i), markersize=4,
                    alpha=0.8, markeredgecolor="white", markeredgewidth=0.4,
                )  # fmt: skip
            axes.set(title=title, xlabel=text, xticks=[], yticks=[])
            axes.set_box_aspect(1)
            for spine in axes.spines.values():
                spine.set(visible=True, color=FAINT)
        entries = [_legend_entry(**_point_style(i), label=name) for i, name in enumerate(names)]
        figure.legend(handles=entries, loc="outside lower center", ncols=columns)
    return figure


def _point_style(number: int) -> dict[str, Any]:
    """Color and marker of a label: first all colors, then all colors with another marker."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": MARKERS[number // len(PALETTE) % len(MARKERS)],
    }


class RegionRow(NamedTuple):
    """A row of a genome plot.

    Attributes
    ----------
    name
        Text on the left.
    start, end
        Regions, int64 (n,), 0-based, half-open, all on the chromosome of the plot.
    true
        Whether each region is filled or hollow, bool (n,); None draws all in gray.
    note
        Text on the right.
    """

    name: str
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    true: NDArray[np.bool_] | None = None
    note: str = ""


def plot_regions(
    chrom: str, start: int, end: int, rows: Sequence[RegionRow], genes: Mapping[str, int]
) -> Figure:
    """Plot region sets above each other in a window of a chromosome.

    Parameters
    ----------
    chrom, start, end
        The window, 0-based, half-open.
    rows
        Region sets from top to bottom; regions outside the window are left out.
    genes
        Name and TSS (0-based) of the genes in the window.
    """
    with plot_style():
        figure = _figure(WIDTH, 0.8 + 0.36 * (len(rows) + 1))
        axes = figure.add_subplot()
        for y, row in enumerate(rows, 1):
            _draw_row(axes, y, row, start, end)
            axes.text(1.012, y, row.note, transform=axes.get_yaxis_transform(), va="center",
                      color=GRAY, fontsize=8)  # fmt: skip
        last = -np.inf
        for name, tss in sorted(genes.items(), key=lambda gene: gene[1]):
            axes.plot([tss / 1e3] * 2, [-0.32, 0.32], color=INK, linewidth=1)
            if tss - last > 0.07 * (end - start):  # names would overlap otherwise
                axes.text(tss / 1e3, -0.42, name, fontsize=6.5, ha="center", va="bottom")
                last = tss
        axes.set_yticks(range(len(rows) + 1), ["gene starts", *(row.name for row in rows)])
        axes.set(xlabel=f"{chrom}, thousand base pairs", xlim=(start / 1e3, end / 1e3))
        axes.set_ylim(len(rows) + 0.6, -0.95)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    return figure


def _draw_row(axes: Axes, y: int, row: RegionRow, start: int, end: int) -> None:
    for i in np.flatnonzero((row.end > start) & (row.start < end)):
        style: dict[str, Any] = {"facecolor": GRAY, "linewidth": 0}
        if row.true is not None:
            style = {"facecolor": PALETTE[0], "linewidth": 0}
            if not row.true[i]:
                style = {"facecolor": "none", "edgecolor": PALETTE[1], "linewidth": 0.9}
        extent = row.start[i] / 1e3, (row.end[i] - row.start[i]) / 1e3
        axes.broken_barh([extent], (y - 0.32, 0.64), **style)


def _panels(figure: Figure, n: int, *, sharey: bool = False) -> list[Axes]:
    return list(figure.subplots(1, n, sharey=sharey, squeeze=False)[0])


def _legend_entry(marker: str, color: str, label: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker=marker, linestyle="", color=color, label=label, markersize=6.5)
