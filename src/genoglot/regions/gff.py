"""Read GTF and GFF3 files: their records and attributes, and genes."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from genoglot.errors import AnnotationError
from genoglot.regions.bed import is_header
from genoglot.regions.chromosomes import Alias, name_problem, rename_chromosome
from genoglot.regions.strand import read_strand

# Records of genes (Ensembl's GFF3 has its own words), and the records used if there are none.
_GENES = (b"gene", b"ncRNA_gene", b"pseudogene")
TRANSCRIPTS = (b"transcript", b"mRNA")
_LARGEST = 2**63 - 1  # positions are int64
_NAMES = ("gene_name", "Name", "gene_id", "ID")
_COLUMNS = "chrom source feature start end score strand frame attributes"
# One attribute: a key, then " " (GTF) or = (GFF3), then a value in quotes, which may contain ; and
# escapes with \, or a value without quotes.
_ATTRIBUTE = re.compile(
    r"""\s* ([^\s=;"]+) (\s*=\s*|\s+) (?: "((?:[^"\\]|\\.)*)" \s* (?=;|$) | ([^;]*) ) (?:;|$)""",
    re.VERBOSE,
)


# GFF3 says how long a chromosome is, in a pragma and, as Ensembl and SGD do, in a record.
_LENGTH = re.compile(
    rb"^(?:##sequence-region\s+(\S+)\s+1\s+(\d+)|(\S+)\t[^\t\n]*\tchromosome\t1\t(\d+)\t)",
    re.MULTILINE,
)


class Gene(NamedTuple):
    """A gene: its name (None without one), chromosome, 0-based TSS and strand (`+`, `-` or `.`)."""

    name: str | None
    chrom: str
    tss: int
    strand: str


class Record(NamedTuple):
    """A record of line number `line`, from 1; `start` is 1-based and `end` closed, as in GTF."""

    line: int
    feature: bytes
    start: int
    end: int
    chrom: bytes
    strand: bytes
    attributes: bytes


def is_gff(data: bytes, path: str | Path) -> bool:
    r"""Whether a text is GTF or GFF3, by the ending of its file or else by its first record.

    Examples
    --------
    >>> is_gff(b"chr1\tH\tgene\t101\t200\t.\t+\t.\tgene_id 1", "-"), is_gff(b"chr1\t1\t2", "a.bed")
    (True, False)
    """
    if re.search(r"\.(gtf|gff\d?)(\.b?gz)?$", str(path).lower()):
        return True
    line = next((line for line in io.BytesIO(data) if not is_header(line)), b"")
    fields = line.split(b"\t")
    return len(fields) == 9 and not fields[1].isdigit() and fields[3].isdigit()


def read_gff_genes(data: bytes, path: str | Path, alias: Alias | None = None) -> list[Gene]:
    r"""Read the gene records of a GTF or GFF3 text, or the transcripts if there are none.

    Parameters
    ----------
    data
        The text, as `genoglot.files.read_lines` returns it.
    path
        Name of the file, for its ending and for errors.
    alias
        Spelling to which chromosome names are translated: see `rename_chromosome`.

    Returns
    -------
    list of Gene
        In the order of the file.

    Raises
    ------
    AnnotationError
        At the first line that cannot be read, or if there are no such records.

    Examples
    --------
    >>> read_gff_genes(b'chr1\tH\tgene\t101\t200\t.\t-\t.\tgene_id "CYCD1;1"', "a.gtf")
    [Gene(name='CYCD1;1', chrom='chr1', tss=199, strand='-')]
    """
    records = list(read_records(data, path, (*_GENES, *TRANSCRIPTS)))
    chosen = [record for record in records if record.feature in _GENES] or records
    if not chosen:
        raise AnnotationError(f"{path}: has no gene and no transcript records")
    chroms: dict[bytes, str] = {}
    strands: dict[bytes, str] = {}
    genes = []
    for record in chosen:
        where = f"{path}:{record.line}"
        if record.chrom not in chroms:
            name = record.chrom.decode()
            if problem := name_problem(name):
                raise AnnotationError(f"{where}: {problem}")
            chroms[record.chrom] = rename_chromosome(name, alias)
        if record.strand not in strands:
            strands[record.strand] = read_strand(record.strand.decode(), f"{where}: the strand")
        check_range(record, path)
        strand = strands[record.strand]
        tss = (record.end if strand == "-" else record.start) - 1
        genes.append(Gene(_name(record.attributes.decode()), chroms[record.chrom], tss, strand))
    return genes


def read_records(
    data: bytes, path: str | Path, features: Collection[bytes] | None = None
) -> Iterator[Record]:
    """Read the records of a GTF or GFF3 text.

    Parameters
    ----------
    data
        The text, as `genoglot.files.read_lines` returns it.
    path
        Name of the file, for errors.
    features
        Features (column 3) to read; by default all.

    Yields
    ------
    Record
        The records in the order of the file; sequences that follow them are not read.

    Raises
    ------
    AnnotationError
        At the first line that cannot be read.
    """
    for number, line in enumerate(io.BytesIO(data), 1):
        if line.startswith((b"##FASTA", b">")):  # sequences follow
            break
        fields = line.rstrip(b"\n").split(b"\t")
        if line.startswith(b"#") or (len(fields) != 9 and is_header(line)):
            continue
        if len(fields) != 9 or not (fields[3].isdigit() and fields[4].isdigit()):
            raise AnnotationError(
                f"{path}:{number}: a GTF or GFF3 line has nine tab-separated columns "
                f"({_COLUMNS}), start and end being whole numbers"
            )
        chrom, _, feature, start, end, _, strand, _, attributes = fields
        if features is None or feature in features:
            yield Record(number, feature, int(start), int(end), chrom, strand, attributes)


def check_range(record: Record, path: str | Path) -> None:
    """Refuse a record, with its line, whose start and end are not a range of bases from 1."""
    if not 1 <= record.start <= record.end <= _LARGEST:
        raise AnnotationError(
            f"{path}:{record.line}: {record.start} to {record.end} is not a range; a GTF or GFF3 "
            "record starts at 1 or later, does not end before it starts, and ends below 2^63"
        )


def read_lengths(data: bytes) -> dict[str, int]:
    r"""Read how long a GFF3 text says that chromosomes are, in bp; GTF does not say it.

    Examples
    --------
    >>> read_lengths(b"##sequence-region   1 1 248956422\n")
    {'1': 248956422}
    """
    found: dict[str, int] = {}
    for pragma, end, record, last in _LENGTH.findall(data):
        found[(pragma or record).decode()] = int(end or last)
    return found


def read_attributes(text: str) -> dict[str, str]:
    r"""Read the attributes of a record; of a key that is repeated, the first value.

    Parent, which is a list of ids, stays as it is written: see `read_parents`.

    Examples
    --------
    >>> read_attributes('gene_id "CYCD1;1"; level 2'), read_attributes("ID=a;Note=1%2C2")
    ({'gene_id': 'CYCD1;1', 'level': '2'}, {'ID': 'a', 'Note': '1,2'})
    """
    if text[:1] == text[-1:] == '"':  # a spreadsheet's quotes around the whole
        text = text[1:-1].replace('""', '"')
    found: dict[str, str] = {}
    for key, separator, quoted, plain in _ATTRIBUTE.findall(text):
        if key not in found:
            value = re.sub(r'\\(["\\])', r"\1", quoted) or plain.strip()
            found[key] = unquote(value) if "=" in separator and key != "Parent" else value
    return found


def read_parents(attributes: Mapping[str, str]) -> list[str]:
    r"""Read the ids of the parents of a record.

    Examples
    --------
    >>> read_parents(read_attributes("ID=e;Parent=a%2C1,b")), read_parents({})
    (['a,1', 'b'], [])
    """
    return [unquote(name) for name in attributes.get("Parent", "").split(",") if name]


def _name(text: str) -> str | None:
    """Return the first of the attributes for names that is not empty."""
    found = read_attributes(text)
    return next((found[key] for key in _NAMES if found.get(key, ".") not in ("", ".")), None)
