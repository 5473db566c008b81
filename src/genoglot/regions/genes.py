"""`Genes`: transcription start sites, and the nearest one to each region."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import AnnotationError, BedFormatError, some
from genoglot.files import read_lines
from genoglot.regions.bed import BedReader
from genoglot.regions.chromosomes import Alias, check_names, unknown_chromosome
from genoglot.regions.gff import is_gff, read_gff_genes
from genoglot.regions.intervals import Coordinates
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
        `+`, `-` or `.` in any spelling that `read_strands` reads, shape (n,). An unknown strand,
        `.`, is treated as `+`.

    Raises
    ------
    GenoglotError
        If a strand or a chromosome name is not valid, or the lengths differ.

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
        self.tss: Coordinates = np.asarray(tss, dtype=np.int64)
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
        """Read GTF, GFF3 or BED, plain, gzip or bgzip; the format is found from the content.

        GTF and GFF3: the gene records are used, or the transcripts if there are none. The name of
        a gene is the first attribute that it has of gene_name, Name, gene_id and ID. BED: every
        region is a gene, or a TSS of one base; its start is the TSS, or its last base on strand
        `-`. A gene without a name is called by its 1-based position, such as `chr1:101`.

        Parameters
        ----------
        path
            The file; `-` is standard input.
        alias
            Spelling to which chromosome names are translated: see `rename_chromosome`.

        Returns
        -------
        Genes
            The genes, in the order of the file.

        Raises
        ------
        AnnotationError
            If the file holds neither genes nor transcripts, or a line cannot be read.
        GenoglotError
            If the file cannot be read, or a strand is not valid.
        """
        data = read_lines(path)
        read = cls._from_gff if is_gff(data, path) else cls._from_bed
        return read(data, path, alias)

    @classmethod
    def _from_bed(cls, data: bytes, path: str | Path, alias: Alias | None) -> Genes:
        try:
            regions = Regions.from_codes(*BedReader(path, alias=alias).read(data))
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

    def nearest(self, regions: Regions) -> tuple[Names, Coordinates]:
        """Find the gene whose TSS is nearest to each region, and the distance of the region.

        A notice reports the number of regions on chromosomes without a gene.

        Returns
        -------
        names
            Gene names, str objects, shape (n,); empty if the chromosome has no gene.
        distance
            Base pairs from the TSS to the region's nearest base, int64, shape (n,): 0 if the
            region covers the TSS, negative if it is upstream (before the TSS in the direction of
            the gene), positive downstream; `NO_NEIGHBOR` if there is no gene.

        Raises
        ------
        ChromosomeNameError
            If regions and genes spell a chromosome differently, or have none in common.
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
                name = regions.chrom_names[0]
                raise unknown_chromosome(name, known, theirs="the gene annotation")
            logger.warning(
                "%d of %d regions are on chromosomes without a gene (%s)",
                *(int((~found).sum()), len(regions), without),
            )
        names = np.full(len(regions), "", dtype=object)
        names[found] = self.name[row[found]]
        # `Regions.nearest` is negative if the TSS is on the left: the region is downstream of a
        # gene on the plus strand.
        minus = np.zeros(len(regions), bool)
        minus[found] = self.strand[row[found]] == "-"
        return names, np.where(found & ~minus, -distance, distance)


def _named(
    names: Sequence[str | None], chrom: Sequence[str], tss: Sequence[int], path: str | Path
) -> list[str]:
    """Call genes without a name by their 1-based position."""
    missing = [i for i, name in enumerate(names) if name is None]
    named = [f"{chrom[i]}:{tss[i] + 1}" if n is None else n for i, n in enumerate(names)]
    if missing:
        logger.warning(
            "%s: %d of %d genes have no name; they are called by their position, such as %s",
            *(path, len(missing), len(named), named[missing[0]]),
        )
    return named
