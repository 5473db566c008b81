"""Read the genotypes of a locus from a VCF file of many people, variant by variant."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, TextIO

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError, some
from genoglot.files import explains_unreadable
from genoglot.regions.chromosomes import unknown_chromosome

MISSING, ABSENT = -1, -2
"""In place of the number of an allele: not known; and no second allele, in a haploid call."""

_FIXED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
_LOCUS = re.compile(r"(\S+):([\d,]+)-([\d,]+)")
_CONTIG = re.compile(r"##contig=<(?:.*,)?ID=([^,>]+)")
_LENGTH = re.compile(r"[<,]length=(\d+)")
_END = re.compile(r"(?:^|;)END=(\d+)")
_SVLEN = re.compile(r"(?:^|;)SVLEN=([^;]+)")
_ALTERNATIVE = re.compile(
    r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+|\*|<[^<>]+>|\.|.*[\[\]].*|\.\w+|\w+\."
)
_DNA = re.compile(r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+")
_GENOTYPE = re.compile(r"[|/]?(\d+|\.)(?:([|/])(\d+|\.))?")


class Locus(NamedTuple):
    """A part of a chromosome: 0-based, half-open."""

    chrom: str
    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a locus as genome browsers write it: from 1, both ends included.

        Raises
        ------
        SequenceError
            If the text is something else, or the locus is empty.

        Examples
        --------
        >>> Locus.parse("chr10:43,572,000-43,625,000")
        Locus(chrom='chr10', start=43571999, end=43625000)
        """
        found = _LOCUS.fullmatch(text.strip())
        start, end = (int(found[i].replace(",", "") or 0) for i in (2, 3)) if found else (0, 0)
        if not found or not 0 < start <= end:
            raise SequenceError(
                f"locus {text!r}: give it as CHROM:FIRST-LAST, from 1, both ends included, such as "
                "chr10:43,572,000-43,625,000"
            )
        return cls(found[1], start - 1, end)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start + 1}-{self.end}"


class Variant(NamedTuple):
    """A record of a VCF file.

    Attributes
    ----------
    position
        0-based position of the first base of the reference allele.
    reference
        The reference allele.
    alternatives
        The alternative alleles, as they are written: bases, `*`, `<DEL>` and the like.
    end
        0-based end, which is that of the reference allele or, if later, that of a symbolic allele,
        from INFO/END or INFO/SVLEN.
    passed
        Whether it passed the filters of the variant caller: FILTER is `PASS` or `.`.
    line
        Number of the line, from 1.
    """

    position: int
    reference: str
    alternatives: tuple[str, ...]
    end: int
    passed: bool
    line: int


@dataclass(frozen=True, eq=False)
class Genotypes:
    """Genotypes of a locus.

    Attributes
    ----------
    path
        The VCF file.
    locus
        The locus. All variants of the file that overlap it are read.
    people
        Names of the n samples.
    variants
        The v variants, in the order of the file, which is that of their positions.
    alleles
        int16 (v, n, 2): 0 is the reference allele, i the i-th alternative one, `MISSING` an allele
        that is not known, and `ABSENT` the second allele of a haploid call.
    phased
        bool (v, n), whether the two alleles of a call are in the order of the person's haplotypes
        (`0|1`). A call of another phase set (FORMAT/PS) than the person's first heterozygous one is
        not.
    contig_length
        Length in bp of the chromosome, if the header has it.
    """

    path: Path
    locus: Locus
    people: tuple[str, ...]
    variants: tuple[Variant, ...]
    alleles: NDArray[np.int16]
    phased: NDArray[np.bool_]
    contig_length: int | None = None

    def select(self, people: Sequence[int] | NDArray[np.int64]) -> Genotypes:
        """Return the genotypes of some people, by their indices, in the given order."""
        rows = np.asarray(people, np.int64)
        return Genotypes(
            self.path,
            self.locus,
            tuple(self.people[i] for i in rows),
            self.variants,
            self.alleles[:, rows],
            self.phased[:, rows],
            self.contig_length,
        )

    @property
    def haploid(self) -> NDArray[np.bool_]:
        """Which people have haploid calls only, such as males on chromosome X, bool (n,).

        Raises
        ------
        SequenceError
            If a person has haploid and diploid calls.
        """
        one = (self.alleles[..., 0] >= 0) & (self.alleles[..., 1] == ABSENT)
        two = (self.alleles >= 0).any(axis=2) & (self.alleles[..., 1] != ABSENT)
        mixed = np.flatnonzero(one.any(axis=0) & two.any(axis=0))
        if len(mixed):
            line = self.variants[int(one[:, mixed[0]].argmax())].line
            raise SequenceError(
                f"{self.path}:{line}: {self.people[mixed[0]]!r} has a haploid genotype here and "
                f"diploid ones elsewhere in {self.locus} ({len(mixed)} people have both); choose a "
                "locus on one side of the pseudoautosomal boundary, or correct the genotypes"
            )
        haploid: NDArray[np.bool_] = one.any(axis=0)
        return haploid


