"""New tokenizers by name, with published settings; byte pairs are learned from a genome."""

from __future__ import annotations

import numpy as np

from genoglot.errors import ModelError
from genoglot.models.dna.genome_windows import GenomeWindows
from genoglot.registry import model_class
from genoglot.sequence import BpeTokenizer, DnaTokenizer, Genome

BPE_SAMPLE = 10_000_000  # bp from which byte pairs are learned


def new_tokenizer(name: str, genome: Genome | None = None, *, k: int | None = None) -> DnaTokenizer:
    """Make a tokenizer with the published settings.

    They are those of "Training Transformers for Genetic Sequence Tasks" (docs/references.md).

    Parameters
    ----------
    name
        `"kmer"` (k = 5), `"patch"` (k = 4), `"bpe"` (16,000 tokens, learned from 10 million bases
        of the genome, or from all of them if there are fewer) or `"onehot"`.
    genome
        Genome from which byte pairs are learned; not needed by other tokenizers.
    k
        Number of bases of a k-mer or patch; by default the published one.

    Returns
    -------
    DnaTokenizer
        The tokenizer.

    Raises
    ------
    ModelError
        If `k` is given with a tokenizer that has none, or no genome to learn byte pairs from.
    """
    tokenizer = model_class(name, "tokenizer")
    if k is not None and "k" not in tokenizer.settings_class.model_fields:
        raise ModelError(f"the tokenizer {name} has no k; leave it out")
    if tokenizer is not BpeTokenizer:
        made: DnaTokenizer = tokenizer() if k is None else tokenizer(k)
        return made
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
