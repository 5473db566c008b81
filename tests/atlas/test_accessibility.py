"""`Accessibility` of sparse arrays in every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import bsr_array, coo_array, csc_array, csr_array, lil_array

from genoglot.atlas.accessibility import Accessibility
from genoglot.regions import Regions

OPEN = np.array([[True, False, True], [False, False, True]])
REGIONS = Regions(["chr1"] * 3, [0, 500, 900], [100, 600, 950])


@pytest.mark.parametrize("kind", [bsr_array, coo_array, csc_array, csr_array, lil_array])
@pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
def test_any_sparse_array_is_read(kind: Callable[[Any], Any], dtype: type) -> None:
    data = Accessibility(REGIONS, ["a", "b"], kind(OPEN.astype(dtype) * dtype(3)), "source")
    assert (data.open_regions.toarray() == OPEN).all()
    assert data.open_regions.indices.tolist() == [0, 2, 2]
    assert "3 open regions" in repr(data)


def test_stored_zeros_and_duplicates_are_not_open_regions() -> None:
    row, column = [0, 0, 0, 0, 1, 1], [2, 0, 1, 2, 2, 0]
    stored = coo_array((np.array([True, True, False, True, True, False]), (row, column)), (2, 3))
    given = csr_array(stored)
    for array in (stored, given):
        data = Accessibility(REGIONS, ["a", "b"], array, "source")
        assert data.open_regions.indices.tolist() == [0, 2, 2]
    assert given.nnz == 5  # what was given is unchanged
