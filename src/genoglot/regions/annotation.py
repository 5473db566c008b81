"""Genes as transcription start sites, and the nearest one to each region."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import AnnotationError, BedFormatError, ChromosomeNameError, some
from genoglot.files import read_lines
from genoglot.regions.algebra import Ints
from genoglot.regions.bed import parse_bed
from genoglot.regions.chromosomes import Alias, check_names
from genoglot.regions.gff import is_gff, read_gff_genes
from genoglot.regions.regions import Regions
from genoglot.regions.strand import read_strands

logger = logging.getLogger("genoglot")

Names = NDArray[np.object_]


class Genes:
    """Transcription start sites (TSS) with names and strands.

    Parameters
    ----------
    name
        Gene names, shape (n,).
    chrom
        Chromosome names, shape (n,).
    tss
        0-based position of the first transcribed base, shape (n,).
    strand
        `+`, `-`, or `.` for unknown, which is taken for `+`, in any spelling that `read_strands`
        knows; shape (n,).

    Raises
    ------
    GenoglotError
        If a strand or a chromosome name cannot be one, or the lengths differ.

    Examples
    --------
    >>> genes = Genes(["A", "B"], ["chr1", "chr1"], [100, 500], ["+", "-"])
    >>> names, distance = genes.nearest(Regions(["chr1", "chr1"], [90, 600], [99, 610]))
    >>> list(names), distance
    (['A', 'B'], array([ -2, -100]))
    """

    def __init__(
        self, name: ArrayLike, chrom: ArrayLike, tss: ArrayLike, strand: ArrayLike
    ) -> None:
        self.name: Names = np.asarray(name, dtype=object)
        self.strand: Names = read_strands(np.asarray(strand, dtype=object), "the genes")
        self.tss: Ints = np.asarray(tss, dtype=np.int64)
        self._sites = Regions(chrom, self.tss, self.tss + 1)

    @property
    def chrom(self) -> Names:
        """Chromosome name of each gene, str objects, shape (n,)."""
        return self._sites.chrom

    def __len__(self) -> int:
        return len(self.tss)

    def __repr__(self) -> str:
        return f"Genes({len(self)} on {len(self._sites.chrom_names)} chromosomes)"

    @classmethod
    def from_file(cls, path: str | Path, *, alias: Alias | None = None) -> Genes:
        """Read GTF, GFF3 or BED, plain, gzip or bgzip, told apart by their content.

        Of GTF and GFF3 the gene records are taken, or, if there are none, the transcripts; a
        gene's name is its gene_name, Name, gene_id or ID, the first that it has. Of BED every
        region is a gene, or a TSS of one base: its start is the TSS, or its last base on strand
        `-`. Where a gene has no name, its 1-based position is taken, as in `chr1:101`.

        Parameters
        ----------
        path
            The file; `-` is standard input.
        alias
            Spelling of the chromosomes to translate to: see `rename_chromosome`.

        Raises
        ------
        AnnotationError
            If the file holds neither genes nor transcripts, or a line cannot be read.
        GenoglotError
            If the file cannot be read, or a strand is in no known spelling.
        """
        data = read_lines(path)
        read = cls._from_gff if is_gff(data, path) else cls._from_bed
        return read(data, path, alias)

    @classmethod
    def _from_bed(cls, data: bytes, path: str | Path, alias: Alias | None) -> Genes:
        try:
            regions = parse_bed(data, path, alias=alias)
        except BedFormatError as error:
            raise AnnotationError(f"{error.what} (genes are given as BED, GTF or GFF3)") from None
        columns, none = regions.columns, [None] * len(regions)
        has = columns.columns
        strand = read_strands(columns["strand"] if "strand" in has else none, str(path))
        last = np.maximum(regions.end - 1, regions.start)
        tss = np.where(strand == "-", last, regions.start)
        name = [None if one == "." else one for one in columns["name"]] if "name" in has else none
        return cls(
            _named(name, regions.chrom.tolist(), tss.tolist(), path), regions.chrom, tss, strand
        )

    @classmethod
    def _from_gff(cls, data: bytes, path: str | Path, alias: Alias | None) -> Genes:
        name, chrom, tss, strand = zip(*read_gff_genes(data, path, alias), strict=True)
        return cls(_named(name, chrom, tss, path), chrom, tss, strand)

    def nearest(self, regions: Regions) -> tuple[Names, Ints]:
        """Find the gene whose TSS is nearest to each region, and how far the region is from it.

        A notice reports how many regions are on chromosomes without a gene.

        Returns
        -------
        names
            str objects, shape (n,); empty where the chromosome holds no gene.
        distance
            Base pairs from the TSS to the region's nearest base, int64, shape (n,): 0 if the
            region covers the TSS, negative if it lies upstream (before the TSS in the gene's own
            direction), positive downstream; `NO_NEIGHBOR` if there is no gene.

        Raises
        ------
        ChromosomeNameError
            If regions and genes spell a chromosome differently, or share none.
        """
        known = self._sites.chrom_names
        check_names(
            regions.chrom_names,
            known,
            ours="the region set",
            theirs="the gene annotation",
            renamed="theirs",
        )
        row, distance = regions.nearest(self._sites)
        found = row >= 0
        if not found.all():
            without = some(name for name in regions.chrom_names if name not in known)
            if not found.any():
                raise ChromosomeNameError(
                    f"no gene is on a chromosome of the regions ({without}), but on "
                    f"{some(known) or 'none'}; give the genes of that genome"
                )
            logger.warning(
                "%d of %d regions are on chromosomes without a gene (%s)",
                *(int((~found).sum()), len(regions), without),
            )
        names = np.full(len(regions), "", dtype=object)
        names[found] = self.name[row[found]]
        # `Regions.nearest` is negative where the TSS is on the left, so the region downstream of
        # a gene on the plus strand.
        minus = np.zeros(len(regions), bool)
        minus[found] = self.strand[row[found]] == "-"
        return names, np.where(found & ~minus, -distance, distance)


def _named(
    names: Sequence[str | None], chrom: Sequence[str], tss: Sequence[int], path: str | Path
) -> list[str]:
    """Give genes without a name their 1-based position as one."""
    named = [
        f"{c}:{t + 1}" if one is None else one for one, c, t in zip(names, chrom, tss, strict=True)
    ]
    if n := sum(one is None for one in names):
        first = named[[one is None for one in names].index(True)]
        logger.warning(
            "%s: %d of %d genes have no name; their position is taken instead, as in %s",
            *(path, n, len(named), first),
        )
    return named
