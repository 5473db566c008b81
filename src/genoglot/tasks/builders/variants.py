"""CausalSNP: whether a variant changes the expression of a gene in a tissue.

Source format: the fine-mapping table of GTEx v8 by DAP-G (GTEx_v8_finemapping_DAPG.txt.gz):
tab-separated tissue_id, gene_id, cluster_id, cluster_pip, variant_id (chr1_12345_A_G_b38, position
from 1) and variant_pip, with that header, or without as its .CS95.txt.gz is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genoglot.errors import TaskError
from genoglot.files import read_lines
from genoglot.regions import Regions
from genoglot.sequence import Genome, to_codes
from genoglot.sequence.alphabet import LETTERS, N
from genoglot.tasks.dataset import TaskData
from genoglot.tasks.genome_positions import OUTSIDE, find_inside
from genoglot.tasks.splits import DART, Parts, group_parts, random_parts, split_by_chromosome
from genoglot.tasks.task import BASELINES_OF_ALL, Task, published_figures
from genoglot.tasks.writer import note_count, write_task

WINDOW = 1_000
CAUSAL, SPURIOUS = 0.9, 0.01
NEGATIVES = 2
SHARES = (0.7, 0.1, 0.2)
COLUMNS = ("tissue_id", "gene_id", "cluster_id", "cluster_pip", "variant_id", "variant_pip")
_BATCH = 4096
_VARIANT = r"^([^\t ]+)_(\d+)_([A-Za-z]+)_([A-Za-z]+)(?:_[^_]+)?$"


def build(
    sources: Sequence[Path],
    out: Path,
    *,
    genome: Genome | None = None,
    seed: int = 0,
    leakage: bool = True,
    overwrite: bool = False,
) -> TaskData:
    """Build the task.

    An example is a single-base variant in a tissue: the 1,000 bp around it without and with it,
    its base the 501st. It is positive if its posterior for any gene there is above 0.9, negative
    if for all below 0.01; of the negatives, twice as many as positives are drawn in each tissue.
    Insertions and deletions are left out. `group` is the tissue: a bench fits a model to each.

    Splits: `variant` (the default: 70/10/20 % of the places; variants less than 1,000 bp apart,
    whose windows overlap, are in one part, with all their tissues); `random` (the published one:
    70/10/20 % of the positives and of the negatives of each tissue, so that variants which are
    causal in several tissues are in training and test); `chromosome`.

    Parameters
    ----------
    sources
        The table.
    out, genome, seed, leakage, overwrite
        See `Task.build`.

    Raises
    ------
    GenoglotError
        With file and line, if the table is malformed, or a reference allele is not the genome's.
    """
    assert genome is not None
    (path,) = sources
    notes: dict[str, Any] = {}
    table = _variants(path, genome, notes)
    rng = np.random.default_rng(seed)
    table = _balanced(table, rng, path, notes)
    places = Regions(table["chrom"].to_numpy(), table["at"], table["at"] + 1)
    parts, splits = _split(table, rng)
    with write_task(
        out,
        task=TASK.name,
        name=TASK.name,
        target="binary",
        outputs=["causal"],
        metrics=TASK.metrics,
        length=WINDOW,
        paired=True,
        default_split="variant",
        sources=[path],
        splits=splits,
        notes=notes,
        genome=genome.digest,
        leakage=leakage,
        overwrite=overwrite,
    ) as writer:
        alternative = to_codes("".join(table["alt"]))
        for i in range(0, len(table), _BATCH):
            some = table[i : i + _BATCH]
            reference = genome.fetch(places[i : i + _BATCH], WINDOW)
            changed = reference.copy()
            changed[:, WINDOW // 2] = alternative[i : i + _BATCH]
            columns = some.select(
                id=pl.format("{}:{}", "variant_id", "tissue_id"),
                chrom="chrom",
                start="at",
                end=pl.col("at") + 1,
                strand=pl.lit("+"),
                group="tissue_id",
            ).with_columns(
                **{
                    f"split:{name}": pl.Series(part[i : i + _BATCH].astype(str))
                    for name, part in parts.items()
                }
            )
            labels = some["causal"].cast(pl.Float32).to_numpy()[:, None]
            writer.add(reference, labels, columns, changed)
    return TaskData.open(out)


def _variants(path: Path, genome: Genome, notes: dict[str, Any]) -> pl.DataFrame:
    """Read, for each single-base variant and tissue, whether it is causal or spurious."""
    best = _posteriors(path)
    decided = best.filter(pl.col("causal") | (pl.col("pip") < SPURIOUS))
    notes["rows_in_between"] = len(best) - len(decided)
    single = decided.filter(
        (pl.col("ref").str.len_bytes() == 1) & (pl.col("alt").str.len_bytes() == 1)
    )
    count = {path: (len(decided) - len(single), len(decided))}
    said = "variants are insertions or deletions: left out"
    note_count(notes, "insertions_and_deletions", said, count)
    is_base = pl.all_horizontal(pl.col("ref", "alt").is_in(list(LETTERS[:N])))
    wrong = single.filter(~is_base | (pl.col("ref") == pl.col("alt")))
    if len(wrong):
        line, text = wrong.select("line", "variant_id").row(0)
        raise TaskError(f"{path}:{line}: {text} is no change of one base of A C G T; remove it")
    places = Regions(single["chrom"].to_numpy(), single["at"], single["at"] + 1)
    inside = find_inside(places, genome, path).wholly
    outside = {path: (int((~inside).sum()), len(inside))}
    note_count(notes, "rows_off_the_genome", f"variants {OUTSIDE}", outside)
    kept = single.filter(pl.Series(inside))
    if not len(kept):
        raise TaskError(f"{path}: no single-base variant of it lies in the genome ({notes})")
    bases = genome.fetch(places[inside])[:, 0]
    wrong_base = np.flatnonzero(bases != to_codes("".join(kept["ref"])))
    if len(wrong_base):
        row = int(wrong_base[0])
        line, text = kept.select("line", "variant_id").row(row)
        raise TaskError(
            f"{path}:{line}: the reference allele of {text} is {LETTERS[bases[row]]} in the genome "
            f"({len(wrong_base)} of {len(kept)} variants do not match); give the right assembly"
        )
    return kept


def _posteriors(path: Path) -> pl.DataFrame:
    """Find the largest posterior of each variant in each tissue: pip, and whether it is causal."""
    table = _read(path)
    pip = table["variant_pip"].cast(pl.Float64, strict=False)
    wrong = (pip.is_null() | (pip < 0) | (pip > 1.0001)).arg_true()
    if len(wrong):
        line, text = table.select("line", "variant_pip").row(int(wrong[0]))
        raise TaskError(f"{path}:{line}: the posterior is {text!r}, no number from 0 to 1")
    best = (
        table.with_columns(pip=pip)
        .group_by("variant_id", "tissue_id", maintain_order=True)
        .agg(pl.col("pip").max(), pl.col("line").first())
    )
    chrom, pos, ref, alt = best["variant_id"].str.extract_groups(_VARIANT).struct.unnest()
    at = pos.cast(pl.Int64, strict=False) - 1
    wrong = (at.is_null() | (at < 0)).arg_true()
    if len(wrong):
        line, text = best.select("line", "variant_id").row(int(wrong[0]))
        raise TaskError(f"{path}:{line}: {text!r} is no variant such as chr1_12345_A_G_b38")
    return best.with_columns(
        chrom=chrom,
        at=at,
        ref=ref.str.to_uppercase(),
        alt=alt.str.to_uppercase(),
        causal=pl.col("pip") > CAUSAL,
    )


def _read(path: Path) -> pl.DataFrame:
    """Read what is needed of the table as text, with or without a header; and each row's line."""
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
        table = pl.read_csv(
            data,
            has_header=has_header,
            columns=needed,
            separator="\t",
            infer_schema=False,
            quote_char=None,
        )
    except pl.exceptions.PolarsError as error:
        raise TaskError(f"{path}: no table ({str(error).splitlines()[0]})") from None
    table.columns = [names[i] for i in needed]
    table = table.select(pl.all().str.strip_chars())
    table = table.with_row_index("line", offset=2 if has_header else 1)
    nameless = table.filter(pl.col("tissue_id").fill_null("") == "")
    if len(nameless):
        raise TaskError(f"{path}:{nameless['line'][0]}: the tissue_id is missing; fill it in")
    return table


