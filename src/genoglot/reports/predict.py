"""Vectors and predictions of the sequences of a file, written as Parquet or NPY."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import GenoglotError
from genoglot.files import atomic_path
from genoglot.models.dna.nucleotide_model import NucleotideModel
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.sequence import Genome, SequenceBatch, read_sequences

log = logging.getLogger("genoglot")

MAX_BASES = 1 << 16
"""Number of bases that a model reads at once, unless a single sequence has more."""

Floats = NDArray[np.float32]


def embed_file(
    encoder: SequenceEncoder,
    sequences: str | Path,
    out: Path,
    *,
    genome: Genome | None = None,
    width: int | None = None,
    strands: Literal["forward", "both"] = "forward",
    on_error: Literal["raise", "skip"] = "raise",
) -> tuple[int, int]:
    """Write the vectors of the sequences of a file.

    Parameters
    ----------
    encoder
        Encoder of DNA, on the device to use.
    sequences, genome, width, on_error
        As for `genoglot.sequence.read_sequences`.
    out
        File to write. Parquet has the column `vector` after the columns of the sequences; NPY has
        only the vectors, in the order of the sequences.
    strands
        Whether to read the given strand, or to average over both.

    Returns
    -------
    int
        Number of vectors.
    int
        Length of a vector.
    """
    check_output(out)
    batches = read_sequences(
        sequences,
        genome=genome,
        width=width,
        on_error=on_error,
        check=encoder.check_length,
        readable=encoder.tokenizer.readable,
    )

    def embed(*dna: NDArray[Any], batch_size: int) -> Floats:
        return encoder.embed(*dna, strands=strands, batch_size=batch_size)

    return write_rows(out, _apply(embed, batches), ["vector"])


def predict_file(
    model: Any,
    sequences: str | Path,
    out: Path,
    *,
    genome: Genome | None = None,
    width: int | None = None,
    any_length: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
) -> tuple[int, int]:
    """Write the predictions for the sequences of a file.

    Parameters
    ----------
    model
        Predictor of DNA, on the device to use.
    sequences, genome, on_error
        As for `genoglot.sequence.read_sequences`.
    out
        File to write. Parquet has a column for each output after the columns of the sequences; NPY
        has only the predictions, in the order of the sequences.
    width
        Length of windows around the centers of regions, bp; by default the length that the model
        was trained on, if it was a single one.
    any_length
        Also read sequences of other lengths than those of the training.

    Returns
    -------
    int
        Number of predictions.
    int
        Number of outputs.
    """
    check_output(out)
    if isinstance(model, NucleotideModel):
        raise GenoglotError(
            "this model predicts nucleotides, not whole sequences; use NucleotideModel.predict in "
            "Python"
        )
    trained = model.lengths
    one_length = trained.shortest == trained.longest and not any_length
    batches = read_sequences(
        sequences,
        genome=genome,
        width=width,
        default_width=trained.longest if one_length else None,
        on_error=on_error,
        check=partial(model.check_length, any_length=any_length),
        readable=model.tokenizer.readable,
    )
    predict = partial(model.predict, any_length=any_length)
    return write_rows(out, _apply(predict, batches, padded=trained.longest), model.names)


def check_output(out: Path) -> None:
    """Refuse a file whose name ends neither with .parquet nor with .npy."""
    if out.suffix not in (".parquet", ".npy"):
        raise GenoglotError(f"{out}: give a name that ends with .parquet or .npy")


def _apply(
    model: Callable[..., Floats], batches: Iterator[SequenceBatch], padded: int = 1
) -> Iterator[tuple[pl.DataFrame, Floats]]:
    """Run a model over sequences, at once on those of similar length.

    Parameters
    ----------
    model
        Function of codes, lengths and `batch_size` that returns a row for each sequence.
    batches
        The sequences.
    padded
        Length to which the model pads shorter sequences, bp.
    """
    for batch in batches:
        order = np.argsort(-batch.lengths, kind="stable")
        found: list[Floats] = []
        first = 0
        while first < len(order):
            longest = int(batch.lengths[order[first]])
            chosen = order[first : first + max(MAX_BASES // max(longest, padded), 1)]
            dna = batch.codes[chosen, :longest], batch.lengths[chosen]
            found.append(model(*dna, batch_size=len(chosen)))
            first += len(chosen)
        rows = np.concatenate(found)
        rows[order] = rows.copy()
        yield batch.metadata, rows


def write_rows(
    out: Path, batches: Iterator[tuple[pl.DataFrame, Floats]], names: Sequence[str] | None
) -> tuple[int, int]:
    """Write rows as they are computed, so that they are never all in memory.

    Parameters
    ----------
    out
        File to write, Parquet or NPY: see `check_output`.
    batches
        Metadata and numbers of some rows at a time.
    names
        Columns of the numbers in Parquet; `["vector"]` for one column of vectors, None for
        `output_0` and so on.

    Returns
    -------
    int
        Number of rows.
    int
        Number of columns.
    """
    with atomic_path(out) as temporary:
        if out.suffix == ".npy":
            return _write_npy(temporary, batches)
        return _write_parquet(temporary, batches, names)


def _write_npy(path: Path, batches: Iterator[tuple[pl.DataFrame, Floats]]) -> tuple[int, int]:
    header: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": (0, 0)}
    with path.open("wb") as file:
        for _, rows in batches:
            if not file.tell():
                header["shape"] = 0, rows.shape[1]
                np.lib.format.write_array_header_1_0(file, header)
            header["shape"] = header["shape"][0] + len(rows), rows.shape[1]
            file.write(rows.astype("<f4").tobytes())
        file.seek(0)  # numpy reserves space in a header for a longer first axis
        np.lib.format.write_array_header_1_0(file, header)
    n, width = header["shape"]
    return n, width


def _write_parquet(
    path: Path, batches: Iterator[tuple[pl.DataFrame, Floats]], names: Sequence[str] | None
) -> tuple[int, int]:
    import pyarrow.parquet as pq

    n = width = 0
    writer = None
    try:
        for metadata, rows in batches:
            width = rows.shape[1]
            columns = names or [f"output_{i}" for i in range(width)]
            values = [rows] if columns == ["vector"] else list(rows.T)
            series = [
                pl.Series(name, np.ascontiguousarray(column))
                for name, column in zip(columns, values, strict=True)
            ]
            taken = [name for name in columns if name in metadata.columns]
            metadata = metadata.rename({name: f"input_{name}" for name in taken})
            table = metadata.with_columns(series).to_arrow()
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            n += len(rows)
    finally:
        if writer is not None:
            writer.close()
    return n, width
