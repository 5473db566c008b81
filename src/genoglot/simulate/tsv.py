"""Compressed tables of text."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import polars as pl


def write_gzip(path: Path, frame: pl.DataFrame, *, header: bool = True) -> None:
    """Write a tab-separated table whose bytes depend on its content only.

    Parameters
    ----------
    path
        The file.
    frame
        The table.
    header
        Write the names of the columns.
    """
    text = io.BytesIO()
    frame.write_csv(text, include_header=header, separator="\t")
    path.write_bytes(gzip.compress(text.getvalue(), compresslevel=1, mtime=0))
