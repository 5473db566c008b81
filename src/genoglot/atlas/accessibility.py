"""`Accessibility`: which regions are open in which cell types."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genoglot.atlas.store import Atlas
from genoglot.errors import AtlasError, some
from genoglot.regions import Regions

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Accessibility:
    """Regions, cell types, and which region is open in which cell type.

    Attributes
    ----------
    regions
        n regions, in any order.
    cell_types
        Distinct names of the cell types.
    open_regions
        bool (cell types, n): true where the region is open in the cell type. Any sparse array can
        be given, such as one of counts; what is not 0 is open.
    name
        What errors call the data, such as their file.
    genome
        Name of the genome assembly, such as "hg38"; empty if it is unknown.

    Raises
    ------
    AtlasError
        If the shapes differ, or two cell types have the same name.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> regions = Regions(["chr1", "chr1"], [0, 900], [500, 1400])
    >>> opened = csr_array(np.array([[True, False], [True, True]]))
    >>> Accessibility(regions, ["B cell", "monocyte"], opened, name="pbmc")
    Accessibility(pbmc: 2 regions, 2 cell types, 3 open regions)
    """

    regions: Regions
    cell_types: list[str]
    open_regions: csr_array
    name: str
    genome: str = ""

    def __post_init__(self) -> None:
        from scipy.sparse import csr_array

        expected = (len(self.cell_types), len(self.regions))
        if self.open_regions.shape != expected:
            raise AtlasError(
                f"{self.name}: open_regions has the shape {self.open_regions.shape}, but there are "
                f"{expected[0]} cell types and {expected[1]} regions; give one row per cell type"
            )
        if repeated := [name for name, n in Counter(self.cell_types).items() if n > 1]:
            raise AtlasError(
                f"{self.name}: several cell types are called {some(repeated)}; rename them"
            )
        opened = csr_array(self.open_regions, copy=True)
        opened.sum_duplicates()
        opened = opened.astype(np.bool_, copy=False)
        opened.eliminate_zeros()
        object.__setattr__(self, "open_regions", opened)

    @classmethod
    def of(cls, source: Accessibility | Atlas) -> Accessibility:
        """Return the accessible regions of an atlas, where each region set is a cell type.

        Parameters
        ----------
        source
            An atlas, or accessible regions, which are returned as they are.
        """
        if isinstance(source, Accessibility):
            return source
        return cls(
            source.universe.regions,
            source.metadata["id"].to_list(),
            source.presence(),
            str(source.path),
            source.genome,
        )

    def __repr__(self) -> str:
        return (
            f"Accessibility({self.name}: {len(self.regions):,} regions, "
            f"{len(self.cell_types):,} cell types, {self.open_regions.nnz:,} open regions)"
        )
