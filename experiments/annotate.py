"""The annotator and its baselines on splits of atlases: the tables of docs/results/annotate.md.

    python experiments/annotate.py ATLAS... -o OUT --splits random-group unseen-combination \
        [--seeds 1 2 3] [--folds 4]

Give one seed for each atlas (simulated world). For each split (or fold), the annotator and the
baselines are fitted to the training subset, in which the annotator holds out groups to calibrate
itself, and evaluated on the test subset. Writes the results of each split, atlas and seed (and
fold) as Parquet, and a Markdown table of each split with all of them pooled. Results that exist
already are not computed again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from genoglot.atlas import Atlas
from genoglot.atlas.splits import make_split
from genoglot.evaluation import ResultsTable, evaluate_annotators
from genoglot.models import Annotator
from genoglot.models.regions_to_text.baselines import MajorityLabels, NearestSet, RidgeBackwards

SET_NAMES = ("id", "group", "factor", "biosample")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("atlases", metavar="ATLAS", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["random-group", "unseen-combination"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folds", type=int, help="cross-validate instead of one split a seed")
    options = parser.parse_args()
    for kind in options.splits:
        tables = []
        for path, seed in zip(options.atlases, options.seeds, strict=True):
            atlas = Atlas.open(path)
            for fold in range(options.folds) if options.folds else [None]:
                name = f"{kind}-{seed}" if fold is None else f"{kind}-{seed}-{fold}"
                file = options.out.with_name(f"{options.out.name}.{name}.parquet")
                if not file.exists():
                    measured(atlas, kind, seed, fold, options.folds).to_parquet(file)
                tables.append(ResultsTable.from_parquet(file))
        pooled = pooled_over(tables)
        print(pooled.to_markdown(options.out.with_name(f"{options.out.name}.{kind}.md")))


def measured(
    atlas: Atlas, kind: str, seed: int, fold: int | None, folds: int | None
) -> ResultsTable:
    """The annotator and its baselines on the test subset of one split."""
    parts = {"test": 0.2} if fold is None else {"fold": fold, "folds": folds}
    split = make_split(atlas.metadata, kind, seed=seed, validation=0.0, **parts)
    annotators = {
        "majority": MajorityLabels().fit(atlas, split.train),
        "nearest set": NearestSet().fit(atlas, split.train),
        "ridge": RidgeBackwards().fit(atlas, split.train),
        "annotator": Annotator(seed=seed).fit(atlas, split.train),
    }
    return evaluate_annotators(annotators, atlas, split.test, split=kind, seed=seed)


def pooled_over(tables: list[ResultsTable]) -> ResultsTable:
    """One row per task and model. Sets and groups of different worlds are different, even if their
    names are the same, and the interval is that of other worlds, too."""
    worlds = {table.results["data"][0][:12]: table for table in tables}
    if len(worlds) == 1:
        return ResultsTable.concat(tables).pooled()
    about = pl.lit(f"{len(worlds)} atlases").alias("data")
    return ResultsTable.concat(
        ResultsTable(
            table.results.with_columns(about),
            table.per_set.with_columns(
                about, *(pl.format("{} {}", pl.lit(world), name).alias(name) for name in SET_NAMES)
            ),
        )
        for world, table in worlds.items()
    ).pooled()


if __name__ == "__main__":
    main()