def read_genotypes(path: str | Path, locus: Locus) -> Genotypes:
    r"""Read the genotypes of a locus from a VCF file, plain, gzip or bgzip.

    The file is read line by line, to its end, or up to the end of the locus if it has an index
    (.tbi or .csi) beside it, as only sorted files have. Calls may be phased or not, haploid or
    diploid, and missing in whole or in part; variants may have several alternative alleles.

    Parameters
    ----------
    path
        The file, sorted by position, with at least one sample.
    locus
        The locus. Its chromosome is spelled as in the file.

    Returns
    -------
    Genotypes
        The genotypes of all variants that overlap the locus; there may be none.

    Raises
    ------
    SequenceError
        With file and line, if the file is malformed or not sorted, or has no genotypes, a sample
        twice, or calls of more than two alleles.
    ChromosomeNameError
        If the file has no such chromosome, or another spelling of it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.vcf"
    >>> head = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT Ada Bo"
    >>> record = "1 3 . G A,GT . . . GT 0|2 ./1"
    >>> _ = path.write_text(f"{head}\n{record}\n".replace(" ", "\t"))
    >>> found = read_genotypes(path, Locus.parse("1:1-10"))
    >>> found.variants[0].alternatives, found.alleles.tolist(), found.phased.tolist()
    (('A', 'GT'), [[[0, 2], [-1, 1]]], [[True, False]])
    """
    path = Path(path)
    is_indexed = any(path.with_name(path.name + end).exists() for end in (".tbi", ".csi"))
    variants: list[Variant] = []
    alleles: list[NDArray[np.int16]] = []
    phased: list[NDArray[np.bool_]] = []
    seen: set[str] = set()
    with _open(path) as file:
        people, contigs, n_lines = _read_header(file, path)
        calls = _Calls(len(people))
        last, before = 0, ""
        for number, line in enumerate(file, n_lines + 1):
            if not line.strip():
                continue
            chrom, _, rest = line.partition("\t")
            position = _read_position(rest, path, number) if chrom == locus.chrom else 0
            if chrom == locus.chrom and chrom in seen and (before != chrom or position < last):
                after = last + 1 if before == chrom else before
                raise SequenceError(
                    f"{path}:{number}: position {position + 1} comes after {after}; sort the file "
                    "(bcftools sort)"
                )
            seen.add(chrom.strip())
            last, before = position, chrom
            if chrom != locus.chrom or position >= locus.end:
                if is_indexed and locus.chrom in seen:
                    break  # the rest of a sorted file does not overlap the locus
                continue
            fields = line.rstrip("\r\n").split("\t", len(_FIXED) - 1)
            n_fields = len(fields) + fields[-1].count("\t")
            if n_fields != len(people) + len(_FIXED):
                raise SequenceError(
                    f"{path}:{number}: {n_fields} fields, separated by tabs, where the header "
                    f"has {len(people) + len(_FIXED)}; correct the line"
                )
            variant = _read_variant(fields, position, path, number)
            if variant.end <= locus.start:
                continue
            fields[-1:] = fields[-1].split("\t")
            found, order = calls.read(fields, variant, path)
            variants.append(variant)
            alleles.append(found)
            phased.append(order)
    known = {*seen, *contigs} - {""}
    if locus.chrom not in known:
        raise unknown_chromosome(
            locus.chrom, sorted(known), ours="the locus", theirs=str(path), renamed=None
        )
    n = len(people)
    return Genotypes(
        path,
        locus,
        tuple(people),
        tuple(variants),
        np.stack(alleles) if alleles else np.zeros((0, n, 2), np.int16),
        np.stack(phased) if phased else np.zeros((0, n), np.bool_),
        contigs.get(locus.chrom),
    )


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    """Open a text file, decompressed line by line if it is gzip or bgzip."""
    with explains_unreadable(path, SequenceError):
        with path.open("rb") as file:
            magic = file.read(3)
        if magic == b"BCF":
            raise SequenceError(f"{path}: is BCF; convert it (bcftools view -Oz -o cohort.vcf.gz)")
        opened = gzip.open if magic[:2] == b"\x1f\x8b" else open
        with opened(path, "rt", encoding="utf-8-sig", errors="replace") as text:
            yield text


def _read_header(file: TextIO, path: Path) -> tuple[list[str], dict[str, int | None], int]:
    """Read the names of the samples, the lengths of the contigs, and the number of lines."""
    contigs: dict[str, int | None] = {}
    for number, line in enumerate(file, 1):
        if line.startswith("##"):
            if found := _CONTIG.match(line):
                length = _LENGTH.search(line)
                contigs[found[1]] = int(length[1]) if length else None
            continue
        fields = line.rstrip("\r\n").split("\t")
        if number == 1 and line.startswith("BCF"):
            raise SequenceError(f"{path}: is BCF; convert it (bcftools view -Oz)")
        if tuple(fields[:8]) != _FIXED[:8]:
            raise SequenceError(
                f"{path}:{number}: is not VCF: the line after the ## lines must begin with "
                f"{' '.join(_FIXED[:8])}, separated by tabs"
            )
        people = fields[len(_FIXED) :]
        if fields[8:9] != ["FORMAT"] or not people:
            raise SequenceError(
                f"{path}:{number}: the file has sites but no genotypes; give a file with samples"
            )
        if repeated := [name for i, name in enumerate(people) if name in people[:i]]:
            raise SequenceError(f"{path}:{number}: samples occur twice: {some(repeated)}")
        return people, contigs, number
    raise SequenceError(f"{path}: is not VCF: it has no line #CHROM")


