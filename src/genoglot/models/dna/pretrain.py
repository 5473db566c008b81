"""Pre-training: an attention encoder learns a genome by filling in what is masked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.masking import IGNORED, MaskedBatch, Masker
from genoglot.models.dna.sequence_encoder import torch_seed
from genoglot.models.settings import Settings
from genoglot.nn.embedding import OneHotEmbedding, TokenEmbedding
from genoglot.regions import Regions
from genoglot.sequence import (
    BpeTokenizer,
    DnaTokenizer,
    Genome,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
    reverse_complement,
    tile,
)
from genoglot.sequence.alphabet import Codes, N
from genoglot.training.checkpoints import launched
from genoglot.training.loop import Decay, Part, Rows, Schedule, Where, learn, tokenizer_digest

TokenizerName = Literal["kmer", "patch", "bpe", "onehot"]

log = logging.getLogger("genoglot")

SHORTEST = 16  # bp: records below tell too little
_LOOKED_AT = 1024  # windows at a time
BPE_SAMPLE = 10_000_000  # bp that a vocabulary is learned from


class PretrainSettings(Settings):
    """Settings of a pre-training; the defaults are the seed's.

    Attributes
    ----------
    mask_rate
        Share of the tokens that are masked.
    span
        Bases hidden together: see `Masker`.
    window
        Length of the windows, bp.
    batch_size
        Windows of a step, over all processes.
    epochs
        Passes over all windows.
    max_steps
        Steps, in place of `epochs`.
    learning_rate, warm_up, decay, weight_decay
        See `Schedule`.
    checkpoint_every
        Steps after which a checkpoint is written.
    seed
        Of masks, strands, order and dropout.
    """

    mask_rate: float = Field(0.3, gt=0, lt=1)
    span: int | None = Field(None, ge=1)
    window: int = Field(1024, ge=SHORTEST)
    batch_size: int = Field(128, ge=1)
    epochs: int = Field(10, ge=1)
    max_steps: int | None = Field(None, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    warm_up: int = Field(5000, ge=0)
    decay: Decay = "none"
    weight_decay: float = Field(0.01, ge=0)
    checkpoint_every: int = Field(1000, ge=1)
    seed: int = Field(0, ge=0)


PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "seed": ({}, {}),
    "small": (
        {"dim": 128, "heads": 4, "layers": 2},
        {
            "window": 512, "batch_size": 32, "epochs": 1, "learning_rate": 1e-3, "warm_up": 100,
            "decay": "linear", "checkpoint_every": 100,
        },
    ),
}  # fmt: skip
"""Settings of the encoder and of the pre-training: the seed's, and small ones for CPUs."""


