"""`Cohort`: people with two haplotypes of a locus, a disease status and covariates."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError, some
from genoglot.sequence import Genome
from genoglot.sequence.haplotypes import NO_CHANGE, Haplotypes
from genoglot.sequence.vcf import ABSENT, MISSING, Genotypes, Locus, read_genotypes
from genoglot.tables import missing_values
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import LINE, SourceTable

log = logging.getLogger("genoglot")

Coding = Literal["auto", "0/1", "1/2"]
Floats = NDArray[np.float32]

MAX_CATEGORIES = 10
"""Maximum number of values of a covariate that is text."""

_WORDS = {"case": 1, "control": 0}
_CODINGS: dict[str, dict[str, int | None]] = {
    "0/1": {"0": 0, "1": 1},
    "1/2": {"1": 0, "2": 1, "0": None, "-9": None},
}


@dataclass(frozen=True, eq=False)
class Cohort:
    """People of a case-control study, with a locus of their genomes.

    Attributes
    ----------
    people
        Names of the n people, in the order of the VCF file.
    case
        1 for a case, 0 for a control, int8 (n,).
    genotypes, haplotypes
        Their genotypes and haplotypes.
    covariates
        float32 (n, c), NaN where a value is missing; text has a column for each value but the
        first.
    covariate_names
        Names of these columns.
    groups
        Label of the family or population of each person, (n,); None if it is not given.
    notes
        What was counted while the files were read.
    """

    people: tuple[str, ...]
    case: NDArray[np.int8]
    genotypes: Genotypes
    haplotypes: Haplotypes
    covariates: Floats
    covariate_names: tuple[str, ...]
    groups: NDArray[np.object_] | None
    notes: Notes

    @classmethod
    def read(
        cls,
        vcf: str | Path,
        phenotypes: str | Path,
        locus: Locus,
        genome: Genome,
        *,
        person: str = "person",
        case: str = "case",
        coding: Coding = "auto",
        covariates: Sequence[str] | None = None,
        group: str | None = None,
    ) -> Cohort:
        """Read a cohort from a VCF file and a table of phenotypes.

        Parameters
        ----------
        vcf
            VCF file with the genotypes.
        phenotypes
            CSV or TSV with a row for each person.
        locus
            The part of the genome that is read.
        genome
            The genome that the variants were called on.
        person, case
            Names of the columns with the samples' names and with the disease status.
        coding
            What the status means: `"0/1"` (1 is a case), `"1/2"` (as in PLINK: 2 is a case, 0 and
            -9 are missing), or `"auto"`: the words case and control, or 0 and 1, or 1 and 2, if
            there are no other values. Missing values are left out in either case.
        covariates
            Names of columns. Default: all columns but these two and the group.
        group
            Name of the column with families or populations. People of one group are never both in
            training and test.

        Raises
        ------
        GenoglotError
            With file and line, if a file is malformed, a person occurs twice, a status is unknown
            or ambiguous, the files have no person in common, or the genome does not fit.
        """
        genotypes = read_genotypes(vcf, locus)
        table = SourceTable.read(Path(phenotypes), [person, case])
        table.require(person)
        table.refuse(
            ~pl.col(person).is_first_distinct(),
            lambda row: f"{row[person]!r} occurs twice; remove one of the rows",
        )
        notes = Notes()
        status = _read_status(table, case, coding)
        row_of = {name: i for i, name in enumerate(table.frame[person])}
        rows = np.array([row_of.get(name, -1) for name in genotypes.people], np.int64)
        _count_unmatched(genotypes, table, row_of, rows, notes)
        known = np.array([row >= 0 and status[row] is not None for row in rows], np.bool_)
        notes.count(
            "people_without_status",
            "people in both files have no disease status: left out",
            {table.path: (int((rows >= 0).sum() - known.sum()), int((rows >= 0).sum()))},
        )
        if not known.any():
            raise TaskError(f"{table.path}: no person with a status is in {genotypes.path}")
        if not genotypes.variants:
            raise TaskError(
                f"{genotypes.path}: no variant in {locus}; choose a locus that the file has "
                "variants of"
            )
        genotypes = genotypes.select(np.flatnonzero(known))
        rows = rows[known]
        frame = table.frame[rows]
        names = _covariate_columns(table, covariates, [person, case, *([group] if group else [])])
        values, columns = _read_covariates(SourceTable(table.path, frame), names)
        haplotypes = Haplotypes.of(genotypes, genome)
        notes |= {"variants": len(genotypes.variants), "haplotypes": len(haplotypes)}
        _note_haplotypes(haplotypes.counts, genotypes, notes)
        return cls(
            genotypes.people,
            np.array([status[row] for row in rows], np.int8),
            genotypes,
            haplotypes,
            values,
            columns,
            _read_groups(SourceTable(table.path, frame), group) if group else None,
            notes,
        )

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.people)

    def dosages(self) -> Floats:
        """Count the copies of each alternative allele in each person.

        Returns
        -------
        Floats
            float32 (n, alternative alleles), 0, 1 or 2; NaN where an allele of the person is
            missing. Alleles `*` and `<NON_REF>` have no column.
        """
        columns = []
        for variant, alleles in zip(self.genotypes.variants, self.genotypes.alleles, strict=True):
            missing = (alleles == MISSING).any(axis=1)
            for number, allele in enumerate(variant.alternatives, 1):
                if allele not in NO_CHANGE:
                    count = (alleles == number).sum(axis=1)
                    columns.append(np.where(missing, np.nan, count).astype(np.float32))
        return np.stack(columns, axis=1) if columns else np.zeros((len(self), 0), np.float32)


def _read_status(table: SourceTable, column: str, coding: Coding) -> list[int | None]:
    """Read who is a case: 1, 0, or None if it is missing."""
    text = table.frame[column].str.to_lowercase()
    missing = missing_values(text)
    values = set(text.filter(~missing).unique())
    if coding == "auto" and values <= {"1", "2"} and "2" in values:
        codes = _CODINGS["1/2"]
    elif coding == "auto" and values <= {"0", "1"}:
        codes = _CODINGS["0/1"]
    elif coding == "auto":
        codes = dict(_WORDS)
    else:
        codes = _CODINGS[coding]
    if coding == "auto" and values & {"0", "1", "2", "-9"} and not values <= codes.keys():
        raise TaskError(
            f"{table.path}: {column} has the values {some(sorted(values))}, which may mean "
            "several things; declare the coding: 0/1 (1 is a case) or 1/2 (2 is a case, 0 and -9 "
            "are missing)"
        )
    table.refuse(
        pl.Series(~(missing | text.is_in(list(codes)))),
        lambda row: (
            f"{column} is {row[column]!r}; give case or control, 0 or 1, or declare another coding"
        ),
    )
    return [None if absent else codes[value] for value, absent in zip(text, missing, strict=True)]


def _count_unmatched(
    genotypes: Genotypes,
    table: SourceTable,
    row_of: dict[str, int],
    rows: NDArray[np.int64],
    notes: Notes,
) -> None:
    without = int((rows < 0).sum())
    known = set(genotypes.people)
    others = [name for name in row_of if name not in known]
    if without == len(rows):
        raise TaskError(
            f"{table.path}: no person of it is in {genotypes.path}; it has {some(row_of)}, and the "
            f"VCF file {some(genotypes.people)}"
        )
    notes.count(
        "people_without_phenotype",
        "people of the VCF file are not in the table of phenotypes: left out",
        {genotypes.path: (without, len(rows))},
    )
    notes.count(
        "people_without_genotypes",
        "people of the table are not in the VCF file: left out",
        {table.path: (len(others), len(row_of))},
    )


def _covariate_columns(
    table: SourceTable, wanted: Sequence[str] | None, used: Sequence[str]
) -> list[str]:
    columns = [name for name in table.frame.columns if name != LINE]
    for name in [*used, *(wanted or ())]:
        if name not in columns:
            raise TaskError(
                f"{table.path}:1: the header has no column {name!r}; it has {some(columns)}"
            )
    if wanted is None:
        return [name for name in columns if name not in used]
    if again := [name for name in wanted if name in used]:
        raise TaskError(f"{again[0]!r} cannot be a covariate: it names people, cases or groups")
    return list(wanted)


def _read_covariates(table: SourceTable, names: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        text = table.frame[name]
        text = text.set(missing_values(text), None)
        numbers = text.cast(pl.Float64, strict=False)
        if numbers.null_count() == text.null_count():
            table.numbers(name)  # refuses infinite values
            columns[name] = numbers.to_numpy()
            continue
        values = sorted(text.drop_nulls().unique())
        if len(values) > MAX_CATEGORIES:
            raise TaskError(
                f"{table.path}: covariate {name!r} is text with {len(values)} values; choose the "
                "columns that are covariates (--covariate)"
            )
        for value in values[1:]:
            columns[f"{name}={value}"] = (text == value).cast(pl.Float64).to_numpy()
    if not columns:
        return np.zeros((len(table.frame), 0), np.float32), ()
    return np.stack(list(columns.values()), axis=1).astype(np.float32), tuple(columns)


def _read_groups(table: SourceTable, column: str) -> NDArray[np.object_]:
    """Return the group of each person; one without a group is a group of its own."""
    text = table.frame[column]
    alone = pl.Series([f"row {i}" for i in range(len(text))])
    return text.set(missing_values(text), None).fill_null(alone).to_numpy().astype(np.object_)


_MESSAGES = {
    "missing_alleles": "alleles are missing: read as the reference",
    "symbolic_alleles": "alleles are symbolic: read as the reference",
    "overlapping_alleles": "alleles overlap another one of their haplotype: not applied",
}


def _note_haplotypes(counts: dict[str, int], genotypes: Genotypes, notes: Notes) -> None:
    total = int((genotypes.alleles != ABSENT).sum())
    for name, message in _MESSAGES.items():
        notes.count(name, message, {genotypes.path: (counts[name], total)})
    people = len(genotypes.people)
    notes.count(
        "unphased_people",
        "people have several heterozygous variants that are not all phased: the alleles of their "
        "haplotypes are in the order in which they are written",
        {genotypes.path: (counts["unphased_people"], people)},
    )
    notes.count(
        "unknown_reference_bases",
        "variants are where the genome has N",
        {genotypes.path: (counts["unknown_reference_bases"], len(genotypes.variants))},
    )
    notes.count(
        "filtered_variants",
        "variants did not pass a filter of the caller: read as all others (bcftools view -f .,PASS "
        "leaves them out)",
        {genotypes.path: (counts["filtered_variants"], len(genotypes.variants))},
    )
    notes["haploid_people"] = counts["haploid_people"]
