"""`genoglot task build`, `info` and `train`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genoglot.cli.options import (
    Device,
    GenomeAlias,
    GenomeFiles,
    OnError,
    Origin,
    Overwrite,
    Precision,
    Resume,
    Seed,
    Settings,
)
from genoglot.cli.session import (
    check_device,
    check_free,
    open_genome,
    read_pairs,
    read_settings,
    trainer_errors,
)
from genoglot.errors import BedFormatError, TaskError

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True,
    help="Build tasks of DNA from public files, look at them, and train on one.",
)

Name = Literal[
    "PromVary",
    "PromFix",
    "Methyl96",
    "Track7878",
    "DeepSEA919",
    "GeneExp",
    "CausalSNP",
    "MPRAProm",
    "GUE",
]


@app.command("build")
def build(
    name: Annotated[Name, typer.Argument(help="The task.", show_default=False)],
    sources: Annotated[
        list[Path], typer.Argument(help="Public files that it is made of.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory to make.")],
    genome: GenomeFiles = None,
    origin: Origin = None,
    alias: GenomeAlias = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the task, as min_reads=5.", show_default=False),
    ] = None,
    seed: Seed = 0,
    leakage: Annotated[
        bool, typer.Option(help="Look for sequences that are in two subsets of a split.")
    ] = True,
    on_error: OnError = "raise",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Build the data of a task from public files.

    GUE takes a folder with train.csv, dev.csv and test.csv, or a folder of such folders.
    """
    from genoglot.tasks import TASKS

    task = TASKS[name]
    given = read_pairs(options or [], "--set")
    chosen = {key: _typed(task.options.get(key), key, text) for key, text in given.items()}
    skips = "on_error" in task.options
    if on_error != "raise":
        if not skips:
            raise TaskError(f"--on-error {on_error} is for tasks of peak files; correct {name}'s")
        chosen["on_error"] = on_error
    try:
        made = task.build(
            sources,
            out,
            genome=open_genome(genome, origin, alias),
            seed=seed,
            leakage=leakage,
            overwrite=overwrite,
            **chosen,
        )
    except BedFormatError as error:
        if skips:
            raise
        where = f"{error.path}:{error.line_number}"
        raise TaskError(f"{where}: {error.problem}: {error.line!r}; correct the line") from None
    for data in made:
        log.info("%s: %s, %d examples of %d bp", data.path, data.name, len(data), data.length)
        _tell_leakage(data)


