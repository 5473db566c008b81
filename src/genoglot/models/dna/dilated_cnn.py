"""Dilated CNN of the shape of SpliceAI: a vector of each base, which sees a context around it."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from genoglot.models.dna.cnn import one_hot_only
from genoglot.models.dna.sequence_encoder import Encoding, SequenceEncoder
from genoglot.nn.seed import torch_seed
from genoglot.sequence import DnaTokenizer
from genoglot.settings import Settings
from genoglot.training.examples import Batch

Context = Literal[80, 400, 2000, 10000]

GROUP = 4
"""Number of residual units between two connections to the end of the network."""

GROUPS = ((11, 1), (11, 4), (21, 10), (41, 25))
"""Kernel and dilation of the residual units of each group (Jaganathan et al. 2019, Figure S1)."""

CONTEXTS: dict[Context, int] = {80: 1, 400: 2, 2000: 3, 10000: 4}
"""Number of groups of the published networks, by the context in bp that they see."""


def context_of_network(context: int) -> Context:
    """Choose the smallest published network that sees a context in bp, or else the largest one.

    Examples
    --------
    >>> context_of_network(80), context_of_network(256), context_of_network(20_000)
    (80, 400, 10000)
    """
    return next((seen for seen in CONTEXTS if seen >= context), max(CONTEXTS))


class DilatedCnnSettings(Settings):
    """Settings of a `DilatedCnn`; the defaults are those of SpliceAI-400nt.

    Attributes
    ----------
    context
        Number of bp around a base that its vector depends on, one half on each side: that of
        SpliceAI-80nt, -400nt, -2k or -10k.
    width
        Number of channels.
    seed
        Random seed of the weights.
    """

    context: Context = 400
    width: int = Field(32, ge=1)
    seed: int = Field(0, ge=0)


class DilatedCnn(SequenceEncoder):
    """Encoder of residual units with growing dilation (Jaganathan et al. 2019).

    Each residual unit consists of two convolutions, each after batch normalization and a rectifier.
    After every fourth unit a convolution over single bases is added to the end of the network. The
    tokens are the bases; the vector of a sequence is their mean.

    Parameters
    ----------
    tokenizer
        One-hot; by default with the channels A C G T.
    **settings
        Fields of `DilatedCnnSettings`; the others have their defaults.

    Raises
    ------
    ModelError
        If a setting is unknown, or the tokenizer is not one-hot.

    Examples
    --------
    >>> from genoglot.sequence import stack_codes
    >>> encoder = DilatedCnn(context=80, width=8)
    >>> encoder.embed_tokens(stack_codes(["ACGTACGTACGT"])[0])[0].shape
    (1, 12, 8)
    """

    model_type = "dilated-cnn"
    settings_class = DilatedCnnSettings
    settings: DilatedCnnSettings

    def __init__(self, tokenizer: DnaTokenizer | None = None, **settings: Any) -> None:
        super().__init__(one_hot_only(tokenizer, "dilated CNN"), **settings)
        s = self.settings
        self.dim = self.token_dim = s.width
        with torch_seed(s.seed):
            self.first = nn.Conv1d(4, s.width, 1)
            self.skip = nn.Conv1d(s.width, s.width, 1)
            self.groups = nn.ModuleList(
                nn.Sequential(*(ResidualUnit(s.width, *shape) for _ in range(GROUP)))
                for shape in GROUPS[: CONTEXTS[s.context]]
            )
            self.skips = nn.ModuleList(nn.Conv1d(s.width, s.width, 1) for _ in self.groups)

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`."""
        values, mask = batch["inputs"], batch.get("mask")
        if mask is not None:
            values = values * mask[:, None]
        x = self.first(values)
        total = self.skip(x)
        for group, skip in zip(self.groups, self.skips, strict=True):
            for unit in cast(nn.Sequential, group):
                x = unit(x, mask)
            total = total + skip(x)
        tokens = total.transpose(1, 2)
        weight = torch.ones_like(tokens[..., :1]) if mask is None else mask[..., None].float()
        return Encoding((tokens * weight).sum(1) / weight.sum(1), tokens, mask)


class ResidualUnit(nn.Module):
    """Batch normalization, rectifier and convolution, twice, added to the input.

    Parameters
    ----------
    channels
        Number of channels.
    kernel
        Width of the convolutions, an odd number.
    dilation
        Distance of the positions that a convolution reads.
    """

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        margin = dilation * (kernel // 2)
        self.layers = nn.Sequential(
            *(
                layer
                for _ in range(2)
                for layer in (
                    nn.BatchNorm1d(channels),
                    nn.ReLU(),
                    nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=margin),
                )
            )
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Run the unit: (batch, channels, length) -> the same; padding is not in `mask`."""
        added = x
        for layer in self.layers:
            if mask is not None and isinstance(layer, nn.Conv1d):
                added = added * mask[:, None]
            added = layer(added)
        return x + added
