"""Batches of sequences of different lengths: truncated, padded, as lists, arrays or tensors."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.sequence.alphabet import Codes, Lengths, N

Padding = bool | Literal["longest", "max_length"]
Tensors = Literal["np", "pt"] | None


def check_codes(codes: Codes, lengths: Lengths | None) -> tuple[Codes, Lengths]:
    """Check a batch of codes and its lengths.

    Parameters
    ----------
    codes
        uint8 (n, length).
    lengths
        Number of bases of each row, int64 (n,); by default `length`.

    Returns
    -------
    tuple of Codes and Lengths
        Both as arrays.

    Raises
    ------
    SequenceError
        If the codes are not a batch, or the lengths do not fit them.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.dtype != np.uint8:
        raise SequenceError(f"the codes are {codes.dtype} {codes.shape}; give uint8 (n, length)")
    if codes.max(initial=0) > N:
        raise SequenceError(f"code {codes.max()} is not one of A C G T N = 0 1 2 3 4")
    if lengths is None:
        return codes, np.full(len(codes), codes.shape[1], np.int64)
    lengths = np.asarray(lengths, np.int64)
    if lengths.shape != (len(codes),) or not ((lengths >= 0) & (lengths <= codes.shape[1])).all():
        raise SequenceError(f"lengths are not {len(codes)} numbers of up to {codes.shape[1]}")
    return codes, lengths


def token_limit(
    padding: Padding, truncation: bool, max_length: int | None, special: int
) -> int | None:
    """Maximum number of tokens besides the `special` ones; None without a limit."""
    if padding not in (True, False, "longest", "max_length"):
        raise SequenceError(f'padding is {padding!r}; use True, False, "longest" or "max_length"')
    if max_length is None:
        if truncation or padding == "max_length":
            raise SequenceError("truncation and padding to max_length need max_length; give it")
        return None
    if not truncation and padding != "max_length":
        raise SequenceError('max_length needs truncation=True or padding="max_length"; give one')
    if max_length < special:
        raise SequenceError(f"max_length is {max_length}, less than the {special} special tokens")
    return max_length - special if truncation else None


def pad_rows(
    items: NDArray[Any],
    counts: Lengths,
    fill: int,
    padding: Padding,
    max_length: int | None,
    return_tensors: Tensors,
) -> tuple[Any, Any]:
    """Pad rows of items to one length.

    Parameters
    ----------
    items
        (n, length of the longest row or more); padding is written into it.
    counts
        Number of items of each row, int64 (n,).
    fill
        Item to pad with.
    padding, max_length, return_tensors
        See `DnaTokenizer.__call__`.

    Returns
    -------
    tuple
        The items and their attention mask, as lists, arrays or tensors.
    """
    if return_tensors not in (None, "np", "pt"):
        raise SequenceError(f'return_tensors is {return_tensors!r}; use "np", "pt" or None')
    longest = int(counts.max(initial=0))
    width = max_length if padding == "max_length" and max_length is not None else longest
    if width < longest:
        raise SequenceError(
            f"a sequence has {longest} tokens, more than max_length {width}; "
            "give truncation=True or a larger one"
        )
    if items.shape[1] < width:
        items = np.pad(items, ((0, 0), (0, width - items.shape[1])))
    items = items[:, :width]
    # Where nothing is padded, all ones, which take no memory: touching it would take longer than
    # tokenizing.
    mask: Lengths = np.broadcast_to(np.int64(1), items.shape)
    missing = np.arange(width) >= counts[:, None] if (counts < width).any() else None
    if missing is not None:
        if not padding and return_tensors is not None:
            raise SequenceError(
                f"the sequences have {counts.min()} to {longest} tokens; "
                "give padding=True to get tensors"
            )
        items[missing] = fill
        mask = (~missing).astype(np.int64)
    if return_tensors is None:
        widths = [width] * len(items) if padding else counts.tolist()
        rows = [[row[:n].tolist() for row, n in zip(a, widths, strict=True)] for a in (items, mask)]
        return rows[0], rows[1]
    if return_tensors == "pt":
        import torch

        mask = mask if mask.flags.writeable else mask.copy()
        return torch.from_numpy(items), torch.from_numpy(mask)
    return items, mask
