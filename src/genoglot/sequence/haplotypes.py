"""`Haplotypes`: the DNA of both copies of a locus, of many people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import SequenceError
from genoglot.regions.chromosomes import unknown_chromosome
from genoglot.sequence.alphabet import LETTERS, Codes, Lengths, N, to_codes
from genoglot.sequence.genome import Genome
from genoglot.sequence.vcf import Genotypes, Locus, Variant

NO_CHANGE = ("*", "<*>", "<NON_REF>", "<X>")
"""Alleles that change no base: deleted by another variant, or any other allele than the called."""


class Edit(NamedTuple):
    """What an alternative allele does to the reference sequence.

    Attributes
    ----------
    start, end
        0-based, half-open: the reference bases that are replaced. They are empty for an insertion.
    bases
        Codes of the bases that replace them.
    anchor
        Position that the new bases belong to: the first base of the record.
    """

    start: int
    end: int
    bases: Codes
    anchor: int


class Windows(NamedTuple):
    """The DNA that haplotypes have in the position of a part of the reference.

    Attributes
    ----------
    codes
        The m distinct sequences, uint8 (m, longest), padded with N.
    lengths
        Length of each in bp, int64 (m,); at least 1, as a window that is deleted is one N.
    which
        Index of the sequence of each haplotype, int64 (haplotypes,).
    """

    codes: Codes
    lengths: Lengths
    which: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Haplotypes:
    """The distinct haplotypes of a locus, and the two that each person has.

    No sequence is stored: `windows` spells out the distinct ones of a part of the locus.

    Rules, as those of `bcftools consensus`: variants are applied in the order of the file. A
    variant that overlaps one that was applied to the same haplotype is skipped; but what only
    inserts or deletes bases after its first one is applied if that is the last one of the variant
    before, unless that was an insertion. `<DEL>` deletes the bases after its first one up to
    INFO/END, or as many as INFO/SVLEN. Alleles `*`, `<*>` and `<NON_REF>` change nothing. Alleles
    that are missing, and other symbolic ones, also `<DEL>` without an end, are read as the
    reference. Without phase, alleles are in the order in which they are written.

    Attributes
    ----------
    locus
        The locus.
    reference
        Its DNA, uint8 (length,).
    alleles
        The alleles that are applied, int16 (haplotypes, variants): 0 is the reference.
    copies
        Indices of the two haplotypes of each person, int64 (people, 2). They are the same for a
        person with one copy.
    counts
        What was found: see `count`.
    """

    locus: Locus
    reference: Codes
    alleles: NDArray[np.int16]
    copies: NDArray[np.int64]
    counts: dict[str, int]
    _edits: list[list[Edit | None]]

    @classmethod
    def of(cls, genotypes: Genotypes, genome: Genome) -> Haplotypes:
        """Find the haplotypes of genotypes.

        Parameters
        ----------
        genotypes
            Genotypes of a locus.
        genome
            The genome that the variants were called on.

        Returns
        -------
        Haplotypes
            The haplotypes, and in `counts` by name: `missing_alleles`, read as the reference;
            `symbolic_alleles`, also read as the reference; `overlapping_alleles`, skipped;
            `unphased_people`, for whom the order of alleles is arbitrary because they have several
            heterozygous variants and not all are phased, or not in one phase set;
            `haploid_people`; `unknown_reference_bases`, the variants where the genome has N; and
            `filtered_variants`, which did not pass a filter and are applied as all others.

        Raises
        ------
        ChromosomeNameError
            If the genome does not have the chromosome, or spells it differently.
        SequenceError
            If reference alleles differ from the genome, the locus reaches past the end of the
            chromosome, or a person has haploid and diploid calls.
        """
        locus = genotypes.locus
        reference = _read_reference(genotypes, genome)
        counts = {"unknown_reference_bases": _check_reference(genotypes, genome)}
        haploid = genotypes.haploid
        counts |= _count_calls(genotypes, haploid)
        called = genotypes.alleles.copy()
        called[:, haploid, 1] = called[:, haploid, 0]
        both = np.maximum(called, 0).transpose(1, 2, 0)
        distinct, copies = _distinct(both.reshape(2 * both.shape[0], both.shape[2]))
        edits = [
            [None, *(_edit(variant, allele, locus) for allele in variant.alternatives)]
            for variant in genotypes.variants
        ]
        applied = np.zeros_like(distinct)
        skipped = np.zeros(len(distinct), np.int64)
        for row, alleles in enumerate(distinct):
            applied[row], skipped[row] = _without_overlaps(alleles, genotypes.variants, edits)
        once = np.repeat(~haploid, 2) | (np.arange(len(copies)) % 2 == 0)
        counts["overlapping_alleles"] = int(skipped[copies[once]].sum())
        distinct, renumbered = _distinct(applied)
        return cls(locus, reference, distinct, renumbered[copies].reshape(-1, 2), counts, edits)

    def __len__(self) -> int:
        """Return the number of distinct haplotypes."""
        return len(self.alleles)

    def windows(self, start: int, end: int) -> Windows:
        """Spell out the DNA that the haplotypes have in the position of a part of the reference.

        Neighboring windows join without a gap: each base of a haplotype is in one of them. What
        replaces reference bases is in the window of the record's first base.

        Parameters
        ----------
        start, end
            0-based, half-open positions of the reference, within the locus.

        Returns
        -------
        Windows
            The distinct sequences.
        """
        inside = np.array(
            [any(_touches(edit, start, end) for edit in edits) for edits in self._edits], np.bool_
        )
        columns = np.flatnonzero(inside)
        rows, which = _distinct(self.alleles[:, columns])
        texts = [self._spell(row, columns, start, end) for row in rows]
        lengths = np.array([len(text) for text in texts], np.int64)
        codes = np.full((len(texts), int(lengths.max())), N, np.uint8)
        for i, text in enumerate(texts):
            codes[i, : len(text)] = text
        return Windows(codes, lengths, which)

    def sequence(self, haplotype: int) -> Codes:
        """Spell out a haplotype over the whole locus, uint8 (its length,)."""
        found = self.windows(self.locus.start, self.locus.end)
        row = int(found.which[haplotype])
        return found.codes[row, : found.lengths[row]]

    def _spell(
        self, alleles: NDArray[np.int16], columns: NDArray[np.int64], start: int, end: int
    ) -> Codes:
        parts, at, first = [], start, self.locus.start
        for column, allele in zip(columns.tolist(), alleles.tolist(), strict=True):
            edit = self._edits[column][allele]
            if edit is None or not _touches(edit, start, end):
                continue
            begin, stop = min(max(edit.start, start), end), min(edit.end, end)
            parts.append(self.reference[at - first : begin - first])
            if start <= edit.anchor < end:
                parts.append(edit.bases)
            at = max(at, begin, stop)
        parts.append(self.reference[at - first : end - first])
        spelled = np.concatenate(parts)
        return spelled if len(spelled) else np.full(1, N, np.uint8)


def _distinct(rows: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return the distinct rows, and the index of each row among them."""
    if not rows.shape[1]:
        return rows[:1], np.zeros(len(rows), np.int64)
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    return distinct, which.reshape(-1).astype(np.int64)


