"""Read transcripts with their exons from GTF and GFF3 files."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from genoglot.errors import AnnotationError
from genoglot.files import read_lines
from genoglot.regions.chromosomes import name_problem
from genoglot.regions.gff import (
    Record,
    check_range,
    read_attributes,
    read_lengths,
    read_records,
)
from genoglot.regions.strand import read_strand

logger = logging.getLogger("genoglot")

# GFF3 gives coding sequence two parents, the transcript and its protein; a protein has no exons.
_PROTEINS = (b"protein", b"polypeptide")
_BIOTYPES = ("transcript_biotype", "transcript_type", "gene_biotype", "gene_type", "biotype")


class Transcript(NamedTuple):
    """A transcript.

    Attributes
    ----------
    name, gene
        Names (ids) of the transcript and of its gene.
    chrom, strand
        Chromosome, and `+`, `-` or `.`, also where exons lie on both strands (trans-splicing).
    exons
        Start and end of each exon, 0-based and half-open, sorted by position on the plus strand.
    biotype
        Biotype such as protein_coding; empty if the file has none.
    """

    name: str
    gene: str
    chrom: str
    strand: str
    exons: tuple[tuple[int, int], ...]
    biotype: str = ""

    @property
    def start(self) -> int:
        """Position of the first base on the plus strand, 0-based."""
        return self.exons[0][0]

    @property
    def end(self) -> int:
        """Position after the last base on the plus strand, 0-based."""
        return max(end for _, end in self.exons)

    @property
    def introns(self) -> list[tuple[int, int]]:
        """Start and end of each intron, 0-based and half-open, in the order of the exons."""
        ends, starts = (end for _, end in self.exons), (start for start, _ in self.exons[1:])
        return [(end, start) for end, start in zip(ends, starts, strict=False)]


class _Feature(NamedTuple):
    """What a GFF3 record with an ID says to the records that name it as their parent."""

    kind: bytes
    parent: str
    biotype: str


def read_transcripts(path: str | Path, sizes: Mapping[str, int] | None = None) -> list[Transcript]:
    r"""Read the transcripts of a GTF or GFF3 file.

    The exons of a transcript are its records `exon`; if it has none, its records `CDS`, which is
    all that annotations of yeast have. In GFF3 the gene of a transcript is its parent; a transcript
    without a parent is its own gene. A name that is used on two chromosomes names two transcripts.

    Parameters
    ----------
    path
        The file, plain, gzip or bgzip.
    sizes
        Length of the chromosomes of the genome, in bp, by their names in the file. GFF3 that says
        that a chromosome is shorter is of another assembly; if it says longer, the genome may hold
        a part, and that is logged.

    Returns
    -------
    list of Transcript
        In the order in which their first exon is in the file.

    Raises
    ------
    AnnotationError
        With the line, if it cannot be read or has neither a transcript_id nor a Parent; or if there
        are no exons, or the file is of another assembly.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.gtf"
    >>> about = 'gene_id "G"; transcript_id "T";'
    >>> exons = [f"1\tx\texon\t{i}\t{i + 9}\t.\t-\t.\t{about}\n" for i in (101, 201)]
    >>> _ = path.write_text("".join(exons))
    >>> read_transcripts(path)[0].exons, read_transcripts(path)[0].introns
    (((100, 110), (200, 210)), [(110, 200)])
    """
    features: dict[str, _Feature] = {}
    parts: dict[tuple[str, bytes], dict[bytes, list[Record]]] = defaultdict(
        lambda: defaultdict(list)
    )
    genes: dict[str, tuple[str, str]] = {}  # gene and biotype of the transcripts of a GTF file
    data = read_lines(path)
    _check_lengths(read_lengths(data), sizes or {}, path)
    for record in read_records(data, path):
        check_range(record, path)
        about = read_attributes(record.attributes.decode())
        biotype = next((about[key] for key in _BIOTYPES if key in about), "")
        if "ID" in about and record.feature not in (b"exon", b"CDS"):
            parent = about.get("Parent", "")
            features[about["ID"]] = _Feature(record.feature, parent, biotype)
        if record.feature not in (b"exon", b"CDS"):
            continue
        names = about.get("Parent", about.get("transcript_id", "")).split(",")
        if not names[0]:
            raise AnnotationError(
                f"{path}:{record.line}: an exon has neither a transcript_id (GTF) nor a Parent "
                "(GFF3), so that it belongs to no transcript; give a file that has them"
            )
        for name in names:
            parts[name, record.chrom][record.feature].append(record)
            if "Parent" not in about:
                # The first that has a biotype: NCBI writes it on exons and not on CDS.
                genes[name] = about.get("gene_id", name), genes.get(name, ("", ""))[1] or biotype
    found = []
    for (name, _), records in parts.items():
        feature = features.get(name, _Feature(b"", "", ""))
        if feature.kind in _PROTEINS:
            continue
        gene = feature.parent or name
        above = features.get(gene, feature).biotype
        gene, biotype = genes.get(name, (gene, feature.biotype or above))
        found.append(_transcript(name, gene, biotype, records[b"exon"] or records[b"CDS"], path))
    if not found:
        raise AnnotationError(f"{path}: has no exon and no CDS records; give GTF or GFF3 with them")
    return found


def _check_lengths(lengths: Mapping[str, int], sizes: Mapping[str, int], path: str | Path) -> None:
    differing = [chrom for chrom in lengths if sizes.get(chrom, lengths[chrom]) != lengths[chrom]]
    if not differing:
        return
    shorter = [chrom for chrom in differing if lengths[chrom] < sizes[chrom]]
    chrom = (shorter or differing)[0]
    what = (
        f"{path}: {chrom} has {lengths[chrom]:,} bp according to this file, and {sizes[chrom]:,} "
        "in the genome"
    )
    if shorter:
        raise AnnotationError(f"{what}; give the annotation of the genome's assembly")
    logger.warning(
        "%s, as %d of %d chromosomes differ: right only if the genome is a part of the assembly",
        what, len(differing), len(lengths),
    )  # fmt: skip


def _transcript(
    name: str, gene: str, biotype: str, records: list[Record], path: str | Path
) -> Transcript:
    first = records[0]
    where = f"{path}:{first.line}"
    chrom = first.chrom.decode()
    if problem := name_problem(chrom):
        raise AnnotationError(f"{where}: {problem}")
    strands = {record.strand for record in records}
    strand = (
        read_strand(first.strand.decode(), f"{where}: the strand") if len(strands) == 1 else "."
    )
    exons = tuple(sorted((record.start - 1, record.end) for record in records))
    return Transcript(name, gene, chrom, strand, exons, biotype)
