"""Direct encoder: from a text straight to one value for each region of the universe."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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
    multi_hot,
)
from genoglot.models.text_to_regions.retrieval import (
    RetrievalGenerator,
    RetrievalNetwork,
    RetrievalSettings,
    TextRetrieval,
    log_odds,
)
from genoglot.models.universe_model import SetRows
from genoglot.text import Tfidf
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

WIDTHS = (512, 256, 128, 64, 32)
SHORTLIST = 1 << 14  # regions that are scored by the whole network if only the best are wanted


class PublishedDirectSettings(NetworkSettings):
    """Settings of a `PublishedDirect`; the defaults are those of Fay et al. 2024."""

    batch_size: PositiveInt = 5


class PublishedDirect(NetworkGenerator):
    """The direct encoder of Fay et al. 2024, as the paper describes it.

    TF-IDF vector -> five linear layers -> decoder over the universe. It is trained with the mean
    squared error against the multi-hot vector, by Adam, for 10 epochs with batches of 5. The paper
    does not give the widths of the layers and what is between them; we use rectifiers.

    Parameters
    ----------
    **settings
        Fields of `PublishedDirectSettings`.
    """

    model_type = "direct-published"
    settings_class = PublishedDirectSettings
    settings: PublishedDirectSettings
    fitted = ("tfidf",)

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit TF-IDF and make the network."""
        self.tfidf = Tfidf(pairs=False).fit(atlas.descriptions(rows))
        super().prepare(atlas, rows)

    def _new_network(self) -> nn.Module:
        layers: list[nn.Module] = []
        for before, after in pairwise((self.tfidf.dim, *WIDTHS)):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(WIDTHS[-1], len(self.universe)))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Compute TF-IDF vectors: (texts, words)."""
        return torch.from_numpy(self.tfidf.encode(texts))

    def loss(self, batch: Batch) -> Tensor:
        """Compute the mean squared error against the multi-hot vectors."""
        return F.mse_loss(self.network(batch["vectors"]), multi_hot(batch, len(self.universe)))

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Score every region by its predicted presence, clipped to 0 and 1."""
        scores: Scores = self.network(self.encode(texts).to(self.device)).clamp_(0, 1).cpu().numpy()
        return scores


class Mixer(nn.Module):
    """From the frequencies of a region according to several heads to its log-odds of presence.

    All regions share one small network, so that it can learn how "bound by this factor elsewhere"
    and "open in these cells" go together. It starts as the log-odds of the mean of the heads and
    learns a correction.

    Parameters
    ----------
    heads
        Number of heads.
    hidden
        Width of the two hidden layers.
    """

    def __init__(self, heads: int, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(2 * heads, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), last
        )  # fmt: skip

    def forward(self, frequency: Tensor) -> Tensor:
        """Compute log-odds: (..., heads) -> (...). Frequencies are clipped to 0 and 1."""
        frequency = frequency.clamp(0, 1)
        # The logarithm distinguishes small frequencies, as most are.
        inputs = torch.cat([frequency, 0.2 * log_odds(frequency)], -1)
        logits: Tensor = log_odds(frequency.mean(-1)) + self.layers(inputs).squeeze(-1)
        return logits


class DirectNetwork(RetrievalNetwork):
    """A network that decodes each head by itself; a `Mixer` makes one value of them.

    Parameters
    ----------
    retrieval
        From text to set factors.
    hidden
        Width of the mixer.
    """

    def __init__(self, retrieval: TextRetrieval, *, hidden: int) -> None:
        super().__init__(retrieval)
        self.mixer = Mixer(retrieval.heads, hidden)

    def logits(self, set_factors: Tensor, region_factors: Tensor, frequency: Tensor) -> Tensor:
        """Compute the log-odds of presence: see `RetrievalNetwork`."""
        decoded = torch.einsum("bhe,re->brh", set_factors, region_factors)
        logits: Tensor = self.mixer(decoded + frequency[None, :, None])
        # Regions that no training set contains are not in the loss: they come last.
        return logits.masked_fill(frequency == 0, -10.0)


class DirectSettings(RetrievalSettings):
    """Settings of a `Direct`.

    Attributes
    ----------
    hidden
        Width of the network that mixes the heads.
    """

    hidden: PositiveInt = 32


class Direct(RetrievalGenerator):
    """The direct encoder, improved: each head is decoded by itself, then mixed for each region.

    The output is of low rank (set factors times region factors, plus frequency), so that a universe
    of a million regions is possible. A small network, the same for all regions, computes a score
    from the frequencies that the heads give. It is trained with the binary cross-entropy; the score
    is not a calibrated probability.

    Parameters
    ----------
    **settings
        Fields of `DirectSettings`.
    """

    model_type = "direct"
    settings_class = DirectSettings
    settings: DirectSettings

    def _new_network(self) -> DirectNetwork:
        return DirectNetwork(self._new_retrieval(), hidden=self.settings.hidden)

    @torch.inference_mode()
    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Find the best regions for a text: see `Generator.top`.

        In a large universe the whole network scores a shortlist only: the regions to which the
        heads together give the highest frequencies.
        """
        shortlist = max(SHORTLIST, 8 * n)
        if len(self.universe) <= 4 * shortlist:
            return super().top(text, n)
        with one_thread():
            set_factors = self.predict_set_factors([text])
            # numpy takes 15 ms for this product with a million regions, torch 2.13 72 ms.
            frequency = self.region_factors @ set_factors[0].mean(0).cpu().numpy() + self.frequency
            listed = torch.from_numpy(np.sort(best(frequency, shortlist)))
            scores = self._logits(set_factors, listed)[0].sigmoid_().cpu().numpy()
        chosen = best(scores, n)
        return listed.numpy()[chosen].astype(np.int32), scores[chosen]
