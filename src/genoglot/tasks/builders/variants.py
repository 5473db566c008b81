"""CausalSNP: whether a variant changes the expression of a gene in a tissue.

Source format: the fine-mapping table of GTEx v8 by DAP-G (GTEx_v8_finemapping_DAPG.txt.gz):
tab-separated tissue_id, gene_id, cluster_id, cluster_pip, variant_id (chr1_12345_A_G_b38, position
from 1) and variant_pip, with that header, or without as its .CS95.txt.gz is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.errors import TaskError
from genoglot.files import read_lines
from genoglot.regions import Regions
from genoglot.sequence import Genome, to_codes
from genoglot.sequence.alphabet import LETTERS, N
from genoglot.tasks.genome_positions import OUTSIDE, find_inside, window_batches
from genoglot.tasks.notes import Notes
from genoglot.tasks.source_tables import LINE, SourceTable
from genoglot.tasks.splits import (
    DART,
    TaskSplit,
    assign_groups,
    random_subsets,
    split_by_chromosome,
)
from genoglot.tasks.task import COMMON_BASELINES, Task, published_results
from genoglot.tasks.writer import Batch, TaskContent

WINDOW = 1_000
CAUSAL, SPURIOUS = 0.9, 0.01
NEGATIVES = 2
FRACTIONS = (0.7, 0.1, 0.2)
COLUMNS = ("tissue_id", "gene_id", "cluster_id", "cluster_pip", "variant_id", "variant_pip")
_VARIANT = r"^([^\t ]+)_(\d+)_([A-Za-z]+)_([A-Za-z]+)(?:_[^_]+)?$"


def build(sources: Sequence[Path], *, genome: Genome, seed: int = 0) -> TaskContent:
    """Make the content of the task.

    An example is a single-base variant in a tissue: the 1,000 bp around it without and with it,
    its base the 501st. It is positive if its posterior for any gene in the tissue is above 0.9,
    negative if it is below 0.01 for all genes; of the negatives, twice as many as positives are
    drawn in each tissue. Insertions and deletions are left out. `group` is the tissue: a bench fits
    a model to each.

    Splits: `variant` (the default: 70/10/20 % of the positions; variants less than 1,000 bp apart,
    whose windows overlap, are in one subset, with all their tissues); `random` (the published one:
    70/10/20 % of the positives and of the negatives of each tissue, so that variants which are
    causal in several tissues are in training and test); `chromosome`.

    Parameters
    ----------
    sources
        The table.
    genome, seed
        See `Task.build`.

    Raises
    ------
    GenoglotError
        With file and line, if the table is malformed, or a reference allele is not the genome's.
    """
    (path,) = sources
    notes = Notes()
    rng = np.random.default_rng(seed)
    variants = _balance(_read_variants(path, genome, notes), rng, path, notes)
    splits = _split(variants, rng)

    def batches() -> Iterator[Batch]:
        changed = to_codes("".join(variants["alt"]))
        done = 0
        for batch in window_batches(
            genome,
            _positions(variants),
            WINDOW,
            ids=variants.select(pl.format("{}:{}", "variant_id", "tissue_id")).to_series(),
            labels=variants["causal"].to_numpy()[:, None],
            splits=splits,
            groups=variants["tissue_id"],
        ):
            alternative = batch.codes.copy()
            alternative[:, WINDOW // 2] = changed[done : done + len(alternative)]
            done += len(alternative)
            yield batch._replace(alternative=alternative)

    return TaskContent(
        sources, ["causal"], WINDOW, splits, batches(), notes, default_split="variant"
    )


def _positions(variants: pl.DataFrame) -> Regions:
    return Regions(variants["chrom"].to_numpy(), variants["at"], variants["at"] + 1)


def _read_variants(path: Path, genome: Genome, notes: Notes) -> pl.DataFrame:
    """Read, for each single-base variant and tissue, whether it is causal or spurious."""
    best = _best_posteriors(path)
    decided = best.filter(pl.col("causal") | (pl.col("pip") < SPURIOUS))
    notes["rows_in_between"] = len(best) - len(decided)
    single = (decided["ref"].str.len_bytes() == 1) & (decided["alt"].str.len_bytes() == 1)
    notes.count_dropped(
        "insertions_and_deletions",
        "variants are insertions or deletions: left out",
        path,
        single.to_numpy(),
    )
    table = SourceTable(path, decided.filter(single))
    is_base = pl.all_horizontal(pl.col("ref", "alt").is_in(list(LETTERS[:N])))
    table.refuse(
        ~is_base | (pl.col("ref") == pl.col("alt")),
        lambda row: f"{row['variant_id']} is not a change of one base of A C G T; remove it",
    )
    regions = _positions(table.frame)
    inside = find_inside(regions, genome, path).wholly
    notes.count_dropped("rows_off_the_genome", f"variants {OUTSIDE}", path, inside)
    found = table.frame.filter(inside)
    if not len(found):
        raise TaskError(f"{path}: no single-base variant of it lies in the genome ({notes})")
    found = found.with_columns(genome=genome.fetch(regions[inside])[:, 0])
    wrong = found["genome"].to_numpy() != to_codes("".join(found["ref"]))
    SourceTable(path, found).refuse(
        wrong,
        lambda row: (
            f"the reference allele of {row['variant_id']} is {LETTERS[row['genome']]} in the "
            f"genome ({wrong.sum()} of {len(found)} variants do not match); give the right "
            "assembly"
        ),
    )
    return found


def _best_posteriors(path: Path) -> pl.DataFrame:
    """Find the largest posterior of each variant in each tissue: pip, and whether it is causal."""
    table = _read_table(path)
    pip = table.frame["variant_pip"].cast(pl.Float64, strict=False)
    table.refuse(
        pip.is_null() | (pip < 0) | (pip > 1.0001),
        lambda row: f"the posterior is {row['variant_pip']!r}, not a number from 0 to 1",
    )
    best = (
        table.frame.with_columns(pip=pip)
        .group_by("variant_id", "tissue_id", maintain_order=True)
        .agg(pl.col("pip").max(), pl.col(LINE).first())
    )
    chrom, pos, ref, alt = best["variant_id"].str.extract_groups(_VARIANT).struct.unnest()
    at = pos.cast(pl.Int64, strict=False) - 1
    SourceTable(path, best).refuse(
        at.is_null() | (at < 0),
        lambda row: f"{row['variant_id']!r} is not a variant such as chr1_12345_A_G_b38",
    )
    return best.with_columns(
        chrom=chrom,
        at=at,
        ref=ref.str.to_uppercase(),
        alt=alt.str.to_uppercase(),
        causal=pl.col("pip") > CAUSAL,
    )


def _read_table(path: Path) -> SourceTable:
    """Read the needed columns of the table, with or without a header.

    The table has millions of rows and one fixed format, so that it is read faster than other
    tables are.
    """
    data = read_lines(path)
    first = data.split(b"\n", 1)[0].decode().split("\t")
    has_header = "variant_id" in first
    names = first if has_header else list(COLUMNS)
    if not set(COLUMNS) <= set(names) or len(first) != len(names):
        raise TaskError(
            f"{path}:1: no table of DAP-G; it must have the columns {', '.join(COLUMNS)}"
        )
    needed = sorted(names.index(name) for name in ("tissue_id", "variant_id", "variant_pip"))
    try:
        frame = pl.read_csv(
            data,
            has_header=has_header,
            columns=needed,
            separator="\t",
            infer_schema=False,
            quote_char=None,
        )
    except pl.exceptions.PolarsError as error:
        raise TaskError(f"{path}: no table ({str(error).splitlines()[0]})") from None
    frame.columns = [names[i] for i in needed]
    frame = frame.select(pl.all().str.strip_chars())
    table = SourceTable(path, frame.with_row_index(LINE, offset=2 if has_header else 1))
    table.refuse(pl.col("tissue_id").fill_null("") == "", "the tissue_id is missing; fill it in")
    return table


def _balance(
    table: pl.DataFrame, rng: np.random.Generator, path: Path, notes: Notes
) -> pl.DataFrame:
    """Take, in each tissue, all positives and twice as many negatives."""
    taken: list[pl.DataFrame] = []
    one_class: list[str] = []
    for (tissue,), rows in table.sort("tissue_id", "chrom", "at", "alt").group_by(
        "tissue_id", maintain_order=True
    ):
        positive, negative = rows.filter("causal"), rows.filter(~pl.col("causal"))
        if not len(positive) or not len(negative):
            one_class.append(str(tissue))
            continue
        n = min(NEGATIVES * len(positive), len(negative))
        taken += [positive, negative[np.sort(rng.choice(len(negative), n, replace=False))]]
    notes.count(
        "tissues_without_both_classes",
        f"tissues ({', '.join(one_class[:5])}) do not have variants of both classes: left out",
        {path: (len(one_class), table["tissue_id"].n_unique())},
    )
    if not taken:
        raise TaskError(
            f"{path}: no tissue has variants with a posterior above {CAUSAL} and below {SPURIOUS}"
        )
    return pl.concat(taken)


def _split(variants: pl.DataFrame, rng: np.random.Generator) -> dict[str, TaskSplit]:
    sizes = variants.group_by("tissue_id", "causal", maintain_order=True).len()["len"]
    random = np.concatenate([random_subsets(n, FRACTIONS, rng) for n in sizes])
    loci = _loci(variants)
    of_locus = assign_groups(loci.to_list(), FRACTIONS, rng)
    return {
        "variant": TaskSplit(
            f"70/10/20 % of the positions, at random; variants less than {WINDOW:,} bp apart "
            "are in one subset, with all their tissues",
            loci.replace_strict(of_locus).to_numpy().astype(object),
        ),
        "random": TaskSplit(
            "70/10/20 % of the positives and of the negatives of each tissue, at random", random
        ),
        **split_by_chromosome(Counter(variants["chrom"]), DART),
    }


def _loci(variants: pl.DataFrame) -> pl.Series:
    """Name the locus of each variant: that of the first of a run of overlapping windows."""
    positions = variants.select("chrom", "at").unique().sort("chrom", "at")
    begins = (pl.col("at").diff() >= WINDOW) | (pl.col("chrom") != pl.col("chrom").shift())
    first = pl.when(begins.fill_null(value=True)).then(pl.format("{}:{}", "chrom", "at"))
    positions = positions.with_columns(locus=first.forward_fill())
    return variants.join(positions, on=["chrom", "at"], how="left", maintain_order="left")["locus"]


_METRICS = ("AUPRC", "AUROC")

TASK = Task(
    name="CausalSNP",
    target="binary",
    metrics=_METRICS,
    split="random",
    sources="the table of DAP-G (GTEx_v8_finemapping_DAPG.txt.gz)",
    needs_genome=True,
    builder=build,
    per_group=True,
    baselines=(*COMMON_BASELINES, "lookup"),
    published=published_results(
        _METRICS,
        {
            "Attention": (0.610, 0.721),
            "CNN+FC": (0.605, 0.716),
            "CNN+LSTM": (0.606, 0.718),
        },
    ),
)
