"""`genoglot embed` and `genoglot predict`: what a model makes of DNA."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Device
from genoglot.cli.session import check_device
from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

log = logging.getLogger("genoglot")

BASES = 1 << 16  # read at once

Model = Annotated[Path, typer.Argument(help="Saved model.", show_default=False)]
Input = Annotated[
    Path, typer.Argument(help="FASTA file, or BED file with --genome.", show_default=False)
]
Out = Annotated[
    Path,
    typer.Option("-o", "--out", help="File to write, .parquet or .npy.", show_default=False),
]
GenomeFile = Annotated[
    Path | None, typer.Option(help="FASTA file that the regions are of.", show_default=False)
]
Width = Annotated[
    int | None,
    typer.Option(min=1, help="Window around a region's center, bp.", show_default="the region"),
]


def embed(
    model: Model,
    sequences: Input,
    out: Out,
    genome: GenomeFile = None,
    width: Width = None,
    strands: Annotated[
        Literal["forward", "both"],
        typer.Option(help="Read the strand given, or average over both."),
    ] = "forward",
    device: Device = "auto",
) -> None:
    """Turn DNA into vectors, one of each sequence or region.

    Parquet has a column `vector` behind the names or regions; NPY the vectors only, in order.
    """
    from genoglot.models.sequence_encoder import SequenceEncoder

    _check_out(out)
    encoder = SequenceEncoder.from_pretrained(model).to(_device(device))
    about, vectors = _read(
        sequences, genome, width, lambda *dna, **how: encoder.embed(*dna, strands=strands, **how)
    )
    _write(out, about, vectors, ["vector"])
    log.info("%s: %d vectors of %d numbers", out, *vectors.shape)


def predict(
    model: Model,
    sequences: Input,
    out: Out,
    genome: GenomeFile = None,
    width: Width = None,
    device: Device = "auto",
) -> None:
    """Predict labels, values or classes of DNA, by a model that was trained on some.

    Parquet has a column of each output behind the names or regions; NPY the predictions only.
    """
    from genoglot.models import load_predictor

    _check_out(out)
    loaded = load_predictor(model).to(_device(device))
    about, predictions = _read(sequences, genome, width, loaded.predict)
    names = loaded.names or [f"output_{i}" for i in range(predictions.shape[1])]
    _write(out, about, predictions, names)
    log.info("%s: %d predictions of %d outputs", out, *predictions.shape)


def _check_out(out: Path) -> None:
    if out.suffix not in (".parquet", ".npy"):
        raise GenoglotError(f"{out}: give a name that ends with .parquet or .npy")


def _device(device: str) -> str:
    import torch

    check_device(device)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _read(
    path: Path, genome: Path | None, width: int | None, model: Any
) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Run a model over a file, so many sequences at once as are not too many bases."""
    import numpy as np
    import polars as pl

    from genoglot.sequence.inputs import read_sequences

    about, rows = [], []
    for part in read_sequences(path, genome=genome, width=width):
        at_once = max(BASES // max(part.codes.shape[1], 1), 1)
        rows.append(model(part.codes, part.lengths, batch_size=at_once))
        about.append(part.about)
    if not rows:
        raise GenoglotError(f"{path}: no region in this file; give one with some")
    return pl.concat(about), np.concatenate(rows)


def _write(out: Path, about: pl.DataFrame, rows: NDArray[np.float32], names: list[str]) -> None:
    import numpy as np
    import polars as pl

    from genoglot.files import atomic_path

    with atomic_path(out) as temporary:
        if out.suffix == ".npy":
            np.save(temporary, rows)
            return
        columns = [rows] if names == ["vector"] else list(rows.T)
        taken = [name for name in names if name in about.columns]
        about = about.rename({name: f"input_{name}" for name in taken})
        series = [
            pl.Series(name, np.ascontiguousarray(column))
            for name, column in zip(names, columns, strict=True)
        ]
        about.with_columns(series).write_parquet(temporary)
