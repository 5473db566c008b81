"""Noise schedules and samplers, against what they are defined by."""

import pytest
import torch

from genoglot.nn.diffusion import NoiseSchedule, ScheduleKind, time_features


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [50, 300, 1000])
def test_signal_falls_from_nearly_all_to_nearly_none(kind: ScheduleKind, steps: int) -> None:
    signal = NoiseSchedule(kind, steps).signal
    assert signal.shape == (steps,)
    assert signal[0] > 0.97 and signal[-1] < 0.01
    assert (signal.diff() < 0).all()


def test_linear_schedule_is_that_of_ho_et_al() -> None:
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    expected = (1 - beta).cumprod(0).float()
    torch.testing.assert_close(NoiseSchedule("linear", 1000).signal, expected, rtol=1e-5, atol=0)


def test_noising_in_one_go_is_noising_step_by_step() -> None:
    schedule = NoiseSchedule("linear", 20)
    generator = torch.Generator().manual_seed(0)
    samples = torch.full((200_000,), 3.0)
    before = torch.ones(())
    for signal in schedule.signal[:10]:
        kept = signal / before
        noise = torch.randn(samples.shape, generator=generator)
        samples = kept.sqrt() * samples + (1 - kept).sqrt() * noise
        before = signal
    noise = torch.randn(200_000, generator=generator)
    at_once = schedule.noised(torch.full((200_000,), 3.0), torch.full((200_000,), 9), noise)
    assert samples.mean().item() == pytest.approx(at_once.mean().item(), abs=0.02)
    assert samples.std().item() == pytest.approx(at_once.std().item(), abs=0.02)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [10, 100])
def test_sampling_with_the_true_noise_gives_the_true_distribution(eta: float, steps: int) -> None:
    # Samples are normal with mean 2 and deviation 0.5; the best prediction of noise is known then.
    schedule = NoiseSchedule("cosine", 400)
    generator = torch.Generator().manual_seed(0)

    def predicted_noise(noisy: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        signal = schedule.signal[step]
        return (1 - signal).sqrt() * (noisy - signal.sqrt() * 2) / (signal * 0.25 + 1 - signal)

    drawn = schedule.sample(
        predicted_noise, lambda: torch.randn(20_000, generator=generator), steps=steps, eta=eta
    )
    assert drawn.mean().item() == pytest.approx(2, abs=0.03)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.14 if steps == 10 else 0.03)


def test_strides_visit_first_and_last_once() -> None:
    schedule = NoiseSchedule("cosine", 100)
    assert schedule.strides(100) == list(range(99, -1, -1)) == schedule.strides(1000)
    few = schedule.strides(7)
    assert few[0] == 99 and few[-1] == 0 and len(set(few)) == 7


@pytest.mark.parametrize("dim", [6, 7])
def test_time_steps_are_told_apart(dim: int) -> None:
    features = time_features(torch.arange(1000), dim)
    assert features.shape == (1000, dim)
    assert torch.unique(features, dim=0).shape == (1000, dim)
