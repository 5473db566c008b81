"""Every generator and baseline on every split of an atlas: the tables of docs/results.

    python recipes/text_to_regions.py ATLAS -o OUT --splits random-group unseen-combination \
        --seeds 0 1 2 [--folds 4] [--within assay=ATAC-seq] [--world WORLD] [--models direct ridge]

Each split (or fold) is drawn, every model fitted to its train part, with the settings that are its
defaults, and evaluated on its test part. Writes, per split and seed (and fold), a Parquet file
with one row per model and metric and one with one row per model and test set; per split, a Markdown
table and a figure of all of them pooled. What is there already is not done again, so that a stopped
run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genoglot.atlas import Atlas
from genoglot.atlas.splits import Split, make_split
from genoglot.evaluation import Table, evaluate
from genoglot.evaluation.evaluate import Scorer
from genoglot.interpret.plots import interval_plot
from genoglot.models import BASELINES, GENERATORS, create
from genoglot.training import train

HIGHLIGHT = ("text2bed", "direct", "diffusion", "seq2regions")


def fitted(kind: str, atlas: Atlas, split: Split, seed: int) -> Scorer:
    """One model, trained on one split."""
    settings = {} if kind in BASELINES else {"seed": seed}
    return train(create(kind, **settings), atlas, split.train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("atlas", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["random-group", "unseen-combination"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folds", type=int, help="cross-validate instead of one split a seed")
    parser.add_argument("--within", help="COLUMN=VALUE that held-out sets must have")
    parser.add_argument("--world", type=Path, help="simulated world, for the oracle")
    parser.add_argument("--models", nargs="+", default=list(GENERATORS))
    options = parser.parse_args()
    atlas = Atlas.open(options.atlas)
    within = dict([options.within.split("=", 1)]) if options.within else None
    for kind in options.splits:
        tables = []
        for seed in options.seeds:
            for fold in range(options.folds) if options.folds else [None]:
                parts = {"fold": fold, "folds": options.folds} if options.folds else {"test": 0.2}
                split = make_split(
                    atlas.metadata, kind, seed=seed, validation=0.0, within=within, **parts
                )
                name = f"{kind}-{seed}" if fold is None else f"{kind}-{seed}-{fold}"
                file = options.out.with_name(f"{options.out.name}.{name}.parquet")
                if file.exists():
                    tables.append(Table.from_parquet(file))
                    continue
                models = {k: fitted(k, atlas, split, seed) for k in options.models}
                if options.world:
                    from genoglot.atlas.world import World
                    from genoglot.atlas.world.oracle import Oracle

                    models["oracle"] = Oracle(World.open(options.world), atlas)
                table = evaluate(models, atlas, split.test, split=kind, seed=seed)
                table.to_parquet(file)
                tables.append(table)
        pooled = Table.concat(tables).pooled()
        print(pooled.to_markdown(options.out.with_name(f"{options.out.name}.{kind}.md")))
        figure = interval_plot(pooled.results, "average_precision", highlight=HIGHLIGHT)
        figure.savefig(options.out.with_name(f"{options.out.name}.{kind}.svg"))


if __name__ == "__main__":
    main()
