"""MPRAProm, saturation mutagenesis: baselines and site models; tables of docs/results/mpra.md.

    python experiments/mpra.py TABLE -o OUT [--subset validation] [--seeds 0 1 2] [--leave-out]

The task is built again for each seed, so that other positions are held out. All models are fitted
to its training subset, their settings are chosen by its validation subset, and they are measured on
the validation subset; on the test subset only with `--subset test`, once, at the very end. Then
`kriging, more data` is fitted again, with the noise that was chosen, to both other subsets. With
`--leave-out`, each locus is left out in turn instead, and the next one validates. Writes OUT.csv
and OUT.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from mpra_models.kriging import SITE_MODELS

from genoglot.bench.baselines import BASELINES
from genoglot.evaluation import TextTable, format_interval, measure_predictions
from genoglot.evaluation.predictions import spearman
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.tasks import TASKS, TaskData

MODELS = {**BASELINES, **SITE_MODELS}
MORE = "kriging, more data"
LEFT_OUT = ("kmer-linear", "kriging-sequence", "kriging")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", metavar="TABLE", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--subset", choices=["validation", "test"], default="validation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS))
    parser.add_argument("--leave-out", action="store_true", help="leave each locus out")
    options = parser.parse_args()
    subset = "test" if options.leave_out else options.subset
    about = f"Subset {subset}, seeds {options.seeds}; commit {code_version()}; {hardware()}"
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            (data,) = TASKS["MPRAProm"].build(
                [options.table], Path(folder) / str(seed), seed=seed, leakage=False, errors=True,
            )  # fmt: skip
            splits, models = ["positions"], options.models or list(MODELS)
            if options.leave_out:
                splits = [f"leave-out:{group}" for group in data.groups]
                models = options.models or LEFT_OUT
            elif subset == "test" and "kriging" in models:
                models = [*models, MORE]
            for split in splits:
                for name in models:
                    rows.append(measured(data, split, subset, name, seed))
                    print(rows[-1], flush=True)
    table = pl.DataFrame(rows)
    table.write_csv(options.out.with_suffix(".csv"))
    shape = left_out(table) if options.leave_out else positions(table)
    text = f"{about}\n\n{shape}\n"
    options.out.with_suffix(".md").write_text(text)
    print(text)


def measured(data: TaskData, split: str, subset: str, name: str, seed: int) -> dict[str, Any]:
    """Fit one model to one split and measure it."""
    rows = data.rows(split, subset)
    examples = data.examples[rows]
    begin = time.perf_counter()
    predicted = predictions(data, split, subset, name, seed)
    truth = np.asarray(data.subset(split, subset).labels)
    position = examples.select(pl.format("{} {}", "group", "start")).to_series()
    found = measure_predictions(truth, predicted, ["Spearman", "MSE"], groups=position.to_numpy())
    each = [
        float(spearman(truth[of], predicted[of])[0])
        for element in sorted(examples["element"].unique())
        for of in [((examples["element"] == element).to_numpy(), 0)]
    ]
    # Of a promoter in two cell lines, the first: then no position has more than three changes.
    first = examples["element"] == examples["group"].str.split("+").list.first()
    once = (first.to_numpy(), 0)
    return {
        "split": split, "subset": subset, "seed": seed, "model": name,
        "Spearman": found[0].value, "low": found[0].low, "high": found[0].high,
        "within": float(np.mean(each)),
        "one_cell_line": float(spearman(truth[once], predicted[once])[0]),
        "MSE": found[1].value, "examples": len(rows), "positions": position.n_unique(),
        "seconds": time.perf_counter() - begin, "data": data.digest[:12],
    }  # fmt: skip


def predictions(data: TaskData, split: str, subset: str, name: str, seed: int) -> Any:
    """Fit one model to one split and predict a subset of it."""
    first, second = (data.rows(split, p) for p in ("train", "validation"))
    train, validation, held = (data.subset(split, p) for p in ("train", "validation", subset))
    if name in BASELINES:
        baseline = BASELINES[name](data.target, 1, seed=seed)
        baseline.fit_subset(train, validation)
        return baseline.predict(held.inputs)
    errors = data.examples["error"].to_numpy()
    model = SITE_MODELS["kriging" if name == MORE else name](data.target, 1, seed=seed)
    model.fit_subset(train, validation, errors[first])
    if name == MORE:
        both = np.concatenate([first, second])
        again = SITE_MODELS["kriging"](data.target, 1, seed=seed, noise=[model.noise])
        again.fit_subset(data.take(both), validation, errors[both])
        model = again
    return model.predict(held.inputs)


def positions(table: pl.DataFrame) -> str:
    """Models by split seeds: value and interval of each, mean and standard deviation of all."""
    seeds = table["seed"].unique(maintain_order=True).to_list()
    heads = ["model", *(f"seed {seed}" for seed in seeds), "mean", "sd", "within elements",
             "one cell line", "MSE", "s"]  # fmt: skip
    lines = []
    for (name,), rows in table.group_by("model", maintain_order=True):
        value = rows["Spearman"]
        sd = float(value.std() or 0) if len(rows) > 1 else float("nan")
        others = [value.mean(), sd, rows["within"].mean(), rows["one_cell_line"].mean()]
        lines.append([str(name), *intervals(rows), *(f"{number:.3f}" for number in others),
                      f"{rows['MSE'].mean():.4f}", f"{rows['seconds'].mean():.0f}"])  # fmt: skip
    return TextTable(heads, lines).to_markdown()


def left_out(table: pl.DataFrame) -> str:
    """Loci by models."""
    names = table["model"].unique(maintain_order=True).to_list()
    lines = []
    for (split,), rows in table.group_by("split", maintain_order=True):
        locus = str(split).removeprefix("leave-out:")
        lines.append([locus, str(rows["examples"][0]), *intervals(rows)])
    means = table.group_by("model", maintain_order=True).agg(pl.mean("Spearman"))["Spearman"]
    lines.append(["mean", "", *(f"{mean:.3f}" for mean in means)])
    return TextTable(["locus left out", "changes", *names], lines).to_markdown()


def intervals(rows: pl.DataFrame) -> list[str]:
    found = rows.select("Spearman", "low", "high").iter_rows()
    return [format_interval(*row) or "none" for row in found]


if __name__ == "__main__":
    main()
