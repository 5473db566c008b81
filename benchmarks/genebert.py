"""Training steps of GeneBERT beside transformers' BERT and Swin, and images beside patches.

    OMP_NUM_THREADS=1 python benchmarks/genebert.py [--batch 64] [--rounds 2] [--json figures.json]

All sides read the same batches: 10 regions of 50 bp as 6-mers, and their matrix of 579 motif
scores. The encoder of DNA has the size of the preset `small`; the region encoder differs. "by hand"
is `transformers.BertForPreTraining` (`BertModel` with the heads for masked tokens and for the next
segment) with `transformers.SwinModel` on the resized matrix and a symmetric InfoNCE, in a few
lines. A step is: gradients to zero, forward, backward, clipping, AdamW. Sides take turns, in each
round in another order, and each makes one more step in a process of its own, whose peak of memory
is read from /proc (Linux); that of a process which makes the batch and no step is printed too.
Times are medians of CPU time with one thread, which other programs on the machine disturb less than
they do wall time; ratios are those of medians. The loader is timed by itself: its samples per
second beside those of the fastest model.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.atlas.accessibility import Accessibility
from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.models.dna.masking import Masker
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.sequence.motifs import jaspar
from genoglot.training.examples import Draw

N_REGIONS, SPACING = 1000, 600
BY_HAND = "by hand, Swin-T, resized to 224"
SIDES: dict[str, dict[str, Any]] = {
    BY_HAND: {},
    "Swin-T, resized to 224": {"region_backbone": "swin-t", "region_image": "resize"},
    "Swin-T, tiles of 96": {
        "region_backbone": "swin-t", "region_image": "tile", "region_image_size": 96,
    },
    "patches, width 256, 4 layers": {"region_backbone": "patches"},
    "patches, width 128, 2 layers": {},
    "none: without matching": {"matching_weight": 0.0},
}  # fmt: skip
Losses = Callable[[dict[str, Tensor]], Tensor]


class ByHand(nn.Module):
    """BERT and Swin, as one would write it with transformers."""

    def __init__(self, like: GeneBert) -> None:
        super().__init__()
        from transformers import BertConfig, BertForPreTraining, SwinConfig, SwinModel

        s, t = like.encoder.settings, like.encoder.tokenizer
        self.cls, self.sep = t.cls_token_id, t.sep_token_id
        self.bert = BertForPreTraining(
            BertConfig(
                vocab_size=t.vocab_size, hidden_size=s.dim, num_hidden_layers=s.layers,
                num_attention_heads=s.heads, intermediate_size=s.feed_forward,
                max_position_embeddings=s.max_length, hidden_dropout_prob=s.dropout,
                attention_probs_dropout_prob=s.attention_dropout,
            )
        )  # fmt: skip
        self.swin = SwinModel(SwinConfig())  # Swin-T at 224
        self.dna = nn.Linear(s.dim, like.settings.joint_dim)
        self.region = nn.Linear(self.swin.config.hidden_size, like.settings.joint_dim)
        self.scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        one, two, n = batch["inputs"], batch["second"], len(batch["inputs"])
        cls, sep = (one.new_full((n, 1), token) for token in (self.cls, self.sep))
        ids = torch.cat([cls, one, sep, two, sep], 1)
        segment = torch.arange(ids.shape[1]).expand_as(ids) > one.shape[1] + 1
        none = one.new_full((n, 1), -100)
        first, second = batch["targets"].split([one.shape[1], two.shape[1]], 1)
        output = self.bert(
            ids, token_type_ids=segment.long(), output_hidden_states=True,
            labels=torch.cat([none, first, none, second, none], 1),
            next_sentence_label=1 - batch["follows"],
        )  # fmt: skip
        image = F.interpolate(
            batch["matrix"][:, None], (224, 224), mode="bilinear", antialias=True
        ).expand(-1, 3, -1, -1)
        dna = F.normalize(self.dna(output.hidden_states[-1][:, 0]), dim=1)
        region = F.normalize(self.region(self.swin(image).pooler_output), dim=1)
        similarity = self.scale.exp() * dna @ region.T
        own = torch.arange(n)
        matching = F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)
        return output.loss + 0.5 * matching / 2


def make_data(folder: Path) -> GeneBertData:
    """Random DNA with regions of 500 bp, half of them open in each of four cell types."""
    rng = np.random.default_rng(0)
    with (folder / "genome.fa").open("wb") as file:
        for i in range(10):
            letters = np.frombuffer(b"ACGT", np.uint8)[
                rng.integers(0, 4, N_REGIONS // 10 * SPACING)
            ]
            file.write(b">chr%d\n" % i + letters.tobytes() + b"\n")
    start = np.tile(np.arange(N_REGIONS // 10) * SPACING, 10)
    chrom = np.repeat([f"chr{i}" for i in range(10)], N_REGIONS // 10)
    opened = csr_array(rng.random((4, N_REGIONS)) < 0.5)
    source = Accessibility(Regions(chrom, start, start + 500), list("abcd"), opened, "random")
    genome = Genome.open(folder / "genome.fa")
    return GeneBertData.build(folder / "data", source, genome, jaspar(), progress=False)


def make_side(name: str, data: GeneBertData) -> tuple[nn.Module, Losses]:
    """Make a model, and what computes the sum of its losses."""
    model = GeneBert.from_preset("small", data, **SIDES[name])
    if name == BY_HAND:
        torch.manual_seed(0)
        by_hand = ByHand(model).train()
        return by_hand, by_hand

    def losses(batch: dict[str, Tensor]) -> Tensor:
        return torch.stack([loss.weight * loss.mean for loss in model(batch).values()]).sum()

    return model.train(), losses


def loader(data: GeneBertData, batch: int) -> Callable[[int], dict[str, Tensor]]:
    """Return what makes the batch of a step, as the training does."""
    model = GeneBert.from_preset("small", data)
    samples = data.samples("train")
    batches = model.batches(data, samples)
    masker = Masker(model.encoder.tokenizer, rate=0.15)
    rng = np.random.default_rng(0)

    def make(step: int) -> dict[str, Tensor]:
        rows = rng.integers(len(samples), size=batch)
        return dict(batches.draw(Draw(rows, 0, step), masker, segments=True, matrix=True))

    return make


def make_step(model: nn.Module, losses: Losses) -> Callable[[dict[str, Tensor]], float]:
    """Return what makes a step of training and returns its seconds of CPU time."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)

    def step(batch: dict[str, Tensor]) -> float:
        begin = time.process_time()
        optimizer.zero_grad()
        losses(batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return time.process_time() - begin

    return step


def step_alone(folder: Path, name: str | None, batch: int) -> tuple[float, float]:
    """Seconds of a step in this process, and its peak of memory in GiB; None: without a step."""
    torch.set_num_threads(1)
    data = GeneBertData.open(folder)
    made, seconds = loader(data, batch)(0), 0.0
    if name is not None:
        step = make_step(*make_side(name, data))
        step(first_two(made))
        seconds = step(made)
    status = Path("/proc/self/status").read_text()
    return seconds, int(status.split("VmHWM:")[1].split()[0]) / 2**20


def first_two(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a small batch, for the first step, which makes the optimizer's state."""
    return {name: tensor[:2] for name, tensor in batch.items()}


def measure(folder: Path, batch: int, rounds: int) -> dict[str, Any]:
    data = make_data(folder)
    load = loader(data, batch)
    ready, times = load(0), []
    for i in range(10):
        begin = time.process_time()
        load(i)
        times.append(time.process_time() - begin)
    steps, millions = {}, {}
    for name in SIDES:
        model, losses = make_side(name, data)
        millions[name] = sum(p.numel() for p in model.parameters()) / 1e6
        steps[name] = make_step(model, losses)
        steps[name](first_two(ready))
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    for turn in range(rounds):
        for i in range(len(SIDES)):
            name = list(SIDES)[(i + turn) % len(SIDES)]
            seconds[name].append(steps[name](ready))
    del steps
    runs = [(data.path, name, batch) for name in (None, *SIDES)]
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        (_, base), *alone = pool.map(step_alone, *zip(*runs, strict=True))
    for name, (again, _) in zip(SIDES, alone, strict=True):
        seconds[name].append(again)
    return {
        "batch": batch,
        "rounds": rounds,
        "loader samples per s": batch / statistics.median(times),
        "memory without a step, GiB": base,
        "sides": {
            name: {
                "seconds": seconds[name], "median": statistics.median(seconds[name]),
                "million weights": millions[name], "memory, GiB": peak,
            }
            for name, (_, peak) in zip(SIDES, alone, strict=True)
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.batch, arguments.rounds)
    print(f"steps of {found['batch']} samples, 1 thread, CPU time, load before {load:.1f}")
    by_hand = found["sides"][BY_HAND]["median"]
    for name, values in found["sides"].items():
        print(
            f"  {name:32}{values['median']:8.2f} s{values['median'] / by_hand:7.3f} x by hand"
            f"{values['million weights']:7.1f} M weights{values['memory, GiB']:7.2f} GiB"
        )
    print(f"  memory without a step: {found['memory without a step, GiB']:.2f} GiB")
    fastest = min(values["median"] for values in found["sides"].values())
    print(
        f"  loader: {found['loader samples per s']:,.0f} samples per s; the fastest model reads "
        f"{found['batch'] / fastest:,.0f}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
