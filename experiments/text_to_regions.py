"""Every generator and baseline on every split of an atlas: the tables of docs/results.

    python experiments/text_to_regions.py ATLAS -o OUT --splits random-group unseen-combination \
        --seeds 0 1 2 [--folds 4] [--within assay=ATAC-seq] [--world WORLD] [--models direct ridge]

For each split (or fold), every model is fitted to the training subset, with its default settings,
and evaluated on the test subset. Writes two Parquet files for each split, seed (and fold) and
model, with one row per metric and with one row per test set; and a Markdown table and a figure for
each split, with all of them pooled. Results that exist already are not computed again, so that a
stopped run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from genoglot.atlas import Atlas
from genoglot.atlas.splits import Split, make_split
from genoglot.evaluation import ResultsTable, evaluate
from genoglot.evaluation.evaluate import RegionScorer
from genoglot.models import ColumnOdds, create, names
from genoglot.reports.plots import plot_intervals

# The inputs of the four models: signal rank of the peaks, words and embeddings.
EQUAL_INPUTS = {"signal_rank": True, "text": "tfidf+minilm", "choose_penalty": True}
HIGHLIGHT = ("text2bed", "direct", "diffusion", "seq2regions")


def fitted(
    kind: str, atlas: Atlas, split: Split, seed: int, columns: list[str], world: Path | None
) -> RegionScorer:
    """One model, trained on one split."""
    if kind == "oracle":
        from genoglot.simulate import World
        from genoglot.simulate.oracle import Oracle

        return Oracle(World.open(world), atlas)
    if kind == "columns":
        return ColumnOdds(atlas, columns).fit(split.train)
    if kind == "ridge-equal":
        return create("ridge", **EQUAL_INPUTS).fit(atlas, split.train)
    settings = {} if kind in names("text-to-regions", baseline=True) else {"seed": seed}
    return create(kind, **settings).fit(atlas, split.train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("atlas", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["random-group", "unseen-combination"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folds", type=int, help="cross-validate instead of one split a seed")
    parser.add_argument("--within", help="COLUMN=VALUE that held-out sets must have")
    parser.add_argument("--columns", nargs="+", default=["target/assay", "biosample"],
                        help="labels that the model columns adds up")  # fmt: skip
    parser.add_argument("--world", type=Path, help="simulated world, for the oracle")
    parser.add_argument("--models", nargs="+",
                        default=[*names("text-to-regions"), "ridge-equal", "columns"])  # fmt: skip
    options = parser.parse_args()
    atlas = Atlas.open(options.atlas)
    models = [*options.models, *(["oracle"] if options.world else [])]
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
                for model in models:
                    file = options.out.with_name(f"{options.out.name}.{name}.{model}.parquet")
                    if not file.exists():
                        scorer = fitted(model, atlas, split, seed, options.columns, options.world)
                        where = {"split": kind, "seed": seed}
                        evaluate({model: scorer}, atlas, split.test, **where).to_parquet(file)
                    tables.append(ResultsTable.from_parquet(file))
        pooled = ResultsTable.concat(tables).pooled()
        print(pooled.to_markdown(options.out.with_name(f"{options.out.name}.{kind}.md")))
        figure = plot_intervals(pooled.results, "average_precision", highlight=HIGHLIGHT)
        figure.savefig(options.out.with_name(f"{options.out.name}.{kind}.svg"))


if __name__ == "__main__":
    main()
