"""Throughput of a training step of GeneBERT: samples per second, FLOPs, MFU, memory."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.models.dna.masking import Masker
from genoglot.training.examples import Draw
from genoglot.training.schedule import Schedule

PEAK = {"H100": 989e12, "H200": 989e12}
"""Dense bf16 FLOP/s of the SXM cards, of NVIDIA's data sheets."""


def encoder_flops(model: GeneBert, batch_size: int) -> float:
    """FLOPs of the encoder of DNA in a training step, by the usual formula.

    6 P per token, where P are the weights of the layers (4 d^2 of attention, 2 d f of the
    feed-forward network), and 12 T d per token and layer for attention over T tokens; forward is a
    third of it. Embeddings, norms and the output over the vocabulary are not counted.
    """
    s, g = model.encoder.settings, model.settings
    tokens = g.n_regions * (g.region_bases - model.encoder.tokenizer.k + 1) + 3
    weights = s.layers * (4 * s.dim**2 + 2 * s.dim * s.feed_forward)
    return float(batch_size * tokens * (6 * weights + 12 * s.layers * tokens * s.dim))


def measure_speed(
    model: GeneBert, data: GeneBertData, *, device: str, steps: int = 20
) -> dict[str, Any]:
    """Time training steps on batches that are on the device already, and the loader by itself.

    FLOPs of a step are counted by `torch.utils.flop_counter` (matrix products, convolutions and
    attention, forward and backward; a multiply-add is two). MFU is that number over time and the
    card's dense bf16 peak.
    """
    from torch.utils.flop_counter import FlopCounterMode

    s = model.settings
    samples = data.samples("train", None, s.n_regions)
    batches = model.batches(data, samples)
    masker = Masker(model.encoder.tokenizer, rate=s.mask_rate, span=s.span)
    rng = np.random.default_rng(0)

    def load(step: int) -> dict[str, torch.Tensor]:
        rows = rng.integers(len(samples), size=s.batch_size)
        return batches.draw(Draw(rows, 0, step), masker, segments=True, matrix=True)

    load(0)
    begin = time.perf_counter()
    loaded = [load(i) for i in range(4)]
    loader = 4 * s.batch_size / (time.perf_counter() - begin)
    on_gpu = device != "cpu"
    model.to(device).train()
    ready = [{name: t.to(device) for name, t in batch.items()} for batch in loaded]
    optimizer, _ = Schedule(1000, 1e-4, 1, "linear", 0.01).optimizer(model)

    def step(i: int) -> None:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=on_gpu):
            losses = model(ready[i % len(ready)])
            total = sum(loss.weight * loss.mean for loss in losses.values())
        total.backward()  # type: ignore[union-attr]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        step(0)
    for i in range(3):
        step(i)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for i in range(steps):
        if on_gpu:
            torch.cuda.synchronize()
        begin = time.perf_counter()
        step(i)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    seconds = float(np.median(times))
    card = torch.cuda.get_device_name() if on_gpu else "cpu"
    peak = next((value for name, value in PEAK.items() if name in card), None)
    flops = float(counter.get_total_flops())
    return {
        "measure": "speed", "batch_size": s.batch_size, "ms_per_step": 1000 * seconds,
        "samples_per_s": s.batch_size / seconds, "loader_samples_per_s": loader,
        "flops_per_step": flops, "encoder_flops_by_formula": encoder_flops(model, s.batch_size),
        "mfu": flops / seconds / peak if peak else None, "card": card, "steps": steps,
        "memory_gib": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
    }  # fmt: skip
