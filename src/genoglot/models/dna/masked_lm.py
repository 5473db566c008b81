"""Masked-language-model pre-training: an encoder learns a genome by predicting masked tokens."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.attention import AttentionEncoder, AttentionSettings
from genoglot.models.dna.genome_windows import SHORTEST, GenomeWindows
from genoglot.models.dna.masking import IGNORED, Masker
from genoglot.models.dna.new_tokenizer import new_tokenizer
from genoglot.nn.embedding import OneHotEmbedding, TokenEmbedding
from genoglot.nn.seed import torch_seed
from genoglot.sequence import Genome
from genoglot.settings import Settings
from genoglot.training.device import DeviceOptions
from genoglot.training.examples import Batch, Draw, Examples
from genoglot.training.identity import saved_digest
from genoglot.training.losses import Loss, Losses
from genoglot.training.schedule import Decay, Schedule

log = logging.getLogger("genoglot")


class MaskedLmSettings(Settings):
    """Settings of a `MaskedLanguageModel`; the defaults are the published ones.

    They are those of "Training Transformers for Genetic Sequence Tasks" (docs/references.md).

    Attributes
    ----------
    mask_rate
        Fraction of the tokens that are masked.
    span
        Number of neighboring bases that are masked together: see `Masker`.
    window
        Length of a window in bp.
    batch_size
        Number of windows in a training step, over all processes.
    epochs
        Number of passes over all windows.
    max_steps
        Number of optimizer steps, in place of `epochs`.
    learning_rate, warm_up, decay, weight_decay
        See `genoglot.training.schedule.Schedule`.
    checkpoint_every
        Number of steps after which a checkpoint is written.
    seed
        Seed of masks, strands, order and dropout.
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
    "published": ({}, {}),
    "small": (
        {"dim": 128, "heads": 4, "layers": 2},
        {
            "window": 512, "batch_size": 32, "epochs": 1, "learning_rate": 1e-3, "warm_up": 100,
            "decay": "linear", "checkpoint_every": 100,
        },
    ),
}  # fmt: skip
"""Settings of the encoder and of its pre-training: the published ones, and small ones."""


