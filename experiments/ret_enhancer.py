"""Variants of the RET enhancer, ranked without any training on them.

    python experiments/ret_enhancer.py TABLE -o OUT [--encoder NAME=FOLDER ...] [--untrained 3]

TABLE is the saturation mutagenesis of Kircher et al. 2019. Each single-base change of the enhancer
is scored by how much it changes what a model, which never saw a measurement, makes of the DNA:

- the vector of an encoder (L2 distance), of the 200 bp around the change: that of [CLS], and the
  mean of those of the k-mers, over both strands. Encoders of one NAME are seeds of one model;
- the TF vector (maximal log-odds of the 579 vertebrate motifs of JASPAR 2018) of the whole element,
  as GeneBERT reads it, and of the 61 bp around the change (L2 distance, and sum of the changes);
- the number of motifs that gain or lose a hit (p < 1e-4) in these 61 bp.

Spearman correlation with the measured effect (log2): with its size for distances, with the effect
itself for signed scores. Intervals are bootstraps over positions, of the mean over the seeds.
Beside them, trivial scores: number of 6-mers that change, change of G + C and of CpG, and the
distance to the center of the element. Writes OUT.csv and OUT.md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from genoglot.bench.features import composition
from genoglot.evaluation import TextTable, format_interval, measure_predictions
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.models.dna.kmer_bert import KmerBert, load_kmer_bert
from genoglot.models.dna.sequence_encoder import batches, inference
from genoglot.sequence import reverse_complement
from genoglot.sequence.alphabet import Codes, N
from genoglot.sequence.kmers import kmer_counts
from genoglot.sequence.motif_hits import ScoreDistribution, round_matrix
from genoglot.sequence.motifs import MotifScanner, jaspar
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.builders.mpra import ENHANCERS

ENCODED, SCANNED = 200, 61  # bp around a change: more than a motif on both sides of it
HIT = 1e-4
SIZE, EFFECT = "size", "effect"  # what a score is compared with
Floats = NDArray[Any]
Encoders = dict[str, list[KmerBert]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", metavar="TABLE", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument(
        "--encoder", action="append", default=[], metavar="NAME=FOLDER",
        help="k-mer BERT or GeneBERT; can be repeated, also with the same name",
    )  # fmt: skip
    parser.add_argument("--untrained", type=int, default=0, help="number of new encoders")
    parser.add_argument("--others", action="store_true", help="the other enhancers too")
    parser.add_argument(
        "--min-barcodes", type=int, default=10, help="changes with fewer are left out, as published"
    )
    options = parser.parse_args()
    encoders: Encoders = defaultdict(list)
    for seed in range(options.untrained):
        encoders["untrained"].append(KmerBert.from_size("small", seed=seed))
    for text in options.encoder:
        name, folder = text.split("=", 1)
        encoders[name].append(load_kmer_bert(folder))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        (data,) = TASKS["MPRAProm"].build(
            [options.table], Path(folder) / "task", leakage=False,
            promoters_only=False, min_barcodes=options.min_barcodes,
        )  # fmt: skip
        wanted = ENHANCERS if options.others else ("RET",)
        elements = [e for e in data.examples["element"].unique() if e.startswith(wanted)]
        for element in sorted(elements, key=lambda name: (name != "RET", name)):
            rows += measure(data, element, encoders)
            print(f"{element}: done", flush=True)
    table = pl.DataFrame(rows)
    table.write_csv(options.out.with_suffix(".csv"))
    about = f"Changes with {options.min_barcodes} barcodes or more; commit {code_version()}"
    text = f"{about}; {hardware()}\n\n{shown(table)}\n"
    options.out.with_suffix(".md").write_text(text)
    print(text)


def measure(data: TaskData, element: str, encoders: Encoders) -> list[dict[str, Any]]:
    """Measure all scores on one element."""
    rows = np.flatnonzero((data.examples["element"] == element).to_numpy())
    subset = data.take(rows)
    assert subset.alternative is not None
    reference, alternative = cut(np.asarray(subset.codes)[:1], np.asarray(subset.alternative))
    changed = (reference != alternative).argmax(axis=1)
    effect = np.asarray(subset.labels, np.float64)[:, 0]
    found = []
    for name, against, score in score_changes(reference, alternative, changed, encoders):
        score = score.reshape(len(effect), -1)  # a column for each seed
        truth = np.abs(effect) if against == SIZE else effect
        truth = np.repeat(truth[:, None], score.shape[1], axis=1)
        (spearman,) = measure_predictions(truth, score, ["Spearman"], groups=changed)
        found.append(
            {
                "element": element, "score": name, "against": against,
                "Spearman": spearman.value, "low": spearman.low, "high": spearman.high,
                "seeds": " ".join(f"{value:.3f}" for value in spearman.outputs),
                "changes": len(effect), "positions": len(np.unique(changed)),
            }
        )  # fmt: skip
    return found


def cut(reference: Codes, alternative: Codes) -> tuple[Codes, Codes]:
    """Cut off the N on both sides of the element."""
    known = np.flatnonzero(reference[0] != N)
    inside = slice(int(known[0]), int(known[-1]) + 1)
    return reference[:, inside], alternative[:, inside]


def around(codes: Codes, changed: NDArray[np.int64], width: int) -> Codes:
    """Return the DNA around each change, (changes, width): all of it is of the element."""
    first = np.clip(changed - width // 2, 0, codes.shape[1] - width)
    rows = np.arange(len(changed)) if len(codes) > 1 else np.zeros(len(changed), np.int64)
    return codes[rows[:, None], first[:, None] + np.arange(width)]


def score_changes(
    reference: Codes, alternative: Codes, changed: NDArray[np.int64], encoders: Encoders
) -> Iterator[tuple[str, str, Floats]]:
    """Score the changes: name, what the score is compared with, and values (changes[, seeds])."""
    pair = [around(codes, changed, ENCODED) for codes in (reference, alternative)]
    for name, seeds in encoders.items():
        changes = [
            [after - before for before, after in zip(*(embed(e, dna) for dna in pair), strict=True)]
            for e in seeds
        ]
        for i, pooling in enumerate(("[CLS]", "mean of k-mers")):
            lengths = [np.linalg.norm(change[i], axis=1) for change in changes]
            yield f"{name}, {pooling}", SIZE, np.stack(lengths, axis=1)
    yield from score_motifs(reference, alternative, changed)
    before, after = (kmer_counts(codes, 6).astype(np.float64) for codes in (reference, alternative))
    yield "6-mers that change", SIZE, np.abs(after - before).sum(axis=1)
    different = (composition(alternative) - composition(reference)).round(6)
    yield "G + C", EFFECT, different[:, 0]
    yield "G + C", SIZE, np.abs(different[:, 0])
    yield "CpG", EFFECT, different[:, 1]
    yield "near the center", SIZE, -np.abs(changed - (reference.shape[1] - 1) / 2)


def embed(encoder: KmerBert, codes: Codes) -> tuple[Floats, Floats]:
    """Encode DNA: the vector of [CLS], and the mean of those of the k-mers, over both strands."""
    rows = []
    distinct, which = np.unique(codes, axis=0, return_inverse=True)
    with inference(encoder):
        for part, _ in batches(distinct, None, 64):
            strands = [encoder(encoder.batch(dna)) for dna in (part, reverse_complement(part))]
            rows.append(
                [sum((e.sequence, e.tokens.mean(1))[i] for e in strands) / 2 for i in (0, 1)]
            )
    cls, mean = (torch.cat(vectors).double().numpy()[which] for vectors in zip(*rows, strict=True))
    return cls, mean


def score_motifs(
    reference: Codes, alternative: Codes, changed: NDArray[np.int64]
) -> Iterator[tuple[str, str, Floats]]:
    """Score the changes by what they change in the TF vector."""
    matrices = [motif.log_odds for motif in jaspar()]
    scanner = MotifScanner(matrices)
    change = scanner.max_scores(alternative) - scanner.max_scores(reference)
    yield "TF vector, L2", SIZE, np.linalg.norm(change, axis=1)
    yield "TF vector, sum", EFFECT, change.sum(axis=1)
    before, after = (
        scanner.max_scores(around(codes, changed, SCANNED)) for codes in (reference, alternative)
    )
    yield f"TF vector of {SCANNED} bp, L2", SIZE, np.linalg.norm(after - before, axis=1)
    yield f"TF vector of {SCANNED} bp, sum", EFFECT, (after - before).sum(axis=1)
    least = np.array([ScoreDistribution.of(matrix).threshold(HIT) for matrix in matrices])
    finder = MotifScanner([round_matrix(matrix) for matrix in matrices])
    before, after = (
        finder.max_scores(around(codes, changed, SCANNED)) >= least
        for codes in (reference, alternative)
    )
    gained = after.astype(int) - before
    yield "motif hits that change", SIZE, np.abs(gained).sum(axis=1)
    yield "motif hits gained - lost", EFFECT, gained.sum(axis=1)


def shown(table: pl.DataFrame) -> str:
    """Elements by scores."""
    elements = table["element"].unique(maintain_order=True).to_list()
    lines = []
    for (name, against), rows in table.group_by("score", "against", maintain_order=True):
        cells = [
            format_interval(*rows.filter(element=element).select("Spearman", "low", "high").row(0))
            for element in elements
        ]
        seeds = rows["seeds"][0]
        lines.append([str(name), str(against), *cells, seeds if " " in seeds else ""])
    counts = [str(table.filter(element=element)["changes"][0]) for element in elements]
    lines.append(["changes", "", *counts, ""])
    return TextTable(["score", "against", *elements, f"seeds, {elements[0]}"], lines).to_markdown()


if __name__ == "__main__":
    main()