def _touches(edit: Edit | None, start: int, end: int) -> bool:
    if edit is None:
        return False
    return start <= edit.anchor < end or (edit.start < end and edit.end > start)


def _read_reference(genotypes: Genotypes, genome: Genome) -> Codes:
    """Read the DNA of the locus, if the genome has all of it."""
    locus, length = genotypes.locus, genotypes.contig_length
    if locus.chrom not in genome:
        raise unknown_chromosome(locus.chrom, genome.names, ours=str(genotypes.path))
    extents = genome.extents
    row = genome.names.index(locus.chrom)
    first, last = int(extents.start[row]), int(extents.end[row])
    if locus.start < first or locus.end > last:
        raise SequenceError(
            f"the locus {locus} is not wholly in the genome, which has "
            f"{Locus(locus.chrom, first, last)}; choose a locus inside"
        )
    if length is not None and last > length:
        raise SequenceError(
            f"{genotypes.path}: {locus.chrom} has {length:,} bp according to the header, but "
            f"{last:,} bp in the genome; give the assembly that the variants were called on"
        )
    return to_codes(genome.sequence(*locus))


def _check_reference(genotypes: Genotypes, genome: Genome) -> int:
    """Compare reference alleles with the genome; count those where the genome has N."""
    wrong: list[str] = []
    unknown = 0
    for variant in genotypes.variants:
        given = to_codes(variant.reference)
        end = variant.position + len(given)
        found = to_codes(genome.sequence(genotypes.locus.chrom, variant.position, end))
        known = (given != N) & (found != N)
        unknown += int(not known.all())
        if (given != found)[known].any():
            letters = "".join(LETTERS[code] for code in found[:20])
            wrong.append(
                f"{genotypes.path}:{variant.line}: the reference allele of "
                f"{genotypes.locus.chrom}:{variant.position + 1} is {variant.reference[:20]}, but "
                f"{letters} in the genome"
            )
    if wrong:
        raise SequenceError(
            f"{wrong[0]} ({len(wrong)} of {len(genotypes.variants)} variants do not match); give "
            "the assembly that the variants were called on, or correct the file (bcftools norm -c)"
        )
    return unknown


