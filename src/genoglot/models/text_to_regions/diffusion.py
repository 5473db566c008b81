"""Diffusion: a region set is drawn out of noise, under the condition of a text."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from itertools import count
from math import isqrt
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models.text_to_regions.generator import Arrays, Ids, Scores, SetRows, best
from genoglot.models.text_to_regions.network_generator import NetworkGenerator, region_ids
from genoglot.models.text_to_regions.retrieval import (
    CHUNK,
    MemoryGenerator,
    MemoryNetwork,
    TextMemory,
    product,
    spread,
)
from genoglot.nn.diffusion import NoiseSchedule, time_features
from genoglot.nn.unet import DEPTH, UNet
from genoglot.text import MiniLM, load_text_encoder
from genoglot.threads import one_thread
from genoglot.training.examples import Batch

DROPPED = 0.1  # share of training texts that are blanked, for classifier-free guidance
FORGOTTEN = 0.2  # dropout of the denoising network
PIXELS = 1 << 21  # pixels that go through the U-Net at a time


class SeedDiffusion(NetworkGenerator):
    """The diffusion model of the seed (Fay et al. 2024), as it is described there.

    The multi-hot vector over the universe is laid out as an image (761 x 1398 for 1,063,878
    regions), the first channel of three, the others zero. A U-Net with max pooling, which gets the
    time step and the MiniLM embedding of the text in every block, predicts the noise; linear
    schedule, L1, Adam. The widths, the number of time steps and the strides of the sampling are
    ours: the paper names none.

    Parameters
    ----------
    steps, sampling_steps
        Time steps, and how many of them (ancestral) sampling visits.
    widths
        Channels of the U-Net at its six sizes.
    epochs, batch_size, learning_rate
        Of the training.
    seed
        Seed of everything random.

    Raises
    ------
    ModelError
        If there are not six widths.
    """

    kind = "diffusion-seed"

    def __init__(
        self, *, steps: int = 300, sampling_steps: int = 25,
        widths: Sequence[int] = (8, 16, 32, 64, 128, 128), epochs: int = 10, batch_size: int = 8,
        learning_rate: float = 1e-3, seed: int = 0,
    ) -> None:  # fmt: skip
        if len(widths) != DEPTH + 1:
            raise ModelError(
                f"widths has {len(widths)} numbers, but the U-Net has {DEPTH + 1} sizes"
            )
        self.steps, self.sampling_steps, self.widths = steps, sampling_steps, tuple(widths)
        self.noising = NoiseSchedule("linear", steps)
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.seed = seed

    def prepare(self, atlas: Atlas, rows: SetRows | None = None) -> None:
        """Make the network."""
        self.universe = atlas.universe
        self.shape = image_shape(len(self.universe))
        self.minilm = MiniLM()
        torch.manual_seed(self.seed)
        self.network = self._unet()

    def _unet(self) -> UNet:
        return UNet(3, condition_dim=self.minilm.dim, widths=self.widths)

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
        step = torch.randint(self.steps, (len(images),), device=device)
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
            condition, draw = vectors[part], noise_of(texts[part], (3, *self.shape), self.seed)
            image = noising.sample(
                lambda noisy, step: network(noisy, step, condition),  # noqa: B023
                lambda: draw().to(device),  # noqa: B023
                steps=self.sampling_steps,
                eta=1.0,
            )
            presence = image[:, 0].flatten(1)[:, : len(self.universe)]
            scores[part] = sharpened(presence).sigmoid().cpu().numpy()
        return scores

    def _settings(self) -> dict[str, Any]:
        return {"steps": self.steps, "sampling_steps": self.sampling_steps,
                "widths": list(self.widths), "epochs": self.epochs, "batch_size": self.batch_size,
                "learning_rate": self.learning_rate, "seed": self.seed}  # fmt: skip

    def _save(self, folder: Path) -> Arrays:
        self.minilm.save(folder / "minilm")
        return {"shape": np.array(self.shape), **self._network_arrays()}

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        self = cls(**settings)
        minilm = load_text_encoder(folder / "minilm")
        assert isinstance(minilm, MiniLM)
        self.minilm = minilm
        height, width = arrays["shape"].tolist()
        self.shape = (height, width)
        self.network = self._unet().eval()
        self.network.load_state_dict(cls._network_state(arrays))
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


class Diffusion(MemoryGenerator):
    """Diffusion, better: over the low-rank code of a region set instead of over its pixels.

    Cosine schedule, prediction of the clean code with an error weighed by what each dimension
    means for presence, classifier-free guidance, DDIM sampling. The condition is what the text
    reads from the memory of described sets. A score is that of the mean of several samples.

    Parameters
    ----------
    steps, sampling_steps
        Time steps, and how many of them sampling visits.
    guidance
        1: as trained; larger: further from what is common to all texts (Ho and Salimans 2022).
    samples
        Samples whose mean is the answer.
    hidden
        Width of the denoising network.
    **settings
        Those of `MemoryGenerator`.
    """

    kind = "diffusion"

    network: Denoiser
    _projection: Tensor  # (rank, rank), from sums of factors to codes
    _squares: Tensor  # (rank,), of the factors
    _usual: Tensor  # (rank,)
    _known: Tensor  # (sets, rank), of the training sets

    def __init__(
        self, *, steps: int = 1000, sampling_steps: int = 25, guidance: float = 1.0,
        samples: int = 16, hidden: int = 256, **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(**settings)
        self.steps, self.sampling_steps = steps, sampling_steps
        self.guidance, self.samples, self.hidden = guidance, samples, hidden
        self.noising = NoiseSchedule("cosine", steps)

    def _network(self, memory: TextMemory) -> Denoiser:
        scale = spread(memory.attention.codes)
        return Denoiser(memory, heads=2 * self.heads + 1, scale=scale, hidden=self.hidden)

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
        step = torch.randint(self.steps, (len(clean),)).to(device)
        noise = torch.randn(clean.shape).to(device)
        noisy = self.noising.to(device).noised(clean, step, noise)
        predicted: Tensor = self.network(noisy, step, told.masked_fill(blank, 0))
        weight = scale**2 * self._squares.to(device)
        return ((predicted - clean).square() * (weight / weight.mean())).mean()

    @torch.inference_mode()
    def codes(self, texts: Sequence[str]) -> Tensor:
        """Mean of the sampled codes of each text: (texts, 1, rank)."""
        told = super().codes(texts)[:, :-1] / self.network.scale
        told = told.repeat_interleave(self.samples, 0)
        noising = self.noising.to(self.device)

        def predicted_noise(noisy: Tensor, step: Tensor) -> Tensor:
            clean: Tensor = self.network(noisy, step, told)
            if self.guidance != 1:
                plain = self.network(noisy, step, torch.zeros_like(told))
                clean = plain + self.guidance * (clean - plain)
            signal = noising.signal[step][:, None]
            return (noisy - signal.sqrt() * clean) / (1 - signal).sqrt()

        draw = noise_of(texts, (self.samples, len(self.network.scale)), self.seed)
        drawn = noising.sample(
            predicted_noise,
            lambda: draw().flatten(0, 1).to(self.device),
            steps=self.sampling_steps,
            eta=0.0,
        )
        mean = drawn.view(len(texts), self.samples, -1).mean(1) * self.network.scale
        return mean[:, None]

    @torch.inference_mode()
    def top(self, text: str, n: int) -> tuple[Ids, Scores]:
        """Ids and scores of the `n` best regions, best first."""
        with one_thread():
            code = self.codes([text])[0, 0].cpu().numpy()
        presence = self.factors.numpy() @ code + self.share  # by numpy: see `direct`
        ids = best(presence, n)
        return ids, sharpened(torch.from_numpy(presence[ids])).sigmoid().numpy()

    def _settings(self) -> dict[str, Any]:
        own = ("steps", "sampling_steps", "guidance", "samples", "hidden")
        return {**{name: getattr(self, name) for name in own}, **super()._settings()}