def _balanced(
    table: pl.DataFrame, rng: np.random.Generator, path: Path, notes: dict[str, Any]
) -> pl.DataFrame:
    """Keep, in each tissue, all positives and twice as many negatives."""
    kept: list[pl.DataFrame] = []
    silent: list[str] = []
    for (tissue,), rows in table.sort("tissue_id", "chrom", "at", "alt").group_by(
        "tissue_id", maintain_order=True
    ):
        positive, negative = rows.filter("causal"), rows.filter(~pl.col("causal"))
        if not len(positive) or not len(negative):
            silent.append(str(tissue))
            continue
        n = min(NEGATIVES * len(positive), len(negative))
        chosen = np.sort(rng.choice(len(negative), n, replace=False))
        kept += [positive, negative[chosen]]
    without = {path: (len(silent), table["tissue_id"].n_unique())}
    said = f"tissues ({', '.join(silent[:5])}) do not have variants of both classes: left out"
    note_count(notes, "tissues_without_both_classes", said, without)
    if not kept:
        raise TaskError(
            f"{path}: no tissue has variants with a posterior above {CAUSAL} and below {SPURIOUS}"
        )
    return pl.concat(kept)


def _split(
    table: pl.DataFrame, rng: np.random.Generator
) -> tuple[dict[str, Parts], dict[str, str]]:
    sizes = table.group_by("tissue_id", "causal", maintain_order=True).len()["len"]
    random = np.concatenate([random_parts(n, SHARES, rng) for n in sizes])
    loci = _loci(table)
    of_locus = group_parts(loci.to_list(), SHARES, rng)
    parts = {"variant": loci.replace_strict(of_locus).to_numpy().astype(object), "random": random}
    splits = {
        "variant": f"70/10/20 % of the places, at random; variants less than {WINDOW:,} bp apart "
        "are in one part, with all their tissues",
        "random": "70/10/20 % of the positives and of the negatives of each tissue, at random",
    }
    by_chromosome, rule = split_by_chromosome(table["chrom"].to_numpy(), DART)
    if by_chromosome is not None:
        splits["chromosome"], parts["chromosome"] = rule, by_chromosome
    return parts, splits


def _loci(table: pl.DataFrame) -> pl.Series:
    """Name the place of each variant: that of the first of those whose windows overlap in a row."""
    places = table.select("chrom", "at").unique().sort("chrom", "at")
    begins = (pl.col("at").diff() >= WINDOW) | (pl.col("chrom") != pl.col("chrom").shift())
    first = pl.when(begins.fill_null(value=True)).then(pl.format("{}:{}", "chrom", "at"))
    places = places.with_columns(locus=first.forward_fill())
    return table.join(places, on=["chrom", "at"], how="left", maintain_order="left")["locus"]


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
    baselines=(*BASELINES_OF_ALL, "lookup"),
    published=published_figures(
        _METRICS,
        {
            "Attention": (0.610, 0.721),
            "CNN+FC": (0.605, 0.716),
            "CNN+LSTM": (0.606, 0.718),
        },
    ),
)
