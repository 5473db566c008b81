"""Genes as transcription start sites, and the nearest one to each region."""

from __future__ import annotations

import io
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import AnnotationError, BedFormatError
from genoglot.files import read_bytes
from genoglot.regions.algebra import Ints
from genoglot.regions.bed import read_bed
from genoglot.regions.regions import Regions

Names = NDArray[np.object_]

# Records that are genes (Ensembl's GFF3 has its own words), and the next best ones.
_GENES = ["gene", "ncRNA_gene", "pseudogene"]
_TRANSCRIPTS = ["transcript", "mRNA"]
_GFF_COLUMNS = "chrom source feature start end score strand frame attributes"


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
        `+`, `-`, or `.` for unknown, which is taken for `+`; shape (n,).

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
        self.strand: Names = np.asarray(strand, dtype=object)
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
    def from_file(cls, path: str | Path) -> Genes:
        """Read GTF, GFF3 or BED, plain, gzip or bgzip.

        Of GTF and GFF3 the gene records are taken, or, if there are none, the transcripts; a
        gene's name is its gene_name, Name, gene_id or ID, the first that it has. Of BED every
        region is a gene, or a TSS of one base: its start is the TSS, or its last base on strand
        `-`. Where BED has no names, the 1-based position stands in, as in `chr1:101`.

        Raises
        ------
        AnnotationError
            If the file holds neither genes nor transcripts, or a line cannot be read.
        """
        name = re.sub(r"\.b?gz$", "", str(path)).lower()
        if name.endswith((".gtf", ".gff", ".gff3")):
            return cls._from_gff(path)
        return cls._from_bed(path)

    @classmethod
    def _from_bed(cls, path: str | Path) -> Genes:
        try:
            regions = read_bed(path)
        except BedFormatError as error:
            raise AnnotationError(
                f"{path}:{error.line_number}: {error.problem}: give BED, or GTF or GFF3 with its "
                "ending (.gtf, .gff, .gff3)"
            ) from None
        n = len(regions)
        has = regions.columns.columns
        strand = (
            regions.columns["strand"].fill_null(".").to_numpy() if "strand" in has else ["."] * n
        )
        last = np.maximum(regions.end - 1, regions.start)
        tss = np.where(np.asarray(strand, dtype=object) == "-", last, regions.start)
        places = np.array([f"{c}:{t + 1}" for c, t in zip(regions.chrom, tss, strict=True)], object)
        name = places
        if "name" in has:
            given = regions.columns["name"].fill_null(".").to_numpy()
            name = np.where(given == ".", places, given)
        return cls(name, regions.chrom, tss, strand)

    @classmethod
    def _from_gff(cls, path: str | Path) -> Genes:
        table = _read_gff(path)
        for features in (_GENES, _TRANSCRIPTS):
            chosen = table.filter(pl.col("feature").is_in(features))
            if len(chosen):
                break
        else:
            raise AnnotationError(f"{path}: holds no gene and no transcript records")
        # 1-based, closed intervals: the first base is start - 1 here, the last one end - 1.
        tss = pl.when(pl.col("strand") == "-").then(pl.col("end")).otherwise(pl.col("start")) - 1
        chosen = chosen.with_columns(tss=tss).with_columns(name=_gene_name())
        name = [unquote(text) for text in chosen["name"].to_list()]
        return cls(name, chosen["chrom"].to_numpy(), chosen["tss"], chosen["strand"].to_numpy())

    def nearest(self, regions: Regions) -> tuple[Names, Ints]:
        """Find the gene whose TSS is nearest to each region, and how far the region is from it.

        Returns
        -------
        names
            str objects, shape (n,); empty where the chromosome holds no gene.
        distance
            Base pairs from the TSS to the region's nearest base, int64, shape (n,): 0 if the
            region covers the TSS, negative if it lies upstream (before the TSS in the gene's own
            direction), positive downstream; `NO_NEIGHBOR` if there is no gene.
        """
        row, distance = regions.nearest(self._sites)
        found = row >= 0
        names = np.full(len(regions), "", dtype=object)
        names[found] = self.name[row[found]]
        # `Regions.nearest` is negative where the TSS is on the left, so the region downstream of
        # a gene on the plus strand.
        minus = np.zeros(len(regions), bool)
        minus[found] = self.strand[row[found]] == "-"
        return names, np.where(found & ~minus, -distance, distance)


def _gene_name() -> pl.Expr:
    """First of the known name attributes, in GTF (key "value") or GFF3 (key=value) spelling."""
    attributes = pl.col("attributes")
    keys = ["gene_name", "Name", "gene_id", "ID"]
    found = [attributes.str.extract(rf'(?:^|;)\s*{key}[ =]"?([^";]+)"?') for key in keys]
    place = pl.concat_str(pl.col("chrom"), pl.lit(":"), pl.col("tss") + 1)
    return pl.coalesce(*found, place)


def _read_gff(path: str | Path) -> pl.DataFrame:
    data = read_bytes(path).partition(b"\n##FASTA")[0]
    wanted = {feature.encode() for feature in (*_GENES, *_TRANSCRIPTS)}
    rows: list[tuple[str, str, int, int, str, str]] = []
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        fields = line.rstrip(b"\r\n").split(b"\t")
        if len(fields) != 9 or not (fields[3].isdigit() and fields[4].isdigit()):
            raise AnnotationError(
                f"{path}:{number}: a GTF or GFF3 line has nine tab-separated columns "
                f"({_GFF_COLUMNS}), start and end being whole numbers"
            )
        if fields[2] in wanted:
            chrom, _, feature, start, end, _, strand, _, attributes = (f.decode() for f in fields)
            rows.append((chrom, feature, int(start), int(end), strand, attributes))
    kinds = {"chrom": pl.String, "feature": pl.String, "start": pl.Int64, "end": pl.Int64}
    return pl.DataFrame(
        rows, schema={**kinds, "strand": pl.String, "attributes": pl.String}, orient="row"
    )
