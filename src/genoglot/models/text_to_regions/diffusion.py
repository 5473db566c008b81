"""Diffusion: a region set is drawn out of noise, with a text as the condition."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from itertools import count
from math import isqrt
from typing import Any

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.models.text_to_regions.factorization import sparse_product, standard_deviation
from genoglot.models.text_to_regions.generator import Ids, Scores, best
from genoglot.models.text_to_regions.network_generator import (
    NetworkGenerator,
    NetworkSettings,
    multi_hot,
    region_ids,
)
from genoglot.models.text_to_regions.retrieval import (
    CHUNK,
    RetrievalGenerator,
    RetrievalNetwork,
    RetrievalSettings,
    TextRetrieval,
)
from genoglot.models.universe_model import SetRows
from genoglot.nn.diffusion import NoiseSchedule, time_features
from genoglot.nn.unet import DEPTH, UNet
from genoglot.text import MiniLM
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

UNCONDITIONAL = 0.1  # fraction of training examples without text, for classifier-free guidance
DROPOUT = 0.2  # of the denoising network
PIXELS = 1 << 21  # pixels that the U-Net processes at a time
TIME_DIM = 64  # width of the encoded time step


class PublishedDiffusionSettings(NetworkSettings):
    """Settings of a `PublishedDiffusion`.

    Attributes
    ----------
    steps
        Number of time steps of the noise schedule.
    sampling_steps
        Number of time steps that sampling visits.
    widths
        Number of channels of the U-Net at each of its six sizes.
    """

    steps: PositiveInt = 300
    sampling_steps: PositiveInt = 25
    widths: tuple[PositiveInt, ...] = Field(
        (8, 16, 32, 64, 128, 128), min_length=DEPTH + 1, max_length=DEPTH + 1
    )


class PublishedDiffusion(NetworkGenerator):
    """The diffusion model of Fay et al. 2024, as the paper describes it.

    The multi-hot vector over the universe is reshaped into an image (761 x 1398 for 1,063,878
    regions), which is the first of three channels; the others are zero. A U-Net with max pooling,
    which reads the time step and the MiniLM embedding of the text in every block, predicts the
    noise. The schedule is linear, the loss the absolute error, the optimizer Adam. The paper does
    not give the widths, the number of time steps and the steps of sampling.

    Parameters
    ----------
    **settings
        Fields of `PublishedDiffusionSettings`.
    """

    model_type = "diffusion-published"
    settings_class = PublishedDiffusionSettings
    settings: PublishedDiffusionSettings
    fitted = ("minilm",)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.noising = NoiseSchedule("linear", self.settings.steps)
        self.minilm = MiniLM()

    def _new_network(self) -> UNet:
        return UNet(3, condition_dim=self.minilm.dim, widths=self.settings.widths)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Compute MiniLM embeddings: (texts, 384)."""
        return torch.from_numpy(self.minilm.encode(texts))

    def loss(self, batch: Batch) -> Tensor:
        """Compute the mean absolute error of the predicted noise."""
        height, width = self.shape
        presence = multi_hot(batch, height * width).view(-1, 1, height, width)
        images = F.pad(presence, (0, 0, 0, 0, 0, 2))  # two more channels, zero
        noise = torch.randn(images.shape, device=self.device)
        step = torch.randint(self.settings.steps, (len(images),), device=self.device)
        noisy = self.noising.to(self.device).noised(images, step, noise)
        return F.l1_loss(self.network(noisy, step, batch["vectors"]), noise)

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Draw an image for each text; a pixel of 1/2 scores 1/2."""
        scores = np.empty((len(texts), len(self.universe)), np.float32)
        at_once = max(1, PIXELS // (self.shape[0] * self.shape[1]))
        vectors = self.encode(texts).to(self.device)
        for start in range(0, len(texts), at_once):
            chunk = slice(start, start + at_once)
            presence = self._sample(vectors[chunk], texts[chunk])
            scores[chunk] = presence_logits(presence).sigmoid().cpu().numpy()
        return scores

    def _sample(self, condition: Tensor, texts: Sequence[str]) -> Tensor:
        """Draw presence for texts and their embeddings: (texts, universe)."""
        draw = noise_source(texts, (3, *self.shape), self.settings.seed)
        image = self.noising.to(self.device).sample(
            lambda noisy, step: self.network(noisy, step, condition),
            lambda: draw().to(self.device),
            steps=self.settings.sampling_steps,
            eta=1.0,
        )
        return image[:, 0].flatten(1)[:, : len(self.universe)]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return image_shape(len(self.universe))


def image_shape(size: int) -> tuple[int, int]:
    """Find the smallest image with enough pixels that is at most twice as wide as high.

    Parameters
    ----------
    size
        Minimum number of pixels.

    Returns
    -------
    tuple of int
        Height and width.

    Examples
    --------
    >>> image_shape(1_063_878), image_shape(7)
    ((761, 1398), (2, 4))
    """
    for pixels in count(size):
        height = next(h for h in range(isqrt(pixels), 0, -1) if pixels % h == 0)
        if pixels <= 2 * height**2:
            return height, pixels // height
    raise AssertionError


def noise_source(texts: Sequence[str], shape: tuple[int, ...], seed: int) -> Callable[[], Tensor]:
    """Make a source of standard normal noise that depends on each text and the seed alone.

    So the answer to a text does not depend on the other texts of a batch.

    Parameters
    ----------
    texts
        The texts.
    shape
        Shape of the noise for one text.
    seed
        Seed of the noise.

    Returns
    -------
    Callable
        A function that returns noise of shape (texts, *shape), other noise at each call.
    """
    generators = [
        torch.Generator().manual_seed(1_000_003 * seed + zlib.crc32(text.encode()))
        for text in texts
    ]
    return lambda: torch.stack([torch.randn(shape, generator=g) for g in generators])


def presence_logits(presence: Tensor) -> Tensor:
    """Compute logits of a predicted presence, which is near 0 or 1 but not bounded; 0 for 1/2."""
    return 6 * (presence - 0.5)


class Denoiser(RetrievalNetwork):
    """A network that predicts clean set factors from noisy ones and what a text has retrieved.

    Its inputs and outputs are set factors that are scaled to unit variance.

    Parameters
    ----------
    retrieval
        From text to set factors; its last head, the mean of the training sets, is not used.
    hidden
        Width of the hidden layers.
    """

    scale: Tensor  # (rank,) standard deviation of the set factors

    def __init__(self, retrieval: TextRetrieval, *, hidden: int) -> None:
        super().__init__(retrieval)
        self.register_buffer("scale", standard_deviation(retrieval.attention.values))
        heads, rank = retrieval.heads - 1, len(self.scale)
        # Weights of the noisy set factors and of each head, by time step.
        last = nn.Linear(TIME_DIM, heads + 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, 1 / heads)  # at the start about the mean of the heads
        self.weights = nn.Sequential(nn.Linear(TIME_DIM, TIME_DIM), nn.SiLU(), last)
        self.input = nn.Linear((heads + 1) * rank + TIME_DIM, hidden)
        self.layers = nn.Sequential(
            nn.SiLU(), nn.Dropout(DROPOUT), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Dropout(DROPOUT),
        )  # fmt: skip
        self.output = nn.Linear(hidden, rank)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, noisy: Tensor, step: Tensor, retrieved: Tensor) -> Tensor:
        """Predict clean set factors.

        Parameters
        ----------
        noisy
            Noisy set factors, (batch, rank).
        step
            Time steps, (batch,).
        retrieved
            Scaled set factors that the text has retrieved, (batch, heads, rank); zeros for no text.

        Returns
        -------
        Tensor
            (batch, rank).
        """
        time = time_features(step, TIME_DIM)
        inputs = torch.cat([noisy[:, None], retrieved], 1)
        mixed = torch.einsum("bh,bhr->br", self.weights(time), inputs)
        hidden = self.input(torch.cat([inputs.flatten(1), time], 1))
        predicted: Tensor = mixed + self.output(self.layers(hidden))
        return predicted

    def logits(self, set_factors: Tensor, region_factors: Tensor, frequency: Tensor) -> Tensor:
        """Compute logits from sampled set factors, (batch, 1, rank): see `RetrievalNetwork`."""
        return presence_logits(set_factors[:, 0] @ region_factors.T + frequency)


class DiffusionSettings(RetrievalSettings):
    """Settings of a `Diffusion`.

    Attributes
    ----------
    steps
        Number of time steps of the noise schedule.
    sampling_steps
        Number of time steps that sampling visits.
    guidance
        Weight of classifier-free guidance (Ho and Salimans 2022). 1: as trained; larger: further
        from what all texts have in common.
    samples
        Number of samples, whose mean is the answer.
    hidden
        Width of the denoising network.
    """

    steps: PositiveInt = 1000
    sampling_steps: PositiveInt = 25
    guidance: NonNegativeFloat = 1.0
    samples: PositiveInt = 16
    hidden: PositiveInt = 256


class Diffusion(RetrievalGenerator):
    """Diffusion, improved: over the low-rank factors of a region set instead of over its pixels.

    The schedule is a cosine; the network predicts clean set factors, and the error of each factor
    is weighted by its effect on presence. Sampling is that of DDIM with classifier-free guidance.
    The condition is what the text has retrieved from described region sets. The score is that of
    the mean of several samples.

    Parameters
    ----------
    **settings
        Fields of `DiffusionSettings`.
    """

    model_type = "diffusion"
    settings_class = DiffusionSettings
    settings: DiffusionSettings
    network: Denoiser
    # For training: sums of squared region factors (rank,), the inverse of their Gram matrix, the
    # sum of region factors in the mean set (rank,), and set factors of the training sets.
    _squares: Tensor
    _inverse: Tensor
    _mean_sum: Tensor
    _clean: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.noising = NoiseSchedule("cosine", self.settings.steps)

    def _new_network(self) -> Denoiser:
        return Denoiser(self._new_retrieval(), hidden=self.settings.hidden)

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit text features, factors and ridge regressions; make the network."""
        super().prepare(atlas, rows)
        rank = self.region_factors.shape[1]
        gram = torch.zeros(rank, rank, dtype=torch.float64)
        for chunk in torch.split(torch.from_numpy(self.region_factors), CHUNK):
            gram += chunk.double().T @ chunk.double()
        self._squares = gram.diagonal().float()
        self._inverse = torch.linalg.pinv(gram, hermitian=True, rtol=1e-6).float()
        self._mean_sum = torch.from_numpy(self.frequency) @ torch.from_numpy(self.region_factors)
        sums = sparse_product(atlas.presence(rows), self.region_factors)
        self._clean = self.fit_set_factors(torch.from_numpy(sums))

    def fit_set_factors(self, sums: Tensor) -> Tensor:
        """Fit the set factors that reproduce the presence of regions best, by least squares.

        Parameters
        ----------
        sums
            Sum of the region factors over the regions of each set, (sets, rank).

        Returns
        -------
        Tensor
            (sets, rank).
        """
        set_factors: Tensor = (sums - self._mean_sum) @ self._inverse
        return set_factors

    def loss(self, batch: Batch) -> Tensor:
        """Compute the squared error of clean set factors, weighted as errors of presence."""
        device, scale = self.device, self.network.scale
        if "rows" in batch:
            clean = self._clean[batch["rows"].cpu()]
        else:
            factors = torch.from_numpy(self.region_factors)
            sums = [factors[torch.from_numpy(ids).long()].sum(0) for ids in region_ids(batch)]
            clean = self.fit_set_factors(torch.stack(sums))
        clean = clean.to(device) / scale
        retrieved = self._retrieve(batch)[:, :-1] / scale
        unconditional = (torch.rand(len(retrieved), 1, 1) < UNCONDITIONAL).to(device)
        step = torch.randint(self.settings.steps, (len(clean),)).to(device)
        noise = torch.randn(clean.shape).to(device)
        noisy = self.noising.to(device).noised(clean, step, noise)
        predicted: Tensor = self.network(noisy, step, retrieved.masked_fill(unconditional, 0))
        weight = scale**2 * self._squares.to(device)
        return ((predicted - clean).square() * (weight / weight.mean())).mean()

    @torch.inference_mode()
    def predict_set_factors(self, texts: Sequence[str]) -> Tensor:
        """Sample set factors and return the mean of the samples: (texts, 1, rank)."""
        s, scale = self.settings, self.network.scale
        retrieved = super().predict_set_factors(texts)[:, :-1] / scale
        retrieved = retrieved.repeat_interleave(s.samples, 0)
        noising = self.noising.to(self.device)

        def predict_noise(noisy: Tensor, step: Tensor) -> Tensor:
            clean: Tensor = self.network(noisy, step, retrieved)
            if s.guidance != 1:
                unconditional = self.network(noisy, step, torch.zeros_like(retrieved))
                clean = unconditional + s.guidance * (clean - unconditional)
            signal = noising.signal[step][:, None]
            return (noisy - signal.sqrt() * clean) / (1 - signal).sqrt()

        draw = noise_source(texts, (s.samples, len(scale)), s.seed)
        samples: Tensor = noising.sample(
            predict_noise,
            lambda: draw().flatten(0, 1).to(self.device),
            steps=s.sampling_steps,
            eta=0.0,
        )
        return samples.view(len(texts), s.samples, -1).mean(1)[:, None] * scale

    @torch.inference_mode()
    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Find the best regions for a text: see `Generator.top`."""
        with one_thread():
            set_factors = self.predict_set_factors([text])[0, 0].cpu().numpy()
        presence = self.region_factors @ set_factors + self.frequency  # by numpy: see `Direct.top`
        ids = best(presence, n)
        return ids, presence_logits(torch.from_numpy(presence[ids])).sigmoid().numpy()
