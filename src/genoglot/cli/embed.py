"""`genoglot embed` and `genoglot predict`: what a model makes of DNA."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genoglot.cli.options import Device, GenomeAlias, GenomeFiles, OnError, Origin
from genoglot.cli.session import check_device, open_genome
from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from genoglot.sequence.records import SequenceBatch

log = logging.getLogger("genoglot")

BASES = 1 << 16  # read by a model at once

Model = Annotated[Path, typer.Argument(help="Saved model.", show_default=False)]
Input = Annotated[
    Path,
    typer.Argument(
        help="FASTA file, or BED file with --genome; - for standard input.", show_default=False
    ),
]
Out = Annotated[
    Path,
    typer.Option("-o", "--out", help="File to write, .parquet or .npy.", show_default=False),
]
Width = Annotated[
    int | None,
    typer.Option(min=1, help="Window around a region's center, bp.", show_default="the region"),
]


def embed(
    model: Model,
    sequences: Input,
    out: Out,
    genome: GenomeFiles = None,
    origin: Origin = None,
    alias: GenomeAlias = None,
    width: Width = None,
    strands: Annotated[
        Literal["forward", "both"],
        typer.Option(help="Read the strand given, or average over both."),
    ] = "forward",
    on_error: OnError = "raise",
    device: Device = "auto",
) -> None:
    """Turn DNA into vectors, one of each sequence or region.

    Parquet has a column `vector` behind the names or regions; NPY the vectors only, in order.
    """
    from genoglot.models.dna.sequence_encoder import SequenceEncoder
    from genoglot.sequence import read_sequences

    _check_out(out)
    encoder = SequenceEncoder.from_pretrained(model).to(_device(device))
    parts = read_sequences(
        sequences,
        genome=open_genome(genome, origin, alias),
        width=width,
        on_error=on_error,
        check=encoder.check_length,
        readable=encoder.tokenizer.readable,
    )
    rows = _rows(parts, lambda *dna, **how: encoder.embed(*dna, strands=strands, **how))
    log.info("%s: %d vectors of %d numbers", out, *_write(out, rows, ["vector"]))


def predict(
    model: Model,
    sequences: Input,
    out: Out,
    genome: GenomeFiles = None,
    origin: Origin = None,
    alias: GenomeAlias = None,
    width: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Window around a region's center, bp.",
            show_default="what the model was trained on",
        ),
    ] = None,
    any_length: Annotated[
        bool,
        typer.Option(
            "--any-length",
            help="Take sequences and windows of other lengths than the model was trained on; "
            "without --width, windows are the regions.",
        ),
    ] = False,
    on_error: OnError = "raise",
    device: Device = "auto",
) -> None:
    """Predict labels, values or classes of DNA, by a model that was trained on some.

    Parquet has a column of each output behind the names or regions; NPY the predictions only.
    """
    from genoglot.models import load
    from genoglot.sequence import read_sequences

    _check_out(out)
    loaded = load(model, "dna-predictor").to(_device(device))
    trained = loaded.lengths
    if any_length:
        log.warning(
            "%s was trained on %s; how good it is on other lengths has not been measured",
            *(model, trained),
        )
    one_length = trained.shortest == trained.longest and not any_length
    parts = read_sequences(
        sequences,
        genome=open_genome(genome, origin, alias),
        width=width,
        default_width=trained.longest if one_length else None,
        on_error=on_error,
        check=partial(loaded.check_length, any_length=any_length),
        readable=loaded.tokenizer.readable,
    )
    rows = _rows(parts, partial(loaded.predict, any_length=any_length), trained.longest)
    written = _write(out, rows, loaded.names)
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


def _rows(
    parts: Iterator[SequenceBatch], model: Callable[..., NDArray[np.float32]], least: int = 1
) -> Iterator[tuple[pl.DataFrame, NDArray[np.float32]]]:
    """Run a model over sequences, at once as many of about one length as are not too many bases.

    Parameters
    ----------
    parts
        The sequences.
    model
        Called with codes, lengths and `batch_size`; a row for each sequence.
    least
        Length to which the model fills up shorter sequences, bp.
    """
    import numpy as np

    for part in parts:
        order = np.argsort(-part.lengths, kind="stable")
        found: list[NDArray[np.float32]] = []
        at = 0
        while at < len(order):
            longest = int(part.lengths[order[at]])
            chosen = order[at : at + max(BASES // max(longest, least), 1)]
            dna = part.codes[chosen, :longest], part.lengths[chosen]
            found.append(model(*dna, batch_size=len(chosen)))
            at += len(chosen)
        rows = np.concatenate(found)
        rows[order] = rows.copy()
        yield part.metadata, rows


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
