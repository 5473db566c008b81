"""Pictures, each a matplotlib figure made of plain tables and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which color-blind readers tell apart, without the yellow.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b4a9e", "#8c564b")
INK, GRAY, FAINT = "#24292f", "#8b949e", "#e3e7eb"
MARKERS = "os^Dv*"
WIDTH = 9.2  # inches, of every picture: a report shows all at one scale
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
def style() -> Iterator[None]:
    """Draw and save in the house's style, whatever the user's own settings are."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def interval_plot(results: pl.DataFrame, metric: str, *, highlight: Sequence[str] = ()) -> Figure:
    """Draw a metric of several models with its interval, one line each, the first on top.

    Parameters
    ----------
    results
        `ResultsTable.results`.
    metric
        Such as "average_precision".
    highlight
        Models to draw in color.
    """
    rows = results.filter(pl.col("metric") == metric).rows(named=True)
    with style():
        figure = _figure(WIDTH, 0.5 + 0.32 * len(rows))
        axes = figure.add_subplot()
        for y, row in enumerate(rows):
            color = PALETTE[0] if row["model"] in highlight else GRAY
            axes.plot([row["low"], row["high"]], [y, y], color=color, linewidth=2.4, alpha=0.55)
            axes.plot(row["value"], y, "o", color=color, markersize=6)
        axes.set_yticks(range(len(rows)), [row["model"] for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel(metric.replace("_", " "))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def loss_curves(logs: Mapping[str, pl.DataFrame]) -> Figure:
    """Draw training and validation loss by epoch, a panel per model.

    Parameters
    ----------
    logs
        Model -> the `metrics.csv` of its training.
    """
    from matplotlib.ticker import MaxNLocator

    with style():
        figure = _figure(WIDTH, 2.8)
        for axes, (name, log) in zip(_panels(figure, len(logs)), logs.items(), strict=True):
            for column, label, color in (
                ("train_loss_epoch", "training", GRAY),
                ("validation_loss", "validation", PALETTE[0]),
            ):
                rows = log.drop_nulls(column)
                axes.plot(rows["epoch"] + 1, rows[column], color=color, label=label)
            axes.set_title(name)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_ylabel("loss")
            axes.legend()
    return figure


def score_distributions(scores: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Draw how a model scores true regions and all others, a panel per model.

    Parameters
    ----------
    scores
        Model -> (scores of true regions, scores of all others), between 0 and 1.
    """
    bins = np.linspace(0, 1, 41)
    with style():
        figure = _figure(WIDTH, 2.8)
        panels = _panels(figure, len(scores), sharey=True)
        for axes, (name, groups) in zip(panels, scores.items(), strict=True):
            for values, label, color in zip(
                groups, ("true", "other"), (PALETTE[1], GRAY), strict=True
            ):
                array = np.asarray(values)
                share, _ = np.histogram(array, bins)
                share = 100 * share / max(len(array), 1)
                axes.stairs(share, bins, fill=True, color=color, alpha=0.35)
                axes.stairs(share, bins, color=color, linewidth=1.4, label=f"{label} regions")
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g} %")
            axes.set_ylim(0.01, 130)
            axes.set_title(name)
            axes.set_xlabel("score (not calibrated)")
            axes.set_xlim(0, 1)
        panels[0].set_ylabel("share of the regions")
        panels[-1].legend()
    return figure


def set_map(plane: NDArray[np.floating], color: Sequence[str], marker: Sequence[str]) -> Figure:
    """Draw region sets as points.

    Parameters
    ----------
    plane
        (sets, 2), as `map_sets` gives.
    color, marker
        (sets,) labels to color and to shape by.
    """
    colors = dict(zip(sorted(set(color)), _repeated(PALETTE), strict=False))
    markers = dict(zip(sorted(set(marker)), _repeated(MARKERS), strict=False))
    with style():
        figure = _figure(WIDTH, 5)
        axes = figure.add_subplot()
        for place, c, m in zip(plane, color, marker, strict=True):
            axes.plot(
                *place, markers[m], color=colors[c], alpha=0.8, markersize=6.5,
                markeredgecolor="white", markeredgewidth=0.6,
            )  # fmt: skip
        dots = [_key(axes, "o", c, label) for label, c in colors.items()]
        shapes = [_key(axes, m, GRAY, label) for label, m in markers.items()]
        where: dict[str, Any] = {"loc": "upper left", "alignment": "left", "title_fontsize": 9}
        first = axes.legend(handles=dots, title="organ", bbox_to_anchor=(1.01, 1.02), **where)
        axes.add_artist(first)
        axes.legend(handles=shapes, title="assay", bbox_to_anchor=(1.01, 0.55), **where)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal", adjustable="datalim")
        for spine in axes.spines.values():
            spine.set(visible=True, color=FAINT)
    return figure


class Track(NamedTuple):
    """A line of a genome picture.

    Attributes
    ----------
    name
        Shown on the left.
    start, end
        (n,) 0-based, half-open, all on the chromosome of the picture.
    true
        (n,) bool: drawn in color where true, hollow where false; None: all in gray.
    note
        Shown on the right.
    """

    name: str
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    true: NDArray[np.bool_] | None = None
    note: str = ""


def region_tracks(
    chrom: str, start: int, end: int, tracks: Sequence[Track], genes: Mapping[str, int]
) -> Figure:
    """Draw region sets above each other in a window of a chromosome.

    Parameters
    ----------
    chrom, start, end
        The window, 0-based, half-open.
    tracks
        From top to bottom; regions outside the window are left out.
    genes
        Name -> TSS (0-based) of the genes in the window.
    """
    with style():
        figure = _figure(WIDTH, 0.8 + 0.36 * (len(tracks) + 1))
        axes = figure.add_subplot()
        for y, track in enumerate(tracks, 1):
            _draw_track(axes, y, track, start, end)
            axes.text(1.012, y, track.note, transform=axes.get_yaxis_transform(), va="center",
                      color=GRAY, fontsize=8)  # fmt: skip
        last = -np.inf
        for name, tss in sorted(genes.items(), key=lambda gene: gene[1]):
            axes.plot([tss / 1e3] * 2, [-0.32, 0.32], color=INK, linewidth=1)
            if tss - last > 0.07 * (end - start):  # names would overlap otherwise
                axes.text(tss / 1e3, -0.42, name, fontsize=6.5, ha="center", va="bottom")
                last = tss
        axes.set_yticks(range(len(tracks) + 1), ["gene starts", *(t.name for t in tracks)])
        axes.set_ylim(len(tracks) + 0.6, -0.95)
        axes.set_xlim(start / 1e3, end / 1e3)
        axes.set_xlabel(f"{chrom}, thousand base pairs")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    return figure


def _draw_track(axes: Axes, y: int, track: Track, start: int, end: int) -> None:
    shown = np.flatnonzero((track.end > start) & (track.start < end))
    for i in shown:
        left, width = track.start[i] / 1e3, (track.end[i] - track.start[i]) / 1e3
        if track.true is None:
            axes.broken_barh([(left, width)], (y - 0.32, 0.64), facecolor=GRAY, linewidth=0)
        elif track.true[i]:
            axes.broken_barh([(left, width)], (y - 0.32, 0.64), facecolor=PALETTE[0], linewidth=0)
        else:
            axes.broken_barh(
                [(left, width)], (y - 0.32, 0.64), facecolor="none", edgecolor=PALETTE[1],
                linewidth=0.9,
            )  # fmt: skip


def _panels(figure: Figure, n: int, *, sharey: bool = False) -> list[Axes]:
    return list(np.atleast_1d(np.asarray(figure.subplots(1, n, sharey=sharey))))


def _repeated(values: Sequence[str]) -> Iterator[str]:
    while True:
        yield from values


def _key(axes: Axes, marker: str, color: str, label: str) -> Any:
    (line,) = axes.plot([], [], marker, color=color, label=label, markersize=6.5)
    return line
