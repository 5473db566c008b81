"""SpliceSites: which nucleotides of a pre-mRNA are splice acceptors and donors.

As Jaganathan et al. 2019 (SpliceAI, Cell 176:535) define it: the pre-mRNA of one transcript of each
gene, on the strand of the gene, is cut into blocks of 5,000 nucleotides; a model reads a block with
context on both sides, and says of each nucleotide of the block whether it is an acceptor (the first
nucleotide of an exon), a donor (the last one) or neither. What is outside of the transcript reads
as N. Sites of other transcripts of a gene count as neither.

Source formats: GTF and GFF3, of any release; and the table of transcripts that SpliceAI comes with:
tab-separated, `#NAME CHROM STRAND TX_START TX_END EXON_START EXON_END`, starts from 0, with a comma
after each exon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions import Regions
from genoglot.regions.assembly import is_human
from genoglot.regions.transcripts import Transcript
from genoglot.sequence import Genome
from genoglot.sequence.alphabet import Codes, N, to_codes
from genoglot.tasks.builders.gene_transcripts import Choice, choose_transcripts
from genoglot.tasks.dataset import SUBSETS
from genoglot.tasks.genome_positions import OUTSIDE, find_inside
from genoglot.tasks.notes import Notes
from genoglot.tasks.splits import HeldOut, TaskSplit, split_by_chromosome
from genoglot.tasks.task import PublishedResult, Task, check_choice
from genoglot.tasks.writer import Batch, TaskContent

Labels = NDArray[np.int8]

NEITHER, ACCEPTOR, DONOR, MISSING = 0, 1, 2, -1
CLASSES = ("neither", "acceptor", "donor")

CONTEXT, BLOCK, GAP = 400, 5000, 10_000

CANONICAL = ("GTAG", "GCAG", "ATAC")
"""First two and last two bases of introns whose sites are canonical."""

TEST_CHROMOSOMES = ("1", "3", "5", "7", "9")

VALIDATION = 0.1
"""Fraction of the training genes that models are validated on, as in SpliceAI."""

_BASES = 1 << 22  # bases in a batch

Subsets = NDArray[np.object_]


def build(
    sources: Sequence[Path],
    *,
    genome: Genome,
    seed: int = 0,
    context: int = CONTEXT,
    block: int = BLOCK,
    transcript: Choice = "longest",
    biotype: str = "",
    gap: int = GAP,
) -> TaskContent:
    """Make the content of the task.

    Splits, those that the chromosomes allow: `spliceai` (human, see `is_human`: chromosomes 1, 3,
    5, 7 and 9 for testing), `chromosome` (three chromosomes or more: whole ones for validation and
    testing), `halves` (the second half of the genes of each chromosome for testing). In `spliceai`
    and `halves`, a tenth of the other genes is for validation; genes that overlap are in one
    subset. So are genes of one name, or of the same DNA and exons, such as those that X and Y
    share: if a split has them in several subsets, those of the last one are used.

    Parameters
    ----------
    sources
        A GTF or GFF3 file, or SpliceAI's table of transcripts.
    genome, seed
        See `Task.build`.
    context
        Number of bp of context of a nucleotide, one half on each side.
    block
        Number of nucleotides of an example that have a label; the last block of a transcript is
        filled up.
    transcript
        Which transcript of a gene is used, of those with an intron: the one with the longest mRNA
        (longest, as the sum of its exons), or with most introns (most-introns); of equal ones the
        first in the file.
    biotype
        Use only transcripts of this biotype, such as protein_coding; by default all.
    gap
        Split `halves`: number of bp between the genes of the halves; genes in it are left out.

    Raises
    ------
    GenoglotError
        With file and line, if the file is malformed; or if it is not of the genome.
    """
    (path,) = sources
    check_choice("transcript", transcript, get_args(Choice))
    if context < 0 or context % 2 or block < 1 or gap < 0:
        raise TaskError(
            f"context {context}, block {block}, gap {gap}: give an even context and a gap of 0 or "
            "more, and a block of 1 or more"
        )
    notes = Notes()
    found = choose_transcripts(path, transcript, biotype, genome.chrom_sizes, notes)
    chosen = _in_genome(found, genome, path, notes)
    chosen.sort(key=lambda one: (one.chrom, one.start, one.end, one.name))
    chosen = _with_copies_as_one_gene(chosen, genome, path, notes)
    extents = genome.extents
    human = is_human(dict(zip(genome.names, extents.end - extents.start, strict=True)))
    splits = _splits(chosen, gap, human, np.random.default_rng(seed))
    if not splits:
        raise TaskError(
            f"{path}: {len(chosen)} genes with introns lie in the genome, too few to train, "
            "validate and test on; give more of the annotation, or a smaller gap (--set gap=0)"
        )
    notes["genes"], notes["context"], notes["block"] = len(chosen), context, block
    for name in ("one_base_exons", "transcripts_with_n"):
        notes[name] = 0  # counted as the blocks are made
    overlap = Counter(_loci(chosen))
    notes["genes_that_overlap_others"] = sum(n for n in overlap.values() if n > 1)
    notes["paralogs"] = "not known: see the near duplicates of the splits"
    _check_introns(chosen, genome, path, notes)
    batches = _batches(chosen, genome, context, block, splits, notes)
    return TaskContent(
        sources, CLASSES, block + context, splits, batches, notes, name=dataset_name(context)
    )


def dataset_name(context: int) -> str:
    """Name of the dataset with a context in bp, such as 400nt."""
    return f"{context}nt"


def _in_genome(
    transcripts: list[Transcript], genome: Genome, path: Path, notes: Notes
) -> list[Transcript]:
    inside = find_inside(_regions(transcripts), genome, path).wholly
    notes.count_dropped("transcripts_off_the_genome", f"transcripts {OUTSIDE}", path, inside)
    return [one for one, good in zip(transcripts, inside, strict=True) if good]


def _with_copies_as_one_gene(
    transcripts: Sequence[Transcript], genome: Genome, path: Path, notes: Notes
) -> list[Transcript]:
    """Give genes of the same DNA and exons one name of the gene, that of the first one.

    The genes that X and Y share have several names or one, by the release of the annotation.
    """
    shapes = [_shape(one) for one in transcripts]
    n_of_shape = Counter(shapes)
    names: dict[tuple[bytes, bytes], str] = {}
    found = []
    for one, shape in zip(transcripts, shapes, strict=True):
        gene = one.gene
        if n_of_shape[shape] > 1:
            pre = label_transcript(one, genome)
            key = blake2b(pre.codes.tobytes()).digest(), blake2b(pre.labels.tobytes()).digest()
            gene = names.setdefault(key, gene)
        found.append(one._replace(gene=gene))
    n_of_gene = Counter(one.gene for one in found)
    notes.count(
        "genes_with_copies",
        "genes have the name, or the DNA and exons, of another one: they are in one subset",
        {path: (sum(n for n in n_of_gene.values() if n > 1), len(found))},
    )
    return found


def _shape(transcript: Transcript) -> tuple[int, ...]:
    """Positions of the borders of the exons in the direction of the transcript."""
    borders = [border for exon in transcript.exons for border in exon]
    if transcript.strand == "-":
        return tuple(transcript.end - border for border in reversed(borders))
    return tuple(border - transcript.start for border in borders)


def _ids(transcripts: Sequence[Transcript]) -> list[str]:
    """Return distinct ids: a name that several chromosomes have begins with the chromosome."""
    n_of_name = Counter(one.name for one in transcripts)
    return [
        f"{one.chrom}:{one.name}" if n_of_name[one.name] > 1 else one.name for one in transcripts
    ]


def _regions(transcripts: Sequence[Transcript]) -> Regions:
    return Regions(
        [one.chrom for one in transcripts],
        [one.start for one in transcripts],
        [one.end for one in transcripts],
        {"strand": [one.strand for one in transcripts]},
    )


def _check_introns(
    transcripts: Sequence[Transcript], genome: Genome, path: Path, notes: Notes
) -> None:
    """Count introns without the usual bases at their ends; those of another assembly have them."""
    introns = [(one, *intron) for one in transcripts for intron in one.introns]
    ends = []
    for at_start in ("+", "-"):  # strand whose intron has this end at the lower position
        low = [start if one.strand == at_start else end - 2 for one, start, end in introns]
        regions = Regions(
            [one.chrom for one, *_ in introns],
            low,
            [position + 2 for position in low],
            {"strand": [one.strand for one, *_ in introns]},
        )
        ends.append(genome.fetch(regions))
    usual = [[to_codes(text)] for text in CANONICAL]
    unusual = int((~(np.hstack(ends) == usual).all(axis=2).any(axis=0)).sum())
    notes["introns"], notes["noncanonical_introns"] = len(introns), unusual
    if unusual > len(introns) / 2:
        raise TaskError(
            f"{path}: {unusual:,} of {len(introns):,} introns neither begin with GT and end with "
            "AG, nor are GC-AG or AT-AC, as in the DNA of another assembly or strand; give the "
            "annotation of the genome's assembly"
        )


class Pre(NamedTuple):
    """A pre-mRNA, in the direction of its transcript.

    Attributes
    ----------
    codes
        DNA, uint8 (length,).
    labels
        Class of each nucleotide, int8 (length,).
    """

    codes: Codes
    labels: Labels


def label_transcript(transcript: Transcript, genome: Genome) -> Pre:
    """Fetch the pre-mRNA of a transcript and label its nucleotides."""
    codes = genome.fetch(_regions([transcript]))[0]
    # From plus-strand coordinates to positions in the direction of the transcript.
    borders = np.array(transcript.introns, np.int64).reshape(-1, 2) - transcript.start
    if transcript.strand == "-":
        borders = len(codes) - borders[::-1, ::-1]
    labels = np.zeros(len(codes), np.int8)
    labels[borders[:, 1]] = ACCEPTOR  # first base after an intron
    labels[borders[:, 0] - 1] = DONOR  # last base before it
    return Pre(codes, labels)


def cut_blocks(pre: Pre, context: int, block: int) -> tuple[Codes, Labels]:
    """Cut a pre-mRNA into blocks with context; past its ends are N, and missing labels.

    Parameters
    ----------
    pre
        The pre-mRNA.
    context, block
        See `build`.

    Returns
    -------
    tuple
        Codes, uint8 (blocks, block + context), and labels, int8 (blocks, block).

    Examples
    --------
    >>> pre = Pre(np.array([0, 1, 2], np.uint8), np.array([0, 2, 0], np.int8))
    >>> codes, labels = cut_blocks(pre, context=2, block=2)
    >>> codes.tolist(), labels.tolist()
    ([[4, 0, 1, 2], [1, 2, 4, 4]], [[0, 2], [0, -1]])
    """
    missing = -len(pre.codes) % block
    around = (context // 2, context // 2 + missing)
    codes = np.pad(pre.codes, around, constant_values=N)
    rows = np.lib.stride_tricks.sliding_window_view(codes, block + context)[::block]
    labels = np.pad(pre.labels, (0, missing), constant_values=MISSING).reshape(-1, block)
    return np.ascontiguousarray(rows), labels


def _batches(
    transcripts: Sequence[Transcript],
    genome: Genome,
    context: int,
    block: int,
    splits: Mapping[str, TaskSplit],
    notes: Notes,
) -> Iterator[Batch]:
    waiting: list[Batch] = []
    bases = 0
    for i, (transcript, name) in enumerate(zip(transcripts, _ids(transcripts), strict=True)):
        pre = label_transcript(transcript, genome)
        notes["one_base_exons"] += 2 * len(transcript.introns) - int((pre.labels > 0).sum())
        notes["transcripts_with_n"] += int((pre.codes == N).any())
        codes, labels = cut_blocks(pre, context, block)
        first = np.arange(len(codes)) * block
        last = np.minimum(first + block, len(pre.codes))
        start, end = transcript.start + first, transcript.start + last
        if transcript.strand == "-":
            start, end = transcript.end - last, transcript.end - first
        columns = {
            "id": [f"{name}:{number}" for number in range(len(codes))],
            "chrom": [transcript.chrom] * len(codes),
            "start": start,
            "end": end,
            "strand": [transcript.strand] * len(codes),
            "group": [transcript.gene] * len(codes),
        }
        for split, (_, subsets) in splits.items():
            assert not isinstance(subsets, Mapping)
            columns[f"split:{split}"] = pl.Series([subsets[i]] * len(codes), dtype=pl.String)
        waiting.append(Batch(codes, labels, pl.DataFrame(columns)))
        bases += codes.size
        if bases >= _BASES:
            yield _joined(waiting)
            waiting, bases = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[Batch]) -> Batch:
    return Batch(
        np.concatenate([batch.codes for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
        pl.concat([pl.DataFrame(batch.examples) for batch in batches]),
    )


def _loci(transcripts: Sequence[Transcript]) -> list[int]:
    """Return the number of the locus of each of sorted transcripts; those of a locus overlap."""
    numbers: list[int] = []
    number, chrom, reach = -1, "", 0
    for one in transcripts:
        if one.chrom != chrom or one.start >= reach:
            number, chrom, reach = number + 1, one.chrom, 0
        reach = max(reach, one.end)
        numbers.append(number)
    return numbers


def _splits(
    transcripts: Sequence[Transcript], gap: int, human: bool, rng: np.random.Generator
) -> dict[str, TaskSplit]:
    """Make the splits that have genes in each subset."""
    chroms = [one.chrom for one in transcripts]
    bare = [name.removeprefix("chr").partition("_")[0] for name in chroms]
    found: dict[str, tuple[str, Subsets]] = {}
    if human:
        test = np.array([name in TEST_CHROMOSOMES for name in bare])
        subsets = _with_validation(transcripts, test, ~test, rng)
        rule = "test chromosomes 1, 3, 5, 7, 9 (Jaganathan et al. 2019); validation 10 % of genes"
        found["spliceai"] = rule, subsets
    for name, (rule, by_chromosome) in split_by_chromosome(
        Counter(chroms), HeldOut((), (), "")
    ).items():
        assert isinstance(by_chromosome, Mapping)
        found[name] = rule, np.array([by_chromosome[c] for c in chroms], object)
    test, train = _halves(transcripts, gap)
    rule = f"the second half of the genes of each chromosome for testing, {gap:,} bp apart"
    subsets = _with_validation(transcripts, test, train, rng)
    found["halves"] = f"{rule}; validation 10 % of genes", subsets
    apart = {
        name: TaskSplit(rule, _with_genes_apart(transcripts, subsets))
        for name, (rule, subsets) in found.items()
    }
    return {name: split for name, split in apart.items() if len(set(split.subsets) - {None}) == 3}


def _with_genes_apart(transcripts: Sequence[Transcript], subsets: Subsets) -> Subsets:
    """Leave out genes that are also in a later one of train, validation and test."""
    numbers = [-1 if subset is None else SUBSETS.index(subset) for subset in subsets]
    last: dict[str, int] = {}
    for one, number in zip(transcripts, numbers, strict=True):
        last[one.gene] = max(number, last.get(one.gene, -1))
    earlier = [number < last[one.gene] for one, number in zip(transcripts, numbers, strict=True)]
    apart = subsets.copy()
    apart[earlier] = None
    return apart


def _halves(
    transcripts: Sequence[Transcript], gap: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find the transcripts of the second and of the first half of each chromosome, bool (n,)."""
    chrom = np.array([one.chrom for one in transcripts])
    start, end = (np.array([getattr(one, at) for one in transcripts]) for at in ("start", "end"))
    cut = np.zeros(len(transcripts), np.int64)
    for name in np.unique(chrom):
        here = chrom == name
        cut[here] = np.median(start[here])
    return start >= cut + gap - gap // 2, end <= cut - gap // 2