def pretrain(
    encoder: AttentionEncoder,
    genome: Genome,
    *,
    log_folder: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    where: Where | None = None,
    **settings: Any,
) -> AttentionEncoder:
    """Train an encoder to fill in masked tokens of windows of a genome.

    Windows lie side by side; those of which more than half is N are left out, as are the last
    bases of a chromosome. A record shorter than a window is one of its own, unless it is shorter
    than 16 bp or mostly N. Also left out is what has no token without N. In each pass every
    window is read once, on a strand drawn at random. Windows are fetched batch by batch: whatever
    the size of the genome, memory holds the places of the windows only.

    Parameters
    ----------
    encoder
        A new encoder, or one to train on; trained in place.
    genome
        DNA to learn.
    log_folder
        Where `loss.csv` (step, loss, learning rate) and the checkpoint are written; by default
        nowhere.
    resume
        Go on from the checkpoint in `log_folder`, if there is one: the result is that of a run
        that was never interrupted.
    progress
        Show a progress bar; by default in a terminal.
    where
        Devices. Several processes see the loss curve of one with the same `batch_size`, but for
        what dropout draws.
    **settings
        Those of `PretrainSettings`.

    Returns
    -------
    The same encoder.

    Raises
    ------
    ModelError
        If a setting is unknown or wrong, there is nothing to learn from, or the checkpoint is of
        another training.
    """
    s = PretrainSettings.of(settings, "pre-training")
    windows = Windows(genome, s.window, encoder.tokenizer)
    left_out = windows.left_out()
    if not len(windows):
        raise ModelError(f"nothing to learn from ({left_out or 'no record'}); give some sequences")
    if left_out and not launched():
        log.info(
            "%d windows of %d bp to learn from; left out: %s", len(windows), s.window, left_out
        )
    masker = Masker(encoder.tokenizer, rate=s.mask_rate, span=s.span)
    per_pass = -(-len(windows) // min(s.batch_size, len(windows)))
    schedule = Schedule(
        s.max_steps or s.epochs * per_pass, s.learning_rate, s.warm_up, s.decay, s.weight_decay
    )
    encoder.tokenize(np.zeros((1, s.window), np.uint8))  # refuses windows that are too long
    learn(
        MaskedModel(encoder, seed=s.seed).train(),
        _batch_maker(windows, masker, s.seed),
        len(windows),
        schedule,
        batch_size=s.batch_size,
        seed=s.seed,
        round_steps=s.checkpoint_every,
        folder=Path(log_folder) if log_folder is not None else None,
        resume=resume,
        about={
            "settings": s.model_dump(),
            "encoder": encoder.description(),
            "tokenizer": tokenizer_digest(encoder.tokenizer),
            "genome": genome.digest,
        },
        progress=progress,
        where=where,
    )
    return encoder


def make_tokenizer(
    name: TokenizerName, genome: Genome | None = None, *, k: int | None = None
) -> DnaTokenizer:
    """Make a tokenizer with the seed's settings.

    Parameters
    ----------
    name
        `"kmer"` (k = 5), `"patch"` (k = 4), `"bpe"` (16,000 tokens, learned from 10 million bases
        of the genome, or all if it has less) or `"onehot"`.
    genome
        What byte pairs are learned from; the others need none.
    k
        Another k.

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
    windows = Windows(genome, 1024)
    rows = np.arange(0, len(windows), max(len(windows) * 1024 // BPE_SAMPLE, 1))
    some = (
        row
        for i in range(0, len(rows), 256)
        for row in windows.fetch(rows[i : i + 256], np.zeros(len(rows[i : i + 256]), np.bool_))[0]
    )
    return BpeTokenizer.train(some)


class Windows:
    """Windows side by side over a genome, fetched by number.

    Parameters
    ----------
    genome
        The genome.
    width
        Of the windows, bp. A record that is shorter is a window of its own.
    tokenizer
        Leave out windows of which it makes nothing but unknown tokens.
    """

    def __init__(self, genome: Genome, width: int, tokenizer: DnaTokenizer | None = None) -> None:
        self.genome, self.width = genome, width
        code = {name: i for i, name in enumerate(genome.names)}
        parts = [
            (np.full(len(part), code[part.chrom_names[0]], np.int32), part.start)
            for part in tile(genome, width)
        ]
        extents = genome.extents
        self._size = size = extents.end - extents.start
        short = np.flatnonzero((size < width) & (size >= SHORTEST))
        parts.append((short.astype(np.int32), extents.start[short]))
        self._chrom = np.concatenate([chrom for chrom, _ in parts])
        self._start = np.concatenate([start for _, start in parts])
        known = np.ones(len(self), np.bool_)  # not mostly N
        legible = known.copy()
        for i in range(0, len(self), _LOOKED_AT):
            rows = np.arange(i, min(i + _LOOKED_AT, len(self)))
            codes, lengths = self.fetch(rows, np.zeros(len(rows), np.bool_))
            counts = np.full(len(rows), width) if lengths is None else lengths
            known[rows] = (codes < N).sum(axis=1) >= counts / 2
            partly = np.flatnonzero((codes == N).any(axis=1))  # few: the others need no look
            if tokenizer is not None and len(partly):
                legible[rows[partly]] = tokenizer.readable(codes[partly], counts[partly])
        self._left_out = {
            "windows that are mostly N": int((size // width).sum() + len(short) - known.sum()),
            f"records below {SHORTEST} bp": int((size < SHORTEST).sum()),
            "windows without a whole token": int((known & ~legible).sum()),
        }
        self._chrom, self._start = self._chrom[known & legible], self._start[known & legible]

    def left_out(self) -> str:
        """Count what is left out, in words; empty if nothing is."""
        return ", ".join(f"{number:,} {what}" for what, number in self._left_out.items() if number)

    def __len__(self) -> int:
        return len(self._start)

    def fetch(
        self, rows: Rows, reverse: NDArray[np.bool_]
    ) -> tuple[Codes, NDArray[np.int64] | None]:
        """Fetch some windows, those in `reverse` on the other strand.

        Returns
        -------
        Codes, uint8 (rows, width), and how many bases of each count, or None: all.
        """
        place: dict[int, int] = {}  # a genome may have many records; a batch is of few
        codes = [place.setdefault(chrom, len(place)) for chrom in self._chrom[rows].tolist()]
        start = self._start[rows]
        names = [self.genome.names[chrom] for chrom in place]
        regions = Regions.from_codes(names, np.array(codes, np.int32), start, start + self.width)
        forward = self.genome.fetch(regions)
        sizes = np.minimum(self._size[self._chrom[rows]], self.width)
        lengths = None if (sizes == self.width).all() else sizes
        other = reverse_complement(forward, lengths)
        return np.where(reverse[:, None], other, forward), lengths


def _batch_maker(windows: Windows, masker: Masker, seed: int) -> Callable[[Rows, int], MaskedBatch]:
    def make(rows: Rows, number: int) -> MaskedBatch:
        # One generator a window: what is drawn for it depends on nothing else.
        generators = [np.random.default_rng((seed, number, row)) for row in rows.tolist()]
        reverse = np.array([g.random() < 0.5 for g in generators])
        return masker(*windows.fetch(rows, reverse), generators)

    return make


class MaskedModel(nn.Module):
    """An encoder and, on top, what fills in masked tokens.

    Token ids are scored by their own vectors in the embedding's table (one-hot bases: by a linear
    layer for the bases of each token), after a linear layer, GELU and a norm.

    Parameters
    ----------
    encoder
        The encoder.
    seed
        Of the weights on top.
    """

    def __init__(self, encoder: AttentionEncoder, *, seed: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.bases = encoder.embedding.pool if isinstance(encoder.embedding, OneHotEmbedding) else 0
        with torch_seed(seed):
            self.transform = nn.Sequential(
                nn.Linear(encoder.dim, encoder.dim), nn.GELU(), nn.LayerNorm(encoder.dim)
            )
            if self.bases:
                self.scores = nn.Linear(encoder.dim, 4 * self.bases)
            else:
                assert isinstance(encoder.embedding, TokenEmbedding)
                self.bias = nn.Parameter(torch.zeros(encoder.embedding.table.num_embeddings))

    def forward(self, batch: MaskedBatch) -> Part:
        """Cross-entropy of what is asked for, in nats."""
        tokens = self.encoder(batch.inputs).tokens
        targets = batch.targets
        if self.bases:
            scores = self.scores(self.transform(tokens)).view(len(tokens), -1, 4)
            scores = scores[:, : targets.shape[1]].flatten(0, 1)
            loss = F.cross_entropy(scores, targets.flatten(), ignore_index=IGNORED, reduction="sum")
            return Part(loss, (targets != IGNORED).sum())
        asked = targets != IGNORED
        assert isinstance(self.encoder.embedding, TokenEmbedding)
        table: Tensor = self.encoder.embedding.table.weight
        scores = F.linear(self.transform(tokens[asked]), table, self.bias)
        return Part(F.cross_entropy(scores, targets[asked], reduction="sum"), asked.sum())
