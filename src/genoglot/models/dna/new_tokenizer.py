"""New tokenizers by name, with published settings; byte pairs are learned from a genome."""

from __future__ import annotations

from typing import Literal

import numpy as np

from genoglot.errors import ModelError
from genoglot.models.dna.genome_windows import GenomeWindows
from genoglot.sequence import (
    BpeTokenizer,
    DnaTokenizer,
    Genome,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
)

TokenizerName = Literal["kmer", "patch", "bpe", "onehot"]

BPE_SAMPLE = 10_000_000  # bp that byte pairs are learned from


def new_tokenizer(
    name: TokenizerName, genome: Genome | None = None, *, k: int | None = None
) -> DnaTokenizer:
    """Make a tokenizer with the settings of the published benchmark.

    Parameters
    ----------
    name
        `"kmer"` (k = 5), `"patch"` (k = 4), `"bpe"` (16,000 tokens, learned from 10 million bases
        of the genome, or from all of them if there are fewer) or `"onehot"`.
    genome
        Genome that byte pairs are learned from; the other tokenizers need none.
    k
        Number of bases of a k-mer or patch, if not the published one.

    Raises
    ------
    ModelError
        If `k` is given with a tokenizer that has none, or no genome to learn byte pairs from.
    """
    if name in ("bpe", "onehot") and k is not None:
        raise ModelError(f"the tokenizer {name} has no k; leave it out")
    if name == "kmer":
        return KmerTokenizer(5 if k is None else k)
    if name == "patch":
        return PatchTokenizer(4 if k is None else k)
    if name == "onehot":
        return OneHotTokenizer()
    if genome is None:
        raise ModelError("byte pairs are learned from a genome; give one")
    windows = GenomeWindows(genome, 1024)
    rows = np.arange(0, len(windows), max(len(windows) * 1024 // BPE_SAMPLE, 1))
    some = (
        row
        for i in range(0, len(rows), 256)
        for row in windows.fetch(rows[i : i + 256], np.zeros(len(rows[i : i + 256]), np.bool_))[0]
    )
    return BpeTokenizer.train(some)
