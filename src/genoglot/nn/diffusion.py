"""Denoising diffusion: noise schedules, noising in closed form, and sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.nn.positions import sinusoids

ScheduleKind = Literal["linear", "cosine"]
Denoiser = Callable[[Tensor, Tensor], Tensor]


class NoiseSchedule(nn.Module):
    """Fraction of the signal that is left after each of the time steps 0 to `steps` - 1.

    Parameters
    ----------
    kind
        `"linear"`: beta rises from 1e-4 to 0.02 in 1,000 steps (Ho et al. 2020), and faster in
        fewer steps. `"cosine"`: Nichol and Dhariwal 2021.
    steps
        Number of time steps.

    Examples
    --------
    >>> schedule = NoiseSchedule("cosine", 100)
    >>> bool(schedule.signal[0] > 0.99), bool(schedule.signal[-1] < 0.01)
    (True, True)
    """

    signal: Tensor  # (steps,) the cumulative product of 1 - beta, "alpha bar"

    def __init__(self, kind: ScheduleKind, steps: int) -> None:
        super().__init__()
        if kind == "linear":
            scale = 1000 / steps
            beta = torch.linspace(scale * 1e-4, min(scale * 0.02, 0.999), steps)
        else:
            at = (torch.linspace(0, 1, steps + 1, dtype=torch.float64) + 0.008) / 1.008
            left = torch.cos(at * math.pi / 2) ** 2
            beta = (1 - left[1:] / left[:-1]).clamp(max=0.999).float()
        self.register_buffer("signal", (1 - beta.double()).cumprod(0).float(), persistent=False)

    def __len__(self) -> int:
        return len(self.signal)

    def noised(self, clean: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """Add noise: sqrt(signal) * clean + sqrt(1 - signal) * noise.

        Parameters
        ----------
        clean, noise
            (batch, ...).
        step
            Time steps, (batch,) int64.

        Returns
        -------
        Tensor
            (batch, ...).
        """
        signal = self.signal[step].view(-1, *[1] * (clean.dim() - 1))
        return signal.sqrt() * clean + (1 - signal).sqrt() * noise

    def strides(self, steps: int) -> list[int]:
        """Choose evenly spaced time steps, at most `steps` of them, in descending order to 0."""
        return torch.linspace(len(self) - 1, 0, min(steps, len(self))).round().long().tolist()

    def sample(
        self,
        predict_noise: Denoiser,
        draw: Callable[[], Tensor],
        *,
        steps: int,
        eta: float,
    ) -> Tensor:
        """Draw samples, starting from noise.

        Parameters
        ----------
        predict_noise
            `predict_noise(noisy, step)`, with step (batch,).
        draw
            Function that returns standard normal noise (batch, ...). It is called at the start,
            and after every step if `eta` is not 0.
        steps
            Number of time steps that are visited.
        eta
            0: DDIM (Song et al. 2021), in which the first noise determines the sample. 1: the
            ancestral sampling of DDPM (Ho et al. 2020), on all steps or on some.

        Returns
        -------
        Tensor
            (batch, ...), the clean samples.
        """
        noisy = clean = draw()
        visited = self.strides(steps)
        for step, after in zip(visited, [*visited[1:], -1], strict=True):
            noise = predict_noise(noisy, torch.full((len(noisy),), step, device=noisy.device))
            signal = self.signal[step]
            clean = (noisy - (1 - signal).sqrt() * noise) / signal.sqrt()
            if after < 0:
                break
            left = self.signal[after]
            spread = eta * ((1 - left) / (1 - signal) * (1 - signal / left)).sqrt()
            noisy = left.sqrt() * clean + (1 - left - spread**2).clamp(min=0).sqrt() * noise
            if eta:
                noisy = noisy + spread * draw()
        return clean


def time_features(step: Tensor, dim: int) -> Tensor:
    """Compute sines and cosines of time steps at geometrically spaced frequencies, (batch, dim).

    Examples
    --------
    >>> time_features(torch.tensor([0, 7]), 6).shape
    torch.Size([2, 6])
    """
    frequencies = torch.exp(torch.linspace(0, -math.log(10_000), dim // 2, device=step.device))
    return F.pad(sinusoids(step.float(), frequencies).flatten(1), (0, dim % 2))
