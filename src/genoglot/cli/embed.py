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
    from collections.abc import Iterator

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from genoglot.sequence import DnaTokenizer

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
    parts = _parts(
        sequences, genome, width, lambda *dna, **how: encoder.embed(*dna, strands=strands, **how),
        encoder.tokenizer,
    )  # fmt: skip
    log.info("%s: %d vectors of %d numbers", out, *_write(out, parts, ["vector"]))


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
    parts = _parts(sequences, genome, width, loaded.predict, loaded.tokenizer)
    written = _write(out, parts, loaded.names)
    log.info("%s: %d predictions of %d outputs", out, *written)


def _check_out(out: Path) -> None:
    if out.suffix not in (".parquet", ".npy"):
        raise GenoglotError(f"{out}: give a name that ends with .parquet or .npy")


def _device(device: str) -> str:
    import torch

    check_device(device)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _parts(
    path: Path, genome: Path | None, width: int | None, model: Any, tokenizer: DnaTokenizer
) -> Iterator[tuple[pl.DataFrame, NDArray[np.float32]]]:
    """Run a model over a file, so many sequences at once as are not too many bases."""
    from genoglot.sequence.inputs import read_sequences

    part, n, unread = None, 0, 0
    for part in read_sequences(path, genome=genome, width=width):
        at_once = max(BASES // max(part.codes.shape[1], 1), 1)
        n += len(part.lengths)
        unread += int((~tokenizer.readable(part.codes, part.lengths)).sum())
        yield part.about, model(part.codes, part.lengths, batch_size=at_once)
    if part is None:
        raise GenoglotError(f"{path}: no region in this file; give one with some")
    if unread:
        log.warning(
            "%s: %d of %d sequences are shorter than the model's tokens or have no known base: "
            "it reads nothing of them, and what it says of them means nothing",
            path, unread, n,
        )  # fmt: skip


def _write(
    out: Path, parts: Iterator[tuple[pl.DataFrame, NDArray[np.float32]]], names: list[str] | None
) -> tuple[int, int]:
    """Write rows as they come; return how many there are, of how many numbers."""
    from genoglot.files import atomic_path

    with atomic_path(out) as temporary:
        if out.suffix == ".npy":
            return _write_npy(temporary, parts)
        return _write_parquet(temporary, parts, names)


def _write_npy(
    path: Path, parts: Iterator[tuple[pl.DataFrame, NDArray[np.float32]]]
) -> tuple[int, int]:
    import numpy as np

    about: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": (0, 0)}
    with path.open("wb") as file:
        for _, rows in parts:
            if not file.tell():
                about["shape"] = 0, rows.shape[1]
                np.lib.format.write_array_header_1_0(file, about)
            about["shape"] = about["shape"][0] + len(rows), rows.shape[1]
            file.write(rows.astype("<f4").tobytes())
        file.seek(0)  # numpy leaves room in a header for the first axis to grow
        np.lib.format.write_array_header_1_0(file, about)
    n, width = about["shape"]
    return n, width


def _write_parquet(
    path: Path, parts: Iterator[tuple[pl.DataFrame, NDArray[np.float32]]], names: list[str] | None
) -> tuple[int, int]:
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    n = width = 0
    writer = None
    try:
        for about, rows in parts:
            width = rows.shape[1]
            columns = names or [f"output_{i}" for i in range(width)]
            values = [rows] if columns == ["vector"] else list(rows.T)
            taken = [name for name in columns if name in about.columns]
            series = [
                pl.Series(name, np.ascontiguousarray(column))
                for name, column in zip(columns, values, strict=True)
            ]
            about = about.rename({name: f"input_{name}" for name in taken})
            table = about.with_columns(series).to_arrow()
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            n += len(rows)
    finally:
        if writer is not None:
            writer.close()
    return n, width
