"""Digests of data and of models, by which a checkpoint is known to be of the same training."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

_BLOCK = 1 << 24  # numbers


def data_digest(*arrays: Any) -> str:
    """Return the SHA-256 digest of arrays; 16 million numbers are read at a time.

    Examples
    --------
    >>> data_digest(np.zeros((2, 3))) == data_digest(np.zeros((3, 2)))
    False
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(None if array is None else array.shape).encode())
        if array is not None:
            step = max(_BLOCK // max(math.prod(array.shape[1:]), 1), 1)
            for i in range(0, len(array), step):
                digest.update(np.ascontiguousarray(array[i : i + step]).data)
    return digest.hexdigest()


def saved_digest(model: Any) -> str:
    """Return the SHA-256 digest of all that `model.save_pretrained` writes."""
    digest = hashlib.sha256()
    with TemporaryDirectory(prefix="genoglot-") as folder:
        model.save_pretrained(folder)
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                digest.update(file.read_bytes())
    return digest.hexdigest()
