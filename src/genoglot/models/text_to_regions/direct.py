"""Direct encoder: from a text straight to one value per region of the universe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.models.text_to_regions.generator import Ids, Scores, best
from genoglot.models.text_to_regions.network_generator import (
    NetworkGenerator,
    NetworkSettings,
    region_ids,
)
from genoglot.models.text_to_regions.retrieval import (
    MemoryGenerator,
    MemoryNetwork,
    MemorySettings,
    TextMemory,
)
from genoglot.models.universe_model import SetRows
from genoglot.pretrained import Pretrained
from genoglot.saved import Saved
from genoglot.text import Tfidf
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

WIDTHS = (512, 256, 128, 64, 32)
SHORTLIST = 1 << 14  # regions that are scored in full when only the top is asked for


class PublishedDirectSettings(NetworkSettings):
    """Settings of a `PublishedDirect`; the defaults are those of Fay et al. 2024."""

    batch_size: PositiveInt = 5


class PublishedDirect(NetworkGenerator):
    """The direct encoder of Fay et al. 2024, as it is described there.

    TF-IDF vector -> five linear layers -> decoder over the universe; mean squared error against
    the multi-hot vector, Adam, 10 epochs, batches of 5. The widths and the rectifiers between the
    layers are ours: the paper names none.

    Parameters
    ----------
    **settings
        Fields of `PublishedDirectSettings`.
    """

    model_type = "direct-published"
    settings_class = PublishedDirectSettings
    settings: PublishedDirectSettings

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit TF-IDF and make the network."""
        self.universe = atlas.universe
        self.tfidf = Tfidf(pairs=False).fit(atlas.descriptions(rows))
        torch.manual_seed(self.settings.seed)
        self.network = _published_network(self.tfidf.dim, len(self.universe))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """TF-IDF vectors: (texts, words)."""
        return torch.from_numpy(self.tfidf.encode(texts))

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error against the multi-hot vectors."""
        predicted = self.network(batch["vectors"])
        target = torch.zeros_like(predicted)
        for row, ids in zip(target, region_ids(batch), strict=True):
            row[torch.from_numpy(ids).long().to(row.device)] = 1
        return F.mse_loss(predicted, target)

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region by its predicted presence, cut to 0 and 1."""
        scores: Scores = self.network(self.encode(texts).to(self.device)).clamp_(0, 1).cpu().numpy()
        return scores

    def _parts(self) -> dict[str, Pretrained]:
        return {"tfidf": self.tfidf}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.tfidf = Tfidf.from_pretrained(saved.folder / "tfidf")
        network = _published_network(self.tfidf.dim, len(self.universe))
        self._load_network(network, saved)
        return self


def _published_network(words: int, regions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((words, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    network = nn.Sequential()
    network.add_module("encoder", nn.Sequential(*layers))
    network.add_module("decoder", nn.Linear(WIDTHS[-1], regions))
    return network


class Mixer(nn.Module):
    """From what each head says of a region to its log-odds of presence.

    One small network for all regions, so that it can learn how "bound by this factor elsewhere"
    and "open in these cells" go together. It starts as the log-odds of the heads'
    mean and learns what to add.

    Parameters
    ----------
    inputs
        Number of heads.
    hidden
        Width of the two hidden layers.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(2 * inputs, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), last
        )  # fmt: skip

    def forward(self, evidence: Tensor) -> Tensor:
        """(..., inputs) of shares between 0 and 1 -> (...) log-odds."""
        share = evidence.clamp(0, 1)
        # The logarithm spreads small shares, which most are.
        features = torch.cat([share, 0.2 * log_odds(share)], -1)
        logits: Tensor = log_odds(share.mean(-1)) + self.layers(features).squeeze(-1)
        return logits


def log_odds(share: Tensor) -> Tensor:
    """Log-odds of shares, bounded at about 7 either way."""
    return ((share + 1e-3) / (1.001 - share)).log()


class DirectNetwork(MemoryNetwork):
    """Each head's code is decoded apart; a `Mixer` makes one value of them.

    Parameters
    ----------
    memory
        From text to codes.
    heads
        How many codes it gives.
    hidden
        Width of the mixer.
    """

    def __init__(self, memory: TextMemory, *, heads: int, hidden: int) -> None:
        super().__init__(memory)
        self.mixer = Mixer(heads, hidden)

    def logits(self, codes: Tensor, factors: Tensor, share: Tensor) -> Tensor:
        """Log-odds of presence: see `MemoryNetwork`."""
        told = torch.einsum("bhe,re->brh", codes, factors) + share[None, :, None]
        logits: Tensor = self.mixer(told)
        # What no training set holds was in no loss: it comes last.
        return logits.masked_fill(share == 0, -10.0)


class DirectSettings(MemorySettings):
    """Settings of a `Direct`.

    Attributes
    ----------
    hidden
        Width of the network that mixes what the heads read.
    """

    hidden: PositiveInt = 32


class Direct(MemoryGenerator):
    """Direct encoder, better: what each head reads is decoded apart, then mixed per region.

    The output is of low rank (codes times region factors, popularity as the mean), so that a
    universe of a million regions is no obstacle, and a small network shared by all regions turns
    the heads' shares into a score. Trained with binary cross-entropy; the score is not calibrated,
    so it is no probability.

    Parameters
    ----------
    **settings
        Fields of `DirectSettings`.
    """

    model_type = "direct"
    settings_class = DirectSettings
    settings: DirectSettings

    def _network(self, memory: TextMemory) -> DirectNetwork:
        s = self.settings
        return DirectNetwork(memory, heads=2 * s.heads + 2, hidden=s.hidden)

    @torch.inference_mode()
    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` best regions, best first.

        Of a large universe only a shortlist is scored in full: the regions to which the heads
        together give the largest shares.
        """
        shortlist = max(SHORTLIST, 8 * n)
        if len(self.universe) <= 4 * shortlist:
            return super().top(text, n)
        with one_thread():
            codes = self.codes([text])
            # By numpy: this product takes 15 ms for a million regions, 72 ms by torch 2.13.
            shares = self.factors.numpy() @ codes[0].mean(0).cpu().numpy() + self.share
            listed = torch.from_numpy(np.sort(best(shares, shortlist)))
            scores = self._logits(codes, listed)[0].sigmoid_().cpu().numpy()
        chosen = best(scores, n)
        return listed.numpy()[chosen].astype(np.int32), scores[chosen]
