"""Training steps per second of the attention encoder beside transformers' BertModel.

    python benchmarks/encoder.py [--device cuda] [--json figures.json]

The same token ids in, all tokens out, a loss of them, one step of AdamW: 4 layers, width 512, 8
heads for both (transformers 5.23 measured, with its default attention, the fused kernels). As many
positions: BertModel's first token is its [CLS], the encoder brings its own. The
gated feed-forward has three quarters of the weights of BERT's; both numbers are printed, and how
the steps compare per weight. Each side takes its turn in one process; medians and the load of the
machine are printed, as a busy one says little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

VOCABULARY, DIM, HEADS, LAYERS = 1029, 512, 8, 4  # 5-mers
Side = tuple[nn.Module, Callable[[Tensor], Tensor]]


def bert(dropout: float, tokens: int) -> Side:
    from transformers import BertConfig, BertModel

    model = BertModel(
        BertConfig(
            vocab_size=VOCABULARY, hidden_size=DIM, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, intermediate_size=4 * DIM, max_position_embeddings=tokens,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
        ),
        add_pooling_layer=False,
    )  # fmt: skip
    return model, lambda ids: model(ids).last_hidden_state


def ours(positions: Any, dropout: float, tokens: int) -> Side:
    from genoglot.nn.embedding import TokenEmbedding
    from genoglot.nn.encoder import Encoder

    embedding = TokenEmbedding(VOCABULARY, DIM)
    encoder = Encoder(DIM, HEADS, LAYERS, positions=positions, dropout=dropout, max_length=tokens)
    return nn.ModuleList([embedding, encoder]), lambda ids: encoder(embedding(ids[:, 1:])[0]).tokens


def measure(
    batch: int, tokens: int, dropout: float, repeats: int, bf16: bool, device: str
) -> dict[str, dict[str, float]]:
    torch.manual_seed(0)
    ids = torch.randint(5, VOCABULARY, (batch, tokens), device=device)
    sides = {"bert": bert(dropout, tokens)}
    for positions in ("rotary", "absolute", "relative"):
        sides[positions] = ours(positions, dropout, tokens)
    for model, _ in sides.values():
        model.to(device)
    optimizers = {k: torch.optim.AdamW(m.parameters(), 1e-4) for k, (m, _) in sides.items()}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(repeats + 1):
        for side, (_, forward) in sides.items():
            begin = time.perf_counter()
            optimizers[side].zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                loss = forward(ids).float().square().mean()
            loss.backward()
            optimizers[side].step()
            if device == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first one makes the optimizer's state
                times[side].append(time.perf_counter() - begin)
    return {
        side: {
            "steps per s": 1 / statistics.median(times[side]),
            "weights": sum(p.numel() for p in model.parameters()),
        }
        for side, (model, _) in sides.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    figures = {}
    for name, dropout, bf16 in (
        ("dropout 0.1", 0.1, False), ("no dropout", 0.0, False), ("dropout 0.1, bf16", 0.1, True),
    ):  # fmt: skip
        load = os.getloadavg()[0]
        found = measure(
            arguments.batch, arguments.tokens, dropout, arguments.repeats, bf16, arguments.device
        )
        figures[name] = found
        print(
            f"{name}: batches of {arguments.batch} x {arguments.tokens} tokens, "
            f"{arguments.threads} threads, load before {load:.1f}"
        )
        for side, values in found.items():
            speed = values["steps per s"] / found["bert"]["steps per s"]
            weights = values["weights"] / found["bert"]["weights"]
            print(
                f"  {side:10}{values['steps per s']:8.3f} steps per s{speed:7.2f} x bert's"
                f"{values['weights'] / 1e6:8.1f} M weights{speed * weights:7.2f} x per weight"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
