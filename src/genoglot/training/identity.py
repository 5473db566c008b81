"""Digests of data and of models, by which a checkpoint is known to be of the same training."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from genoglot.files import ContentDigest

_BLOCK = 1 << 24  # numbers


def data_digest(*arrays: Any) -> str:
    """Return the SHA-256 digest of arrays; 16 million numbers are read at a time.

    Examples
    --------
    >>> data_digest(np.zeros((2, 3))) == data_digest(np.zeros((3, 2)))
    False
    """
    digest = ContentDigest()
    for array in arrays:
        digest.add(str(None if array is None else array.shape))
        if array is not None:
            step = max(_BLOCK // max(math.prod(array.shape[1:]), 1), 1)
            for i in range(0, len(array), step):
                digest.add(np.asarray(array[i : i + step]))
    return digest.hexdigest()


def saved_digest(model: Any) -> str:
    """Return the SHA-256 digest of all that `model.save_pretrained` writes."""
    digest = ContentDigest()
    with TemporaryDirectory(prefix="genoglot-") as folder:
        model.save_pretrained(folder)
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                digest.add(file.read_bytes())
    return digest.hexdigest()
