"""SpliceSites on the command line: from an annotation to models of nucleotides and their table."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.models.dna.nucleotide_model import NucleotideModel
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.sequence import reverse_complement
from genoglot.tasks import TaskData

Run = Callable[..., Any]
TRAIN = ("task", "train", "sites", "--device", "cpu", "-o")
RECIPE = """
title: Splice sites
grid:
  - {tasks: "SpliceSites/*", model: dilated-cnn}
  - {tasks: "SpliceSites/*", model: kmer-bert, pretrained: [none, GENEBERT], frozen: [false, true]}
baselines: [constant, splice-matrices, kmer-linear]
sizes:
  small:
    seeds: 0
    models:
      dilated-cnn: {width: 8}
      kmer-bert: {dim: 16, heads: 2, layers: 1, feed_forward: 32}
    training: {max_steps: 20, batch_size: 8, learning_rate: 0.01}
    draws: 20
"""


@pytest.fixture(scope="module")
def sites(run: Run, folder: Path) -> TaskData:
    """Genes with two introns each on both strands of three chromosomes, with plain site motifs."""
    rng = np.random.default_rng(0)
    gtf, fasta = [], []
    for chrom in ("chr1", "chr2", "chr3"):
        dna = rng.choice(list("ACGT"), 40_000)
        for i, at in enumerate(range(500, 39_000, 600)):
            strand, about = "+-"[i % 2], f'gene_id "{chrom}g{i}"; transcript_id "{chrom}t{i}";'
            starts = np.array([0, 120, 260]) + rng.integers(0, 30, 3)
            for start, end in zip(starts, starts + 60, strict=True):
                low = at + start if strand == "+" else at + 400 - end
                row = [chrom, "x", "exon", low + 1, low + 60, ".", strand, "."]
                gtf.append("\t".join(map(str, row)) + f"\t{about}\n")
            for end, start in zip(starts[:-1] + 60, starts[1:], strict=True):
                for motif, offset in (("GTAAGTATGT", end), ("TTTTTCTTACAG", start - 12)):
                    low = at + offset if strand == "+" else at + 400 - offset - len(motif)
                    text = motif if strand == "+" else reverse_complement(motif)
                    dna[low : low + len(motif)] = list(text)
        fasta.append(f">{chrom}\n{''.join(dna)}\n")
    (folder / "genes.gtf").write_text("".join(gtf))
    (folder / "sites.fa").write_text("".join(fasta))
    small = ("--set", "context=80", "--set", "block=120")
    built = ("task", "build", "SpliceSites", "genes.gtf", "--genome", "sites.fa", "-o", "sites")
    done = run(*built, *small)
    assert "split chromosome: 0 of" in done.stderr
    return TaskData.open(folder / "sites")


@pytest.fixture(scope="module")
def genebert(folder: Path, toy_genebert: Path) -> Path:
    """A GeneBERT, not trained."""
    model = GeneBert.from_preset("tiny", GeneBertData.open(toy_genebert), k=3)
    model.save_pretrained(folder / "gb")
    return folder / "gb"


def test_info_shows_classes_and_the_figures_of_this_context(run: Run, sites: TaskData) -> None:
    facts = json.loads(run("task", "info", "sites", "--json", "--check").stdout)
    subsets = facts["splits"]["chromosome"]["subsets"]
    assert sum(sum(subset["classes"][1:]) for subset in subsets) == 2 * 2 * 65 * 3
    shown = " ".join(run("task", "info", "sites").stdout.split())
    assert "noncanonical introns 0" in shown and "published: GeneBERT top-k 0.83" in shown
    assert "0.97" not in shown  # that is the figure for 2,000 nt


def test_a_dilated_cnn_learns_the_sites_and_is_saved(
    run: Run, sites: TaskData, folder: Path
) -> None:
    done = run(*TRAIN, "cnn", "--set", "learning_rate=0.01", "--set", "max_steps=60")
    for metric in ("top-k", "AUPRC", "AUROC", "MCC", "precision (macro)", "recall (macro)"):
        assert f"{metric} " in done.stderr
    test = sites.subset("chromosome", "test")
    model = NucleotideModel.from_pretrained(folder / "cnn")
    predicted = model.predict(np.asarray(test.codes))
    labels = np.asarray(test.labels)
    assert model.names == ["neither", "acceptor", "donor"] and model.context == 80
    assert (predicted.argmax(2) == labels)[labels > 0].mean() > 0.8
    (folder / "x.fa").write_text(">x\n" + "ACGT" * 50 + "\n")
    said = run("predict", "cnn", "x.fa", "-o", "x.parquet", status=2).stderr
    assert "predicts nucleotides, not whole sequences" in said


@pytest.mark.parametrize("frozen", ["true", "false"])
def test_the_encoder_of_a_genebert_is_fine_tuned_or_frozen(
    run: Run, sites: TaskData, genebert: Path, folder: Path, frozen: str
) -> None:
    run(*TRAIN, frozen, "--encoder", genebert, "--set", f"frozen={frozen}", "--set", "max_steps=3")
    before, after = (
        SequenceEncoder.from_pretrained(one).embed(sites.codes[:2])
        for one in (genebert, folder / frozen)
    )
    assert np.array_equal(before, after) == (frozen == "true")


def test_an_encoder_for_labels_of_sequences_is_refused(
    run: Run, genebert: Path, world: Path, folder: Path
) -> None:
    files = sorted(world.glob("assays/*.bedMethyl.gz"))
    genome = ("--genome", "world/genome.fa")
    run("task", "build", "Methyl96", *files, *genome, "-o", "m", "--set", "min_reads=30")
    said = run("task", "train", "m", "-o", "no", "--encoder", genebert, status=2).stderr
    assert "--encoder is for labels of nucleotides; Methyl96 has other labels" in said
    assert not (folder / "no").exists()


@pytest.mark.slow
def test_a_bench_has_the_matrices_the_majority_and_encoders(
    run: Run, sites: TaskData, genebert: Path, folder: Path
) -> None:
    (folder / "splice.yaml").write_text(RECIPE.replace("GENEBERT", str(genebert)))
    which = ("splice.yaml", "--data", "sites", "--size", "small")
    run("bench", "run", *which, "-o", "splice_bench", "--device", "cpu")
    table = run("bench", "table", "splice_bench", "--format", "csv").stdout
    value = {
        (row["model"], row["pretrained"], row["frozen"], row["metric"]): float(row["value"])
        for row in csv.DictReader(table.splitlines())
        if row["size"] == "small"
    }
    models = {key[:3] for key in value}
    assert len(models) == 7  # the CNN, four ways to use k-mer BERT, two baselines that fit
    assert value["constant", "", "", "MCC"] == 0
    assert value["constant", "", "", "recall (macro)"] == pytest.approx(1 / 3)
    assert value["constant", "", "", "AUROC"] == 0.5
    assert value["splice-matrices", "", "", "top-k"] > 0.9  # the motifs are always the same