@app.command("info")
def info(
    folder: Annotated[Path, typer.Argument(help="Directory of the task.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read everything and compare it with the digest.")
    ] = False,
) -> None:
    """Show what a task holds: sizes of its splits, balance of its labels, leakage, figures."""
    from genoglot.bench.baselines import Lookup, lookup_metrics
    from genoglot.tasks import TASKS, TaskData

    data = TaskData.open(folder)
    if check:
        data.verify()
    task = TASKS.get(data.task)
    facts: dict[str, Any] = {
        "task": data.task,
        "name": data.name,
        "examples": len(data),
        "length": data.length,
        "target": data.target,
        "outputs": len(data.outputs),
        "metrics": data.metrics,
        "digest": data.digest,
        "notes": data.notes,
        "default_split": data.default_split,
        "published_split": task.split if task else None,
        "splits": {
            split: {
                "rule": rule,
                "subsets": data.balance(split),
                "leakage": data.leakage.get(split),
                "lookup": lookup_metrics(data, split)
                if task and Lookup.name in task.baselines
                else None,
            }
            for split, rule in data.split_rules.items()
        },
        "leave_out": data.groups if len(data.groups) > 2 else [],
        "published": [row._asdict() for row in task.published_results(data.name)] if task else [],
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    _show(facts, data.outputs)


@app.command("train")
def train(
    folder: Annotated[Path, typer.Argument(help="Directory of the task.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model to make.", show_default=False)],
    split: Annotated[
        str | None, typer.Option(help="Which split.", show_default="the task's own")
    ] = None,
    seed: Seed = 0,
    settings: Settings = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Train residual CNNs and boosted trees on labels or classes, for genoglot predict.

    It learns from the training subset and is measured on the validation subset; the test subset is
    not read. A bench (genoglot bench) compares models, and tests them.
    """
    import numpy as np

    from genoglot.bench.ensemble import fit_ensemble_to_task
    from genoglot.evaluation import measure_predictions
    from genoglot.tasks import TaskData
    from genoglot.training.device import DeviceOptions

    log_folder = out.with_name(f"{out.name}.training")
    check_free(out, log_folder, resume=resume, overwrite=overwrite)
    check_device(device)
    given = read_settings(settings)
    data = TaskData.open(folder)
    learned, held_out = (data.subset(split, name) for name in ("train", "validation"))
    with trainer_errors():
        model = fit_ensemble_to_task(
            data, learned, held_out, seed=seed, log_folder=log_folder, resume=resume,
            device=DeviceOptions(device, precision=precision), **given,
        )  # fmt: skip
    model.save_pretrained(out, overwrite=overwrite)
    predicted = model.predict(np.asarray(held_out.codes), batch_size=512)
    log.info("%s: trained on %d sequences", out, len(learned.codes))
    for found in measure_predictions(held_out.labels[:], predicted, data.metrics):
        log.info(
            "%s %.3f [%.3f, %.3f] on the %d of the validation subset",
            found.metric, found.value, found.low, found.high, len(held_out.codes),
        )  # fmt: skip


def _show(facts: dict[str, Any], outputs: list[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    about = Table(box=box.SIMPLE, show_header=False)
    about.add_column()
    about.add_column(overflow="fold")
    for key in ("task", "name", "examples", "length", "target", "outputs", "metrics", "digest"):
        value = facts[key]
        shown = f"{value:,}" if isinstance(value, int) else value
        about.add_row(key, Text(", ".join(shown) if isinstance(shown, list) else str(shown)))
    for key, value in facts["notes"].items():
        about.add_row(key.replace("_", " "), Text(str(value)))
    console.print(about)
    for split, found in facts["splits"].items():
        which = ", the default" if split == facts["default_split"] else ""
        which += ", the published one" if split == facts["published_split"] else ""
        console.print(Text(f"split {split}{which}: {found['rule']}"))
        table = Table(box=box.SIMPLE)
        for column in ("subset", "examples", "labels", "duplicates: same, reverse, near"):
            table.add_column(column)
        for subset in found["subsets"]:
            row = (subset["subset"], f"{subset['examples']:,}", _labels(subset, outputs))
            table.add_row(*map(Text, (*row, _duplicates(subset["subset"], found["leakage"]))))
        console.print(table)
        if found["lookup"]:
            told = ", ".join(f"{name} {value:.3f}" for name, value in found["lookup"].items())
            console.print(Text(f"looking test examples up in train, without DNA: {told}"))
    if groups := facts["leave_out"]:
        shown = ", ".join(groups[:5]) + (f", ... ({len(groups)})" if len(groups) > 5 else "")
        console.print(Text(f"splits leave-out:GROUP test on one of {shown}"))
    other = facts["published_split"] not in (None, facts["default_split"])
    of_split = f", split {facts['published_split']}" if other else ""
    for figure in facts["published"]:
        told = f"{figure['metric']} {figure['value']:.4g}"
        console.print(Text(f"published: {figure['model']} {told} ({figure['source']}{of_split})"))


def _labels(subset: dict[str, Any], outputs: list[str]) -> str:
    missing = f", {subset['missing']:.1%} missing" if subset["missing"] else ""
    if "classes" in subset:
        return ", ".join(f"{name}: {n}" for name, n in zip(outputs, subset["classes"], strict=True))
    if "positive" in subset:
        return f"{subset['positive']:.2%} positive{missing}"
    return f"mean {subset['mean']:.3g}, sd {subset['sd']:.3g}{missing}"


def _duplicates(subset: str, leakage: list[dict[str, Any]] | None) -> str:
    if leakage is None:
        return "not looked for"
    return "; ".join(
        f"{row['same']}, {row['reverse_complement']}, {row['near']} in {row['other_subset']}"
        for row in leakage
        if row["subset"] == subset
    )


def _tell_leakage(data: Any) -> None:
    """Log, for each split, how many of its test examples have a duplicate in train."""
    for split, rows in data.leakage.items():
        for row in rows:
            if row["subset"] == "test" and row["other_subset"] == "train":
                log.info(
                    "split %s: %d of %d test examples have a duplicate in train "
                    "(%d the same, %d reverse complements, %d near)",
                    *(split, row["same"] + row["reverse_complement"] + row["near"]),
                    *(row["examples"], row["same"], row["reverse_complement"], row["near"]),
                )


def _typed(default: Any, key: str, text: str) -> Any:
    """Read an option's value as the type of its default; unknown options are left to the task.

    Examples
    --------
    >>> _typed(10, "min_reads", "5"), _typed(True, "promoters_only", "false")
    (5, False)
    """
    if default is None:
        return text
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise TaskError(f"--set {key}={text}: give true or false")
        return text.lower() == "true"
    try:
        return type(default)(text)
    except ValueError:
        raise TaskError(f"--set {key}={text}: no number; give one such as {default}") from None
