"""The transcript of each gene whose splice sites are labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from genoglot.errors import TaskError
from genoglot.files import read_text
from genoglot.regions.strand import read_strand
from genoglot.regions.transcripts import Transcript, read_transcripts
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import LINE, SourceTable

Choice = Literal["longest", "most-introns"]

MIN_INTRON = 10
"""Minimum length of an intron in bp: shorter gaps between exons are frameshifts, not introns."""

_DIGITS = re.compile("[0-9]{1,18}")  # in int64
_TABLE = ("NAME", "CHROM", "STRAND", "TX_START", "TX_END", "EXON_START", "EXON_END")


def choose_transcripts(
    path: Path, choice: Choice, biotype: str, sizes: Mapping[str, int], notes: Notes
) -> list[Transcript]:
    """Read transcripts and choose one of each gene, with an intron; count what is left out.

    Gaps between exons that are shorter than `MIN_INTRON` are closed. `sizes` are the lengths of the
    chromosomes of the genome.

    Raises
    ------
    TaskError
        If no transcript is left.
    """
    with read_text(path) as lines:
        header = next(iter(lines), "")
    if header.startswith("#NAME\t"):
        every = read_spliceai_table(path)
    else:
        every = read_transcripts(path, sizes)
    wanted = [one for one in every if biotype in ("", one.biotype)]
    if not wanted:
        known = ", ".join(sorted({one.biotype or "none" for one in every}))
        raise TaskError(f"{path}: no transcript has the biotype {biotype!r}; it has {known}")
    found = [_closed(one) for one in wanted]
    notes["transcripts"] = len(found)
    notes["transcripts_of_other_biotypes"] = len(every) - len(found)
    notes["exons_joined_to_the_next"] = sum(
        len(before.exons) - len(after.exons) for before, after in zip(wanted, found, strict=True)
    )
    keep = np.array([one.strand != "." for one in found], np.bool_)
    notes.count_dropped(
        "transcripts_without_strand", "transcripts have no strand, or both: left out", path, keep
    )
    distinct = {(one.name, one.chrom) for one in found}
    notes.count(
        "repeated_names",
        "transcripts have the name of another on their chromosome: one of them is used",
        {path: (len(found) - len(distinct), len(found))},
    )
    measure: Callable[[Transcript], int] = _mrna_length if choice == "longest" else _n_introns
    best: dict[tuple[str, str], Transcript] = {}
    genes = set()
    for one in (one for one, good in zip(found, keep, strict=True) if good):
        gene = one.gene, one.chrom
        genes.add(gene)
        if one.introns and (gene not in best or measure(one) > measure(best[gene])):
            best[gene] = one
    notes["genes_without_introns"] = len(genes) - len(best)
    if not best:
        raise TaskError(f"{path}: no transcript has an intron; give an annotation with exons")
    return list(best.values())


def read_spliceai_table(path: Path) -> list[Transcript]:
    """Read the table of transcripts that SpliceAI comes with; its positions are half-open.

    Raises
    ------
    TaskError
        With the line, if it is malformed.
    """
    table = SourceTable.read(path, _TABLE, {"#NAME": "NAME"})
    table.require(*_TABLE)
    found = []
    for row in table.frame.iter_rows(named=True):
        starts, ends = (_numbers(row[name]) for name in ("EXON_START", "EXON_END"))
        span = _numbers(row["TX_START"]) + _numbers(row["TX_END"])
        exons = tuple(zip(starts, ends, strict=False))
        borders = [border for exon in exons for border in exon]
        fits = len(starts) == len(ends) > 0 and span == [starts[0], ends[-1]]
        if not fits or min(np.diff(borders)) < 1:
            raise TaskError(
                f"{path}:{row[LINE]}: the exons of {row['NAME']} are not sorted ranges from "
                "TX_START to TX_END; correct the line"
            )
        strand = read_strand(row["STRAND"], f"{path}: the strand of {row['NAME']}")
        found.append(Transcript(row["NAME"], row["NAME"], row["CHROM"], strand, exons))
    return found


def _numbers(text: str) -> list[int]:
    parts = text.strip().strip(",").split(",")
    return [int(part) for part in parts] if all(map(_DIGITS.fullmatch, parts)) else []


def _closed(transcript: Transcript) -> Transcript:
    """Join exons that overlap, or between which there is no intron."""
    exons = [transcript.exons[0]]
    for start, end in transcript.exons[1:]:
        if start - exons[-1][1] < MIN_INTRON:
            exons[-1] = exons[-1][0], max(exons[-1][1], end)
        else:
            exons.append((start, end))
    return transcript._replace(exons=tuple(exons))


def _mrna_length(transcript: Transcript) -> int:
    return sum(end - start for start, end in transcript.exons)


def _n_introns(transcript: Transcript) -> int:
    return len(transcript.introns)