def _count_calls(genotypes: Genotypes, haploid: NDArray[np.bool_]) -> dict[str, int]:
    alleles = genotypes.alleles
    heterozygous = (alleles[..., 0] != alleles[..., 1]) & (alleles >= 0).all(axis=2)
    several = heterozygous.sum(axis=0) > 1
    unphased = (heterozygous & ~genotypes.phased).any(axis=0)
    symbolic = 0
    for row, variant in enumerate(genotypes.variants):
        for number, allele in enumerate(variant.alternatives, 1):
            if _is_unreadable(variant, allele):
                symbolic += int((alleles[row] == number).sum())
    return {
        "missing_alleles": int((alleles == -1).sum()),
        "symbolic_alleles": symbolic,
        "unphased_people": int((several & unphased).sum()),
        "haploid_people": int(haploid.sum()),
        "filtered_variants": sum(not variant.passed for variant in genotypes.variants),
    }


def _is_unreadable(variant: Variant, allele: str) -> bool:
    """Return whether an allele changes the DNA, but the record does not say what it becomes."""
    if allele == "<DEL>":
        return variant.end <= variant.position + 1  # no end is given
    return allele not in NO_CHANGE and not allele.isalpha()


def _edit(variant: Variant, allele: str, locus: Locus) -> Edit | None:
    """Return what an allele does to the reference within the locus; None if nothing."""
    reference, position = variant.reference.upper(), variant.position
    if allele in NO_CHANGE or _is_unreadable(variant, allele):
        return None
    if allele == "<DEL>":
        start, end, bases = position + 1, variant.end, np.zeros(0, np.uint8)
    else:
        start, end, bases = position, position + len(reference), to_codes(allele)
        if _is_indel_after_base(reference, allele):
            start, bases = start + 1, bases[1:]
    if start < locus.start:
        bases, start = bases[locus.start - start :], locus.start
    return Edit(start, min(end, locus.end), bases, max(position, locus.start))


def _is_indel_after_base(reference: str, allele: str) -> bool:
    return len(reference) != len(allele) and reference[0] == allele[0].upper()


def _is_pure_indel(reference: str, allele: str) -> bool:
    """Return whether an allele inserts or deletes bases after its first one, and nothing else."""
    shorter, longer = sorted((reference, allele), key=len)
    pairs = enumerate(zip(shorter, longer, strict=False))
    same = next((i for i, (one, other) in pairs if one != other), len(shorter))
    return len(shorter) < len(longer) and same > 0 and longer.endswith(shorter[same:])


def _without_overlaps(
    alleles: NDArray[np.int16], variants: tuple[Variant, ...], edits: list[list[Edit | None]]
) -> tuple[NDArray[np.int16], int]:
    """Set alleles that overlap an applied one, or that change nothing, to 0; count the former."""
    applied = alleles.copy()
    frozen, after_insertion, skipped = -1, False, 0
    for column in np.flatnonzero(alleles).tolist():
        variant, number = variants[column], int(alleles[column])
        if edits[column][number] is None:
            applied[column] = 0
            continue
        allele, reference = variant.alternatives[number - 1], variant.reference.upper()
        deletion = allele == "<DEL>"
        joins = deletion or _is_pure_indel(reference, allele.upper())
        if variant.position < frozen or (
            variant.position == frozen and (not joins or after_insertion)
        ):
            applied[column] = 0
            skipped += 1
            continue
        frozen = (variant.end if deletion else variant.position + len(reference)) - 1
        after_insertion = not deletion and len(allele) > len(reference)
    return applied, skipped