def _with_validation(
    transcripts: Sequence[Transcript],
    test: NDArray[np.bool_],
    train: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Subsets:
    """Name the subset of each transcript, None for none: a tenth of train is for validation."""
    subsets = np.full(len(transcripts), None, object)
    subsets[train], subsets[test] = "train", "test"
    loci = np.array(_loci(transcripts), np.int64)
    learned = np.unique(loci[train])
    n = max(round(VALIDATION * len(learned)), 1) if len(learned) > 1 else 0
    subsets[train & np.isin(loci, rng.choice(learned, n, replace=False))] = "validation"
    return subsets


_METRICS = ("top-k", "AUPRC", "AUROC", "precision (macro)", "recall (macro)", "MCC")
_FIGURES: dict[str, dict[int, tuple[float, float]]] = {
    "SpliceAI": {80: (0.57, 0.60), 400: (0.90, 0.95), 2000: (0.93, 0.97)},
    "GeneBERT": {80: (0.83, 0.89), 256: (0.93, 0.95), 400: (0.95, 0.98), 2000: (0.97, 0.99)},
}

TASK = Task(
    name="SpliceSites",
    target="nucleotide-classes",
    metrics=_METRICS,
    split="spliceai",
    sources="an annotation, GTF or GFF3, or SpliceAI's table of transcripts",
    needs_genome=True,
    builder=build,
    published=tuple(
        PublishedResult(model, metric, value, "Mo et al. 2021, table 4", dataset_name(context))
        for model, contexts in _FIGURES.items()
        for context, values in contexts.items()
        for metric, value in zip(_METRICS, values, strict=False)
    ),
    baselines=("constant", "splice-matrices"),
)
"""The task."""