def _read_position(rest: str, path: Path, number: int) -> int:
    text = rest.partition("\t")[0]
    if not text.isdecimal():
        raise SequenceError(f"{path}:{number}: POS is {text!r}, which is not a number")
    return int(text) - 1


def _read_variant(fields: list[str], position: int, path: Path, number: int) -> Variant:
    reference, alternative = fields[3], fields[4]
    alternatives = () if alternative == "." else tuple(alternative.split(","))
    if not _DNA.fullmatch(reference):
        raise SequenceError(f"{path}:{number}: REF is {reference!r}, which is not DNA")
    for allele in alternatives:
        if not _ALTERNATIVE.fullmatch(allele):
            raise SequenceError(f"{path}:{number}: ALT has {allele!r}, which is not an allele")
    end = position + len(reference)
    if any(allele.startswith("<") for allele in alternatives):
        end = max(end, _symbolic_end(alternatives, position, fields[7]))
    return Variant(position, reference, alternatives, end, fields[6] in ("PASS", "."), number)


def _symbolic_end(alternatives: tuple[str, ...], position: int, info: str) -> int:
    """Return the 0-based end of symbolic alleles; 0 if it is not given, or not the same for all."""
    found = _SVLEN.search(info)
    lengths = found[1].replace("-", "").split(",") if found else []
    deleted = {
        length
        for allele, length in zip(alternatives, lengths, strict=False)
        if allele == "<DEL>" and length.isdecimal()
    }
    if len(deleted) > 1:
        return 0
    if found := _END.search(info):
        return int(found[1])
    return position + 1 + int(deleted.pop()) if deleted else 0


class _Calls:
    """Reads genotypes; each text is parsed once."""

    def __init__(self, n: int) -> None:
        self._known: dict[str, tuple[int, int, bool]] = {}
        self._phase_sets = np.full(n, "", np.object_)  # of the first heterozygous call

    def read(
        self, fields: list[str], variant: Variant, path: Path
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Read the alleles (n, 2) of a record, and whether they are phased (n,)."""
        names, samples = fields[8].split(":"), fields[len(_FIXED) :]
        if "GT" not in names:
            raise SequenceError(f"{path}:{variant.line}: FORMAT has no GT; give genotypes")
        texts = _values(samples, names, "GT")
        known = self._known
        try:
            found = [known[text] for text in texts]
        except KeyError:
            for person, text in enumerate(texts):
                if text not in known:
                    known[text] = _parse_call(text, f"{path}:{variant.line}: sample {person + 1}")
            found = [known[text] for text in texts]
        calls = np.array(found, np.int16).reshape(-1, 3)
        alleles, phased = np.ascontiguousarray(calls[:, :2]), calls[:, 2] > 0
        if alleles.max() > len(variant.alternatives):
            raise SequenceError(
                f"{path}:{variant.line}: a genotype has allele {alleles.max()}, but there are "
                f"{len(variant.alternatives)} alternative alleles"
            )
        if "PS" in names:
            differs = phased & (alleles[:, 0] != alleles[:, 1]) & (alleles >= 0).all(axis=1)
            phased &= ~differs | self._in_first_phase_set(_values(samples, names, "PS"), differs)
        return alleles, phased

    def _in_first_phase_set(
        self, texts: list[str], differs: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return who has the phase set of the person's first heterozygous call."""
        sets = np.array(texts, np.object_)
        first = differs & (self._phase_sets == "")
        self._phase_sets[first] = sets[first]
        same: NDArray[np.bool_] = self._phase_sets == sets
        return same


def _values(samples: list[str], names: list[str], name: str) -> list[str]:
    """Return the value of a FORMAT field of each sample; `.` where a sample ends before it."""
    at = names.index(name)
    if len(names) == 1:
        return samples
    return [(text.split(":", at + 1) + ["."] * at)[at] for text in samples]


def _parse_call(text: str, where: str) -> tuple[int, int, bool]:
    """Read a genotype: two alleles, and whether they are phased.

    >>> [_parse_call(text, "") for text in ("0|1", "1/.", "2", ".")]
    [(0, 1, True), (1, -1, False), (2, -2, True), (-1, -1, False)]
    """
    found = _GENOTYPE.fullmatch(text)
    if not found:
        raise SequenceError(
            f"{where}: the genotype {text!r} does not have one or two alleles, such as 0|1"
        )
    first, second = (
        MISSING if allele == "." else int(allele) for allele in (found[1], found[3] or ".")
    )
    if max(first, second) > np.iinfo(np.int16).max:
        raise SequenceError(f"{where}: the genotype {text!r} has an allele that no variant has")
    if found[2] is None and first != MISSING:
        return first, ABSENT, True
    return first, second, found[2] == "|"
