"""`genoglot embed` and `genoglot predict`: vectors and predictions of DNA."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import Device, GenomeFiles, OnError, with_groups

log = logging.getLogger("genoglot")

Model = Annotated[Path, typer.Argument(help="Saved model.", show_default=False)]
Input = Annotated[
    Path,
    typer.Argument(
        help="FASTA file, or BED file if a --genome is given; - is standard input.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option("-o", "--out", help="File to write, .parquet or .npy.", show_default=False),
]


@with_groups
def embed(
    model: Model,
    sequences: Input,
    out: Out,
    genome: GenomeFiles,
    width: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Length of the window around the center of each region, bp.",
            show_default="the region",
        ),
    ] = None,
    strands: Annotated[
        Literal["forward", "both"],
        typer.Option(help="Read the given strand, or average over both strands."),
    ] = "forward",
    on_error: OnError = "raise",
    device: Device = "auto",
) -> None:
    """Encode DNA as vectors, one for each sequence or region.

    A Parquet file has the names or regions and a column `vector`; an NPY file has only the vectors,
    in the same order.
    """
    from genoglot.files import check_not_read
    from genoglot.models.dna.sequence_encoder import SequenceEncoder
    from genoglot.reports.predict import check_output, embed_file
    from genoglot.training.device import choose_device

    check_output(out)
    check_not_read(out, [sequences, *(genome.genome or ())])
    encoder = SequenceEncoder.from_pretrained(model).to(choose_device(device))
    written = embed_file(
        encoder,
        sequences,
        out,
        genome=genome.open(),
        width=width,
        strands=strands,
        on_error=on_error,
    )
    log.info("%s: %d vectors of %d numbers", out, *written)


@with_groups
def predict(
    model: Model,
    sequences: Input,
    out: Out,
    genome: GenomeFiles,
    width: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Length of the window around the center of each region, bp.",
            show_default="the length that the model was trained on",
        ),
    ] = None,
    any_length: Annotated[
        bool,
        typer.Option(
            "--any-length",
            help="Also read sequences and windows of lengths that the model was not trained on; "
            "without --width, windows are the regions.",
        ),
    ] = False,
    on_error: OnError = "raise",
    device: Device = "auto",
) -> None:
    """Predict labels, values or classes of DNA with a trained model.

    A Parquet file has the names or regions and a column for each output; an NPY file has only the
    predictions, in the same order.
    """
    from genoglot.files import check_not_read
    from genoglot.models import load
    from genoglot.reports.predict import check_output, predict_file
    from genoglot.training.device import choose_device

    check_output(out)
    check_not_read(out, [sequences, *(genome.genome or ())])
    loaded = load(model, "dna-predictor").to(choose_device(device))
    if any_length:
        log.warning(
            "%s was trained on %s; its predictions for other lengths have not been evaluated",
            *(model, loaded.lengths),
        )
    written = predict_file(
        loaded,
        sequences,
        out,
        genome=genome.open(),
        width=width,
        any_length=any_length,
        on_error=on_error,
    )
    log.info("%s: %d predictions of %d outputs", out, *written)
