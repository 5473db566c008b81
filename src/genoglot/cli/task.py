"""`genoglot task build`, `info` and `train`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genoglot.cli.options import (
    AsJson,
    GenomeFiles,
    OnError,
    Overwrite,
    Precision,
    Seed,
    Settings,
    Training,
    with_groups,
)
from genoglot.cli.output import print_facts, print_json, print_table
from genoglot.cli.session import merge_settings, read_settings, trainer_errors
from genoglot.errors import TaskError

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True,
    help="Build benchmark tasks of DNA from public files, inspect them, and train on one.",
)

TaskFolder = Annotated[Path, typer.Argument(help="Folder of the task data.", show_default=False)]
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
    "TFBS",
    "VISTA",
    "VISTATissues",
    "SpliceSites",
]


@app.command("build")
@with_groups
def build(
    name: Annotated[Name, typer.Argument(help="Name of the task.", show_default=False)],
    sources: Annotated[
        list[Path],
        typer.Argument(help="Public files that the task is built from.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the task data.", show_default=False)
    ],
    genome: GenomeFiles,
    settings: Settings = None,
    seed: Seed = 0,
    leakage: Annotated[
        bool, typer.Option(help="Search for sequences that are in two subsets of a split.")
    ] = True,
    on_error: OnError = "raise",
    overwrite: Overwrite = False,
) -> None:
    """Build the data of a task from public files.

    GUE takes a folder with train.csv, dev.csv and test.csv, or a folder of such folders. TFBS takes
    peak files, or a folder of them, and builds two datasets of each: shuffled and genomic
    negatives. SpliceSites takes GTF, GFF3 or SpliceAI's table of transcripts. --set takes the
    options of the task, such as min_reads=5 or context=80.
    """
    from genoglot.tasks import TASKS

    task = TASKS[name]
    options = read_settings(settings)
    if on_error != "raise":
        if "on_error" not in task.options:
            raise TaskError(
                f"--on-error {on_error} is for tasks of peak files; correct the files of {name}"
            )
        options["on_error"] = on_error
    made = task.build(
        sources,
        out,
        genome=genome.open(),
        seed=seed,
        leakage=leakage,
        overwrite=overwrite,
        **options,
    )
    for data in made:
        log.info("%s: %s, %d examples of %d bp", data.path, data.name, len(data), data.length)
        _log_leakage(data)


@app.command("info")
def info(
    folder: TaskFolder,
    as_json: AsJson = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read all data and compare them with the digest.")
    ] = False,
) -> None:
    """Show the content of a task: splits, balance of the labels, duplicates, published results."""
    from genoglot.bench.task_summary import summarize_task
    from genoglot.tasks import TaskData

    data = TaskData.open(folder)
    if check:
        data.verify()
    facts = summarize_task(data)
    if as_json:
        print_json(facts)
    else:
        _print_summary(facts, data.outputs)


@app.command("train")
@with_groups
def train(
    folder: TaskFolder,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the new model.", show_default=False)
    ],
    split: Annotated[
        str | None,
        typer.Option(help="Split to train on.", show_default="the default split of the task"),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            help="SpliceSites: folder of a pre-trained encoder with a token for each base, such as "
            "a k-mer BERT; --set frozen=true trains only the head on it.",
            show_default="a new dilated CNN",
        ),
    ] = None,
    precision: Precision = "auto",
    *,
    training: Training,
) -> None:
    """Train residual CNNs and boosted trees on labels or classes, for genoglot predict.

    On labels of nucleotides (SpliceSites) it trains an encoder with a head on each base instead.
    The model learns from the training subset and is evaluated on the validation subset; the test
    subset is not read. Use genoglot bench to compare models and to test them. --set takes the
    settings of the model.
    """
    import numpy as np

    from genoglot.bench.ensemble import fit_ensemble_to_task
    from genoglot.bench.nucleotides import fit_nucleotide_model_to_task
    from genoglot.evaluation import measure_nucleotides, measure_predictions
    from genoglot.models.dna.predictor import DnaPredictor
    from genoglot.models.dna.sequence_encoder import SequenceEncoder
    from genoglot.models.dna.target import NUCLEOTIDES
    from genoglot.tasks import TaskData

    settings, arguments = training.begin(out, folder, encoder, precision=precision)
    settings = merge_settings(settings, seed=training.seed)
    data = TaskData.open(folder)
    learned, held_out = (data.subset(split, name) for name in ("train", "validation"))
    nucleotides = data.target == NUCLEOTIDES
    if encoder is not None and not nucleotides:
        raise TaskError(f"--encoder is for labels of nucleotides; {data.name} has other labels")
    model: DnaPredictor
    with trainer_errors():
        if nucleotides:
            if encoder is not None:
                arguments["encoder"] = SequenceEncoder.from_pretrained(encoder)
            model = fit_nucleotide_model_to_task(data, learned, held_out, **settings, **arguments)
        else:
            model = fit_ensemble_to_task(data, learned, held_out, **settings, **arguments)
    model.save_pretrained(out, overwrite=training.overwrite)
    predicted = model.predict(np.asarray(held_out.codes), batch_size=16 if nucleotides else 512)
    log.info("%s: trained on %d sequences", out, len(learned.codes))
    measure = measure_nucleotides if nucleotides else measure_predictions
    for found in measure(held_out.labels[:], predicted, data.metrics):
        log.info(
            "%s %.3f [%.3f, %.3f] on the %d sequences of the validation subset",
            *(found.metric, found.value, found.low, found.high, len(held_out.codes)),
        )


def _print_summary(facts: dict[str, Any], outputs: list[str]) -> None:
    from genoglot.bench.task_summary import describe_duplicates, describe_labels

    names = ("task", "name", "examples", "length", "target", "outputs", "metrics", "digest")
    notes = {name: str(value) for name, value in facts["notes"].items()}
    print_facts({name: facts[name] for name in names} | notes)
    default, published = facts["default_split"], facts["published_split"]
    for split, found in facts["splits"].items():
        which = ", the default" if split == default else ""
        which += ", the published one" if split == published else ""
        typer.echo(f"\nsplit {split}{which}: {found['rule']}")
        rows = [
            [
                subset["subset"],
                f"{subset['examples']:,}",
                describe_labels(subset, outputs),
                describe_duplicates(subset["subset"], found["leakage"]),
            ]
            for subset in found["subsets"]
        ]
        print_table(["subset", "examples", "labels", "duplicates: same, reverse, near"], rows)
        if found["lookup"]:
            values = ", ".join(f"{name} {value:.3f}" for name, value in found["lookup"].items())
            typer.echo(f"a lookup of the test examples in train, without DNA: {values}")
    if groups := facts["leave_out"]:
        shown = ", ".join(groups[:5]) + (f", ... ({len(groups)})" if len(groups) > 5 else "")
        typer.echo(f"splits leave-out:GROUP test on one of {shown}")
    of_split = f", split {published}" if published not in (None, default) else ""
    for figure in facts["published"]:
        value = f"{figure['metric']} {figure['value']:.4g}"
        typer.echo(f"published: {figure['model']} {value} ({figure['source']}{of_split})")


def _log_leakage(data: Any) -> None:
    """Log, for each split, how many of its test examples have a duplicate in train."""
    for split, rows in data.leakage.items():
        for row in rows:
            if row["subset"] == "test" and row["other_subset"] == "train":
                same, reverse, near = row["same"], row["reverse_complement"], row["near"]
                log.info(
                    "split %s: %d of %d test examples have a duplicate in train "
                    "(%d the same, %d reverse complements, %d near)",
                    *(split, same + reverse + near, row["examples"], same, reverse, near),
                )
