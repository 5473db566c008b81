from __future__ import annotations

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from genoglot.reports import plots
from genoglot.reports.report import render_svg


def texts(figure: Figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(mpl.text.Text))


def test_a_models_interval_is_drawn_where_it_is() -> None:
    results = pl.DataFrame(
        {
            "model": ["ridge", "direct", "ridge"],
            "metric": ["average_precision", "average_precision", "other"],
            "value": [0.3, 0.4, 9.0],
            "low": [0.2, 0.35, 8.0],
            "high": [0.5, 0.45, 10.0],
        }
    )
    figure = plots.plot_intervals(results, "average_precision", highlight=["direct"])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ridge", "direct"]
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert [list(span) for span in spans] == [[0.2, 0.5], [0.35, 0.45]]
    assert axes.lines[1].get_color() != axes.lines[3].get_color()
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first is on top


def test_losses_show_both_losses_by_epoch() -> None:
    losses = pl.DataFrame({"step": range(1, 7), "loss": [3.5, 2.5, 2.5, 1.5, 1.5, 0.5]})
    validation = pl.DataFrame({"step": [2, 4, 6], "loss": [3.0, 1.5, 2.5]})
    (axes,) = plots.plot_losses({"direct": (losses, validation)}).axes
    trained, validated = axes.lines
    assert trained.get_ydata().tolist() == [3, 2, 1]
    assert validated.get_xdata().tolist() == [1, 2, 3]
    assert validated.get_ydata().tolist() == [3, 1.5, 2.5]


def test_losses_without_validation() -> None:
    losses = pl.DataFrame({"step": [1], "loss": [3.0]})
    figure = plots.plot_losses({"direct": (losses, losses.clear())})
    assert render_svg(figure) and "direct" in texts(figure)


def test_score_distributions_show_percentages() -> None:
    rng = np.random.default_rng(0)
    figure = plots.plot_score_distributions(
        {"a": (rng.random(50), rng.random(500)), "b": ([1.0], [0])}
    )
    percentages = [
        patch.get_data().values.sum() for patch in figure.findobj(StepPatch) if not patch.get_fill()
    ]
    assert percentages == pytest.approx([100, 100, 100, 100])


def test_a_map_names_its_colors_and_shapes() -> None:
    plane = np.random.default_rng(0).random((4, 2))
    figure = plots.plot_set_map(plane, ["lung", "liver", "lung", "heart"], ["ChIP", "ATAC"] * 2)
    shown = texts(figure)
    assert all(label in shown for label in ("lung", "liver", "heart", "ChIP", "ATAC"))
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert [line.get_xydata()[0].tolist() for line in drawn] == plane.tolist()
    assert drawn[0].get_color() == drawn[2].get_color() != drawn[1].get_color()


def test_tracks_show_what_lies_in_the_window() -> None:
    start = np.array([100, 1500, 9000])
    tracks = [
        plots.RegionRow("all", start, start + 300),
        plots.RegionRow("mine", start, start + 300, np.array([True, False, True]), "67 % true"),
    ]
    figure = plots.plot_regions("chr1", 0, 5000, tracks, {"GENE": 1200})
    assert len(figure.axes[0].collections) == 4  # two of three, on two tracks
    shown = texts(figure)
    assert all(text in shown for text in ("GENE", "mine", "67 % true", "chr1"))


def test_the_users_own_settings_are_left_alone() -> None:
    with mpl.rc_context({"font.size": 31}):
        figure = plots.plot_set_map(np.zeros((1, 2)), ["a"], ["b"])
        render_svg(figure)
        assert mpl.rcParams["font.size"] == 31
    sizes = {text.get_fontsize() for text in figure.findobj(mpl.text.Text)}
    assert max(sizes) < 12
