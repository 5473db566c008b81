"""Variants of the RET enhancer, and of the other enhancers, ranked without any training on them.

    python experiments/ret_enhancer.py TABLE -o OUT [--encoder NAME=FOLDER ...]

TABLE is the saturation mutagenesis of Kircher et al. 2019. Each single-base change of an element is
scored by how much it changes the element's DNA for a model that never saw a measurement: the vector
of an encoder (cosine and L2 distance), or the TF vector (maximal log-odds of the 579 vertebrate
motifs of JASPAR 2018, L2 distance, and the signed sum). Spearman correlation with the measured
effect: with its size for distances, with the effect itself for signed scores. Intervals: bootstrap
over positions. Beside them, trivial scores: number of 6-mers that change (no more than the distance
to the ends, and repeats), change of G + C, of CpG, and the distance to the center of the element.
Writes OUT.csv and OUT.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genoglot.bench.features import composition
from genoglot.evaluation import TextTable, format_interval, measure_predictions
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.kmers import kmer_counts
from genoglot.sequence.motifs import MotifScanner, jaspar
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.builders.mpra import ENHANCERS

RET = "RET"
SIZE, EFFECT = "size", "effect"  # what a score is compared with
Score = tuple[str, str, NDArray[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", metavar="TABLE", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument(
        "--encoder", action="append", default=[], metavar="NAME=FOLDER", help="can be repeated"
    )
    parser.add_argument(
        "--min-barcodes", type=int, default=10, help="changes with fewer are left out, as published"
    )
    options = parser.parse_args()
    folders = dict(text.split("=", 1) for text in options.encoder)
    encoders = {n: SequenceEncoder.from_pretrained(folder) for n, folder in folders.items()}
    scanner = MotifScanner([motif.log_odds for motif in jaspar()])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        (data,) = TASKS["MPRAProm"].build(
            [options.table], Path(folder) / "task", leakage=False,
            promoters_only=False, min_barcodes=options.min_barcodes,
        )  # fmt: skip
        elements = [e for e in data.examples["element"].unique().sort() if e.startswith(ENHANCERS)]
        for element in sorted(elements, key=lambda name: (not name.startswith(RET), name)):
            rows += measured(data, element, encoders, scanner)
            print(f"{element}: done", flush=True)
    table = pl.DataFrame(rows)
    table.write_csv(options.out.with_suffix(".csv"))
    about = f"Changes with {options.min_barcodes} barcodes or more; commit {code_version()}"
    text = f"{about}; {hardware()}\n\n{shown(table)}\n"
    options.out.with_suffix(".md").write_text(text)
    print(text)


def measured(
    data: TaskData, element: str, encoders: dict[str, SequenceEncoder], scanner: MotifScanner
) -> list[dict[str, Any]]:
    """Measure all scores on one element."""
    rows = np.flatnonzero((data.examples["element"] == element).to_numpy())
    subset = data.take(rows)
    assert subset.alternative is not None
    reference, alternative = cut(np.asarray(subset.codes)[:1], np.asarray(subset.alternative))
    effect = np.asarray(subset.labels)[:, 0]
    position = data.examples["start"].to_numpy()[rows]
    found = []
    for name, against, score in scores(reference, alternative, position, encoders, scanner):
        truth = np.abs(effect) if against == SIZE else effect
        (spearman,) = measure_predictions(truth, score, ["Spearman"], groups=position)
        found.append(
            {
                "element": element, "score": name, "against": against,
                "Spearman": spearman.value, "low": spearman.low, "high": spearman.high,
                "changes": len(effect), "positions": len(np.unique(position)),
            }
        )  # fmt: skip
    return found


def cut(reference: Codes, alternative: Codes) -> tuple[Codes, Codes]:
    """Cut off the N on both sides of the element."""
    known = np.flatnonzero(reference[0] != N)
    inside = slice(int(known[0]), int(known[-1]) + 1)
    return reference[:, inside], alternative[:, inside]


def scores(
    reference: Codes,
    alternative: Codes,
    position: NDArray[np.int64],
    encoders: dict[str, SequenceEncoder],
    scanner: MotifScanner,
) -> Iterator[Score]:
    """Score the changes: name, what the score is compared with, and values (changes,)."""
    for name, encoder in encoders.items():
        before = encoder.embed(reference, strands="both").astype(np.float64)
        after = encoder.embed(alternative, strands="both").astype(np.float64)
        yield f"{name}, L2", SIZE, np.linalg.norm(after - before, axis=1)
        length = np.linalg.norm(after, axis=1) * np.linalg.norm(before)
        yield f"{name}, cosine", SIZE, 1 - (after @ before[0]) / length
    change = scanner.max_scores(alternative) - scanner.max_scores(reference)
    yield "TF vector, L2", SIZE, np.linalg.norm(change, axis=1)
    yield "TF vector, sum", EFFECT, change.sum(axis=1)
    before, after = (kmer_counts(codes, 6).astype(np.float64) for codes in (reference, alternative))
    yield "6-mers, L1", SIZE, np.abs(after - before).sum(axis=1)
    changed = composition(alternative) - composition(reference)
    yield "G + C", EFFECT, changed[:, 0].round(6)
    yield "G + C", SIZE, np.abs(changed[:, 0]).round(6)
    yield "CpG", EFFECT, changed[:, 1].round(6)
    middle = (position.min() + position.max()) / 2
    yield "near the center", SIZE, -np.abs(position - middle)


def shown(table: pl.DataFrame) -> str:
    """Elements by scores."""
    elements = table["element"].unique(maintain_order=True).to_list()
    lines = []
    for (name, against), rows in table.group_by("score", "against", maintain_order=True):
        cells = [
            format_interval(*rows.filter(element=element).select("Spearman", "low", "high").row(0))
            for element in elements
        ]
        lines.append([str(name), str(against), *cells, f"{rows['Spearman'].mean():.3f}"])
    counts = [str(table.filter(element=element)["changes"][0]) for element in elements]
    lines.append(["changes", "", *counts, ""])
    return TextTable(["score", "against", *elements, "mean"], lines).to_markdown()


if __name__ == "__main__":
    main()
