"""Diffusion: a region set is drawn out of noise, under the condition of a text."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from itertools import count
from math import isqrt
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
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
    CHUNK,
    MemoryGenerator,
    MemoryNetwork,
    MemorySettings,
    TextMemory,
    product,
    spread,
)
from genoglot.models.universe_model import SetRows
from genoglot.nn.diffusion import NoiseSchedule, time_features
from genoglot.nn.unet import DEPTH, UNet
from genoglot.pretrained import Pretrained
from genoglot.saved import Saved
from genoglot.text import MiniLM
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

DROPPED = 0.1  # share of training texts that are blanked, for classifier-free guidance
FORGOTTEN = 0.2  # dropout of the denoising network
PIXELS = 1 << 21  # pixels that go through the U-Net at a time


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
    """The diffusion model of Fay et al. 2024, as it is described there.

    The multi-hot vector over the universe is laid out as an image (761 x 1398 for 1,063,878
    regions), the first channel of three, the others zero. A U-Net with max pooling, which gets the
    time step and the MiniLM embedding of the text in every block, predicts the noise; linear
    schedule, L1, Adam. The widths, the number of time steps and the strides of the sampling are
    ours: the paper names none.

    Parameters
    ----------
    **settings
        Fields of `PublishedDiffusionSettings`.
    """

    model_type = "diffusion-published"
    settings_class = PublishedDiffusionSettings
    settings: PublishedDiffusionSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.noising = NoiseSchedule("linear", self.settings.steps)

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Make the network."""
        self.universe = atlas.universe
        self.minilm = MiniLM()
        torch.manual_seed(self.settings.seed)
        self.network = self._unet()

    def _unet(self) -> UNet:
        return UNet(3, condition_dim=self.minilm.dim, widths=self.settings.widths)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """MiniLM embeddings: (texts, 384)."""
        return torch.from_numpy(self.minilm.encode(texts))

    def loss(self, batch: Batch) -> Tensor:
        """Mean absolute error of the predicted noise."""
        device = batch["vectors"].device
        flat = torch.zeros(len(region_ids(batch)), 3, self.shape[0] * self.shape[1], device=device)
        for image, ids in zip(flat, region_ids(batch), strict=True):
            image[0, torch.from_numpy(ids).long().to(device)] = 1
        images = flat.view(len(flat), 3, *self.shape)
        noise = torch.randn(images.shape, device=device)
        step = torch.randint(self.settings.steps, (len(images),), device=device)
        noisy = self.noising.to(device).noised(images, step, noise)
        return F.l1_loss(self.network(noisy, step, batch["vectors"]), noise)

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> Scores:
        """Draw one image for each text, on the network's device; a pixel of 1/2 scores 1/2."""
        device, network = self.device, self.network
        noising = self.noising.to(device)
        scores = np.empty((len(texts), len(self.universe)), np.float32)
        at_once = max(1, PIXELS // (self.shape[0] * self.shape[1]))
        vectors = self.encode(texts).to(device)
        for start in range(0, len(texts), at_once):
            part = slice(start, start + at_once)
            condition, draw = (
                vectors[part],
                noise_of(texts[part], (3, *self.shape), self.settings.seed),
            )
            image = noising.sample(
                lambda noisy, step: network(noisy, step, condition),  # noqa: B023
                lambda: draw().to(device),  # noqa: B023
                steps=self.settings.sampling_steps,
                eta=1.0,
            )
            presence = image[:, 0].flatten(1)[:, : len(self.universe)]
            scores[part] = sharpened(presence).sigmoid().cpu().numpy()
        return scores

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return image_shape(len(self.universe))

    def _parts(self) -> dict[str, Pretrained]:
        return {"minilm": self.minilm}

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        self = super()._load(saved)
        self.minilm = MiniLM.from_pretrained(saved.folder / "minilm")
        self._load_network(self._unet(), saved)
        return self


def image_shape(size: int) -> tuple[int, int]:
    """Height and width of the smallest image, at most twice as wide as high, for `size` pixels.

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


def noise_of(texts: Sequence[str], shape: tuple[int, ...], seed: int) -> Callable[[], Tensor]:
    """Source of standard normal noise that depends on each text and the seed alone.

    So an answer is the same whatever other texts are asked for with it.

    Returns
    -------
    A function that gives (texts, *shape), other noise at each call.
    """
    generators = [
        torch.Generator().manual_seed(1_000_003 * seed + zlib.crc32(text.encode()))
        for text in texts
    ]
    return lambda: torch.stack([torch.randn(shape, generator=g) for g in generators])


def sharpened(presence: Tensor) -> Tensor:
    """Log-odds for a predicted presence, which is near 0 or 1 but not bounded; 0 for 1/2."""
    return 6 * (presence - 0.5)


class Denoiser(MemoryNetwork):
    """What a noisy code and a text's reading of the memory say about the clean code.

    Codes have unit variance in each dimension here.

    Parameters
    ----------
    memory
        From text to codes.
    heads
        How many codes it gives; the last one, popularity, is not used.
    scale
        (rank,) standard deviation of the codes.
    hidden
        Width of the hidden layers.
    """

    scale: Tensor

    def __init__(self, memory: TextMemory, *, heads: int, scale: Tensor, hidden: int) -> None:
        super().__init__(memory)
        self.register_buffer("scale", scale)
        self.hidden = hidden
        rank = len(scale)
        # How much of the noisy code, of each head, and of the layers' correction, by time step.
        last = nn.Linear(64, heads + 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, 1 / heads)  # it starts from what the heads say on average
        self.weights = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), last)
        self.entry = nn.Linear((heads + 1) * rank + 64, hidden)
        self.layers = nn.Sequential(
            nn.SiLU(), nn.Dropout(FORGOTTEN), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Dropout(FORGOTTEN),
        )  # fmt: skip
        self.exit = nn.Linear(hidden, rank)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(self, noisy: Tensor, step: Tensor, told: Tensor) -> Tensor:
        """Predict clean codes.

        Parameters
        ----------
        noisy
            (batch, rank).
        step
            (batch,).
        told
            (batch, heads, rank): what the memory gives, in unit variance; zeros for no text.

        Returns
        -------
        (batch, rank).
        """
        time = time_features(step, 64)
        known = torch.cat([noisy[:, None], told], 1)
        weights = self.weights(time)
        mixed = torch.einsum("bh,bhr->br", weights, known)
        hidden = self.entry(torch.cat([known.flatten(1), time], 1))
        predicted: Tensor = mixed + self.exit(self.layers(hidden))
        return predicted

    def logits(self, codes: Tensor, factors: Tensor, share: Tensor) -> Tensor:
        """Log-odds by presence, which is near 0 or 1: codes (batch, 1, rank); `MemoryNetwork`."""
        return sharpened(codes[:, 0] @ factors.T + share)


class DiffusionSettings(MemorySettings):
    """Settings of a `Diffusion`.

    Attributes
    ----------
    steps
        Number of time steps of the noise schedule.
    sampling_steps
        Number of time steps that sampling visits.
    guidance
        Weight of classifier-free guidance (Ho and Salimans 2022). 1: as trained; larger: further
        from what is common to all texts.
    samples
        Number of samples whose mean is the answer.
    hidden
        Width of the denoising network.
    """

    steps: PositiveInt = 1000
    sampling_steps: PositiveInt = 25
    guidance: NonNegativeFloat = 1.0
    samples: PositiveInt = 16
    hidden: PositiveInt = 256


class Diffusion(MemoryGenerator):
    """Diffusion, better: over the low-rank code of a region set instead of over its pixels.

    Cosine schedule, prediction of the clean code with an error weighed by what each dimension
    means for presence, classifier-free guidance, DDIM sampling. The condition is what the text
    reads from the memory of described sets. A score is that of the mean of several samples.

    Parameters
    ----------
    **settings
        Fields of `DiffusionSettings`.
    """

    model_type = "diffusion"
    settings_class = DiffusionSettings
    settings: DiffusionSettings
    network: Denoiser
    _projection: Tensor  # (rank, rank), from sums of factors to codes
    _squares: Tensor  # (rank,), of the factors
    _usual: Tensor  # (rank,)
    _known: Tensor  # (sets, rank), of the training sets

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.noising = NoiseSchedule("cosine", self.settings.steps)

    def _network(self, memory: TextMemory) -> Denoiser:
        s, scale = self.settings, spread(memory.attention.codes)
        return Denoiser(memory, heads=2 * s.heads + 1, scale=scale, hidden=s.hidden)

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Fit text features, region factors and ridge regressions; make the network."""
        super().prepare(atlas, rows)
        squares = torch.zeros(self.factors.shape[1], self.factors.shape[1], dtype=torch.float64)
        for part in torch.split(self.factors, CHUNK):
            squares += part.double().T @ part.double()
        self._squares = squares.diagonal().float()
        self._projection = torch.linalg.pinv(squares, hermitian=True, rtol=1e-6).float()
        self._usual = torch.from_numpy(self.share) @ self.factors
        sums = product(atlas.presence(rows), self.factors.numpy())
        self._known = self._codes_of(torch.from_numpy(sums))

    def _codes_of(self, sums: Tensor) -> Tensor:
        """Code of each set by least squares, from the sum of its factors: (sets, rank)."""
        codes: Tensor = (sums - self._usual) @ self._projection
        return codes

    def loss(self, batch: Batch) -> Tensor:
        """Squared error of the clean code, weighed as errors of presence are."""
        device, scale = batch["vectors"].device, self.network.scale
        if "rows" in batch:
            codes = self._known[batch["rows"].cpu()]
        else:
            sums = [self.factors[torch.from_numpy(ids).long()].sum(0) for ids in region_ids(batch)]
            codes = self._codes_of(torch.stack(sums))
        clean = codes.to(device) / scale
        told = self._read(batch)[:, :-1] / scale
        blank = (torch.rand(len(told), 1, 1) < DROPPED).to(device)
        step = torch.randint(self.settings.steps, (len(clean),)).to(device)
        noise = torch.randn(clean.shape).to(device)
        noisy = self.noising.to(device).noised(clean, step, noise)
        predicted: Tensor = self.network(noisy, step, told.masked_fill(blank, 0))
        weight = scale**2 * self._squares.to(device)
        return ((predicted - clean).square() * (weight / weight.mean())).mean()

    @torch.inference_mode()
    def codes(self, texts: Sequence[str]) -> Tensor:
        """Mean of the sampled codes of each text: (texts, 1, rank)."""
        s = self.settings
        told = super().codes(texts)[:, :-1] / self.network.scale
        told = told.repeat_interleave(s.samples, 0)
        noising = self.noising.to(self.device)

        def predicted_noise(noisy: Tensor, step: Tensor) -> Tensor:
            clean: Tensor = self.network(noisy, step, told)
            if s.guidance != 1:
                plain = self.network(noisy, step, torch.zeros_like(told))
                clean = plain + s.guidance * (clean - plain)
            signal = noising.signal[step][:, None]
            return (noisy - signal.sqrt() * clean) / (1 - signal).sqrt()

        draw = noise_of(texts, (s.samples, len(self.network.scale)), s.seed)
        drawn = noising.sample(
            predicted_noise,
            lambda: draw().flatten(0, 1).to(self.device),
            steps=s.sampling_steps,
            eta=0.0,
        )
        mean = drawn.view(len(texts), s.samples, -1).mean(1) * self.network.scale
        return mean[:, None]

    @torch.inference_mode()
    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` best regions, best first."""
        with one_thread():
            code = self.codes([text])[0, 0].cpu().numpy()
        presence = self.factors.numpy() @ code + self.share  # by numpy: see `direct`
        ids = best(presence, n)
        return ids, sharpened(torch.from_numpy(presence[ids])).sigmoid().numpy()