class MaskedLanguageModel(nn.Module):
    """An encoder and, on top, a head that predicts masked tokens.

    Token ids are scored by their own vectors in the embedding's table (one-hot bases: by a linear
    layer for the bases of each token), after a linear layer, GELU and a norm.

    Parameters
    ----------
    encoder
        A new encoder, or one that is trained further. It is trained in place.
    **settings
        Fields of `MaskedLmSettings`; the others have their defaults.

    Raises
    ------
    ModelError
        If a setting is unknown or not valid.
    """

    def __init__(self, encoder: AttentionEncoder, **settings: Any) -> None:
        super().__init__()
        self.encoder, self.settings = encoder, MaskedLmSettings.of(settings, "pre-training")
        self.bases = encoder.embedding.pool if isinstance(encoder.embedding, OneHotEmbedding) else 0
        with torch_seed(self.settings.seed):
            self.transform = nn.Sequential(
                nn.Linear(encoder.dim, encoder.dim), nn.GELU(), nn.LayerNorm(encoder.dim)
            )
            if self.bases:
                self.scores = nn.Linear(encoder.dim, 4 * self.bases)
            else:
                assert isinstance(encoder.embedding, TokenEmbedding)
                self.bias = nn.Parameter(torch.zeros(encoder.embedding.table.num_embeddings))

    @classmethod
    def from_preset(
        cls,
        preset: str,
        genome: Genome | None = None,
        tokenizer: str = "patch",
        *,
        k: int | None = None,
        **settings: Any,
    ) -> Self:
        """Make a model with a new encoder.

        Parameters
        ----------
        preset
            Name of a preset in `PRESETS`.
        genome
            Genome from which byte pairs are learned; not needed by other tokenizers.
        tokenizer, k
            As for `genoglot.models.dna.new_tokenizer.new_tokenizer`.
        **settings
            Fields of `AttentionSettings` and of `MaskedLmSettings`; others have the values of the
            preset. `seed` is for both.

        Returns
        -------
        MaskedLanguageModel
            The model, with initial weights.

        Raises
        ------
        ModelError
            If there is no such preset, or a setting is unknown or not valid.
        """
        if preset not in PRESETS:
            raise ModelError(f"no preset {preset!r}; choose from {', '.join(PRESETS)}")
        fields = (AttentionSettings.model_fields, MaskedLmSettings.model_fields)
        if unknown := settings.keys() - {name for part in fields for name in part}:
            known = ", ".join(dict.fromkeys(name for part in fields for name in part))
            raise ModelError(f"pre-training has no setting {min(unknown)!r} (it has: {known})")
        of_encoder, of_training = (
            {**values, **{name: settings[name] for name in settings if name in part}}
            for values, part in zip(PRESETS[preset], fields, strict=True)
        )
        of_encoder.setdefault("max_length", max(of_training.get("window", 0), 1024))
        encoder = AttentionEncoder(new_tokenizer(tokenizer, genome, k=k), **of_encoder)
        return cls(encoder, **of_training)

    def fit(
        self,
        genome: Genome,
        *,
        log_folder: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        device: str | DeviceOptions = "auto",
    ) -> Self:
        """Train the encoder to predict masked tokens of windows of a genome.

        Windows are adjacent. Windows that are mostly N are left out, as are the last bases of a
        chromosome. A record shorter than a window is a window of its own, unless it is
        shorter than 16 bp or mostly N. Windows in which every token contains an N are left out,
        too. In each pass every window is read once, on a random strand. Windows are read
        from the genome batch by batch: only their positions are in memory.

        Parameters
        ----------
        genome
            DNA to learn.
        log_folder
            Where `loss.csv`, TensorBoard's log and the checkpoint are written; by default nowhere.
        resume
            Continue from the checkpoint in `log_folder`, if there is one: the result is that of a
            training that was never interrupted.
        progress
            Show a progress bar; by default in a terminal.
        device
            Device to train on, by default a GPU if there is one. Several processes have the loss
            curve of one with the same `batch_size`, except for what dropout draws.

        Raises
        ------
        ModelError
            If there is no window to learn from, windows are longer than the encoder reads, or the
            checkpoint is of another training.
        """
        from genoglot.training.checkpoints import is_launched
        from genoglot.training.loop import train

        s, encoder = self.settings, self.encoder
        windows = GenomeWindows(genome, s.window, encoder.tokenizer)
        left_out = windows.left_out()
        if not len(windows):
            raise ModelError(
                f"nothing to learn from ({left_out or 'no record'}); give some sequences"
            )
        if left_out and not is_launched():
            log.info(
                "%d windows of %d bp to learn from; left out: %s", len(windows), s.window, left_out
            )
        encoder.tokenize(np.zeros((1, s.window), np.uint8))  # refuses windows that are too long
        masker = Masker(encoder.tokenizer, rate=s.mask_rate, span=s.span)

        def make_batch(draw: Draw) -> Batch:
            # One generator for each window: what it draws depends on nothing else.
            generators = [np.random.default_rng((s.seed, draw.epoch, row)) for row in draw.rows]
            reverse = np.array([g.random() < 0.5 for g in generators])
            return masker(*windows.fetch(draw.rows, reverse), generators)

        examples = Examples(len(windows), s.batch_size, make_batch)
        steps = s.max_steps or s.epochs * examples.steps_per_epoch
        train(
            self,
            examples,
            Schedule(steps, s.learning_rate, s.warm_up, s.decay, s.weight_decay),
            seed=s.seed,
            round_steps=s.checkpoint_every,
            folder=Path(log_folder) if log_folder is not None else None,
            resume=resume,
            identity={
                "settings": s.model_dump(),
                "encoder": encoder.description(),
                "tokenizer": saved_digest(encoder.tokenizer),
                "genome": genome.digest,
            },
            progress=progress,
            device=device,
        )
        return self

    def forward(self, batch: Batch) -> Losses:
        """Return the cross-entropy of the masked tokens, in nats.

        Parameters
        ----------
        batch
            As `Masker` makes it.
        """
        tokens, targets = self.encoder(batch).tokens, batch["targets"]
        predicted = targets != IGNORED
        if self.bases:
            scores = self.scores(self.transform(tokens)).view(len(tokens), -1, 4)
            scores, targets = scores[:, : targets.shape[1]].flatten(0, 1), targets.flatten()
            total = F.cross_entropy(scores, targets, ignore_index=IGNORED, reduction="sum")
        else:
            assert isinstance(self.encoder.embedding, TokenEmbedding)
            table: Tensor = self.encoder.embedding.table.weight
            scores = F.linear(self.transform(tokens[predicted]), table, self.bias)
            total = F.cross_entropy(scores, targets[predicted], reduction="sum")
        count = predicted.sum()
        return {"masked": Loss(total / count.float().clamp(min=1), count)}
