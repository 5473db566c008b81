"""Read transcripts with their exons from GTF and GFF3 files."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import compress, pairwise
from pathlib import Path
from typing import NamedTuple

from genoglot.errors import AnnotationError
from genoglot.files import read_lines
from genoglot.regions.chromosomes import name_problem
from genoglot.regions.gff import (
    TRANSCRIPTS,
    check_range,
    read_attributes,
    read_lengths,
    read_parents,
    read_records,
)
from genoglot.regions.strand import read_strand

logger = logging.getLogger("genoglot")

_EXONS = (b"exon", b"CDS")
# GFF3 gives coding sequence two parents, the transcript and its protein; a protein has no exons.
_PROTEINS = (b"protein", b"polypeptide")
_WITH_ID = re.compile(rb"(?:^|;)\s*ID\s*=")
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


class _Exon(NamedTuple):
    """What is stored of each of millions of records of exons and coding sequences."""

    start: int
    end: int
    strand: bytes
    line: int
    number: str  # exon_number of GTF


_Key = tuple[str, bytes]
"""Name of a transcript, and chromosome."""


def read_transcripts(path: str | Path, sizes: Mapping[str, int] | None = None) -> list[Transcript]:
    r"""Read the transcripts of a GTF or GFF3 file.

    The exons of a transcript are its records `exon`; if it has none, its records `CDS`, which is
    all that annotations of yeast have. In GFF3 the gene of a transcript is its parent; a transcript
    without a parent is its own gene. A name that is used on two chromosomes names two transcripts.
    So does a name of two records of transcripts on one chromosome and, without such records, a
    name whose exon_number begins again. Where that is not clear, as exons are in none or in several
    records of their name, a transcript is left out; a warning has the number.

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
    extents: dict[_Key, dict[tuple[int, int], None]] = defaultdict(dict)  # of the records of a name
    parts: dict[_Key, dict[bytes, list[_Exon]]] = defaultdict(lambda: defaultdict(list))
    genes: dict[str, tuple[str, str]] = {}  # gene and biotype of the transcripts of a GTF file
    data = read_lines(path)
    _check_lengths(read_lengths(data), sizes or {}, path)
    for record in read_records(data, path):
        check_range(record, path)
        is_exon = record.feature in _EXONS
        if not (is_exon or record.feature in TRANSCRIPTS or _WITH_ID.search(record.attributes)):
            continue
        about = read_attributes(record.attributes.decode())
        biotype = next((about[key] for key in _BIOTYPES if key in about), "")
        if not is_exon:
            name = about.get("ID", about.get("transcript_id", ""))
            extents[name, record.chrom][record.start, record.end] = None
            if "ID" in about:
                parent = ",".join(read_parents(about))
                features[name] = _Feature(record.feature, parent, biotype)
            continue
        names = read_parents(about) or [about.get("transcript_id", "")]
        if not names[0]:
            raise AnnotationError(
                f"{path}:{record.line}: an exon has neither a transcript_id (GTF) nor a Parent "
                "(GFF3), so that it belongs to no transcript; give a file that has them"
            )
        exon = _Exon(
            *(record.start, record.end, record.strand, record.line),
            about.get("exon_number", ""),
        )
        for name in names:
            parts[name, record.chrom][record.feature].append(exon)
            if "Parent" not in about:
                # The first that has a biotype: NCBI writes it on exons and not on CDS.
                genes[name] = about.get("gene_id", name), genes.get(name, ("", ""))[1] or biotype
    found, n_outside = [], 0
    for (name, chrom), records in parts.items():
        feature = features.get(name, _Feature(b"", "", ""))
        if feature.kind in _PROTEINS:
            continue
        gene = feature.parent or name
        above = features.get(gene, feature).biotype
        gene, biotype = genes.get(name, (gene, feature.biotype or above))
        exons = records[b"exon"] or records[b"CDS"]
        loci = _loci(exons, extents.get((name, chrom), ()))
        n_outside += not loci
        found += [_transcript(name, gene, biotype, chrom.decode(), locus, path) for locus in loci]
    if n_outside:
        logger.warning(
            "%s: %d of %d transcripts have exons in several positions, or outside of the records "
            "of their name: left out",
            *(path, n_outside, n_outside + len(found)),
        )
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


def _loci(exons: list[_Exon], extents: Collection[tuple[int, int]]) -> list[list[_Exon]]:
    """Divide the exons of a name by the positions in which it is used; none if that is not clear.

    Parameters
    ----------
    exons
        Exons in the order of the file.
    extents
        First and last base of each record of a transcript of the name, if there are any.
    """
    if not extents:
        return _loci_by_number(exons)
    inside = [
        [first <= exon.start and exon.end <= last for exon in exons] for first, last in extents
    ]
    if any(sum(of_exon) != 1 for of_exon in zip(*inside, strict=True)):
        return []
    return [list(compress(exons, chosen)) for chosen in inside if any(chosen)]


def _loci_by_number(exons: list[_Exon]) -> list[list[_Exon]]:
    """Divide exons where exon_number begins again along the chromosome."""
    if len({exon.strand for exon in exons}) > 1 or not all(exon.number for exon in exons):
        return [exons]
    distinct = {(exon.start, exon.end): exon for exon in exons}
    ordered = [distinct[at] for at in sorted(distinct)]
    numbers = [int(exon.number) if exon.number.isdecimal() else 0 for exon in ordered]
    steps = [after - before for before, after in pairwise(numbers)]
    # Most files number exons in the direction of the gene, some along the chromosome.
    n_up, n_down = sum(step > 0 for step in steps), sum(step < 0 for step in steps)
    if n_down > n_up or (n_down == n_up and exons[0].strand == b"-"):
        steps = [-step for step in steps]
    again = [i for i, step in enumerate(steps, 1) if step <= 0]
    if not again:
        return [exons]
    edges = list(pairwise([0, *again, len(ordered)]))
    if any(sorted(numbers[i:j]) != list(range(1, j - i + 1)) for i, j in edges):
        return []  # the positions overlap, or it is numbered otherwise
    return [ordered[i:j] for i, j in edges]


def _transcript(
    name: str, gene: str, biotype: str, chrom: str, exons: list[_Exon], path: str | Path
) -> Transcript:
    where = f"{path}:{exons[0].line}"
    if problem := name_problem(chrom):
        raise AnnotationError(f"{where}: {problem}")
    strands = {exon.strand for exon in exons}
    strand = (
        read_strand(exons[0].strand.decode(), f"{where}: the strand") if len(strands) == 1 else "."
    )
    ranges = tuple(sorted((exon.start - 1, exon.end) for exon in exons))
    return Transcript(name, gene, chrom, strand, ranges, biotype)
