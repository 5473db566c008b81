"""The networks behind `MiniLM`.

MiniLM itself is put together from torch alone: a query from the command line answers in about
1.6 s, of which 1.2 s are torch's import. By transformers it takes 4 s and by
sentence-transformers 5 s, nearly all of it spent on imports (2 cores, torch 2.13,
transformers 5.23, sentence-transformers 6.2). The numbers are the same to 1e-6. Any other model
goes through sentence-transformers, which knows how each one pools.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError

if TYPE_CHECKING:
    import torch

# torch's name of a part of a layer -> its name in the weights of a BERT
LAYER_PARTS = {
    "self_attn.out_proj": "attention.output.dense",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm1": "attention.output.LayerNorm",
    "norm2": "output.LayerNorm",
}


class BundledMiniLM:
    """all-MiniLM-L6-v2: a six-layer BERT, the mean over tokens, unit length.

    Parameters
    ----------
    folder
        Its weights, settings and tokenizer, as on the Hugging Face hub.
    device
        A torch device.
    """

    def __init__(self, folder: Path, device: str) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        config = json.loads((folder / "config.json").read_text())
        self.dim: int = config["hidden_size"]
        self.max_tokens: int = json.loads((folder / "sentence_bert_config.json").read_text())[
            "max_seq_length"
        ]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._device = device
        self._weights = load_file(folder / "model.safetensors", device=device)
        self._layers = _layers(self._weights, config)

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text, the two special ones included, before truncation."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts)]

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed texts in one pass: (n, dim) float32, rows of unit length."""
        import torch
        from torch.nn.functional import normalize

        ids, mask = self._tokens(texts)  # (n, length) each
        with torch.inference_mode():
            hidden = self._layers(self._embedded(ids), src_key_padding_mask=~mask)
            total = (hidden * mask.unsqueeze(-1)).sum(1)  # the mean's direction is the sum's
            unit: NDArray[np.float32] = normalize(total).float().cpu().numpy()
        return unit

    def _tokens(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        most = self.max_tokens
        tokens = [t if len(t) <= most else [*t[: most - 1], t[-1]] for t in tokens]  # keeps [SEP]
        length = max(map(len, tokens))
        ids = torch.zeros((len(texts), length), dtype=torch.long)
        mask = torch.zeros((len(texts), length), dtype=torch.bool)
        for row, text_tokens in enumerate(tokens):
            ids[row, : len(text_tokens)] = torch.tensor(text_tokens)
            mask[row, : len(text_tokens)] = True
        return ids.to(self._device), mask.to(self._device)

    def _embedded(self, ids: torch.Tensor) -> torch.Tensor:
        """Word, position and segment embeddings, added and normalized: (n, length, dim)."""
        from torch.nn.functional import layer_norm

        tables = {
            name: self._weights[f"embeddings.{name}_embeddings.weight"]
            for name in ("word", "position", "token_type")
        }
        total = tables["word"][ids] + tables["position"][: ids.shape[1]] + tables["token_type"][0]
        norm = "embeddings.LayerNorm"
        scale, shift = self._weights[f"{norm}.weight"], self._weights[f"{norm}.bias"]
        return layer_norm(total, (self.dim,), scale, shift, 1e-12)


def _layers(weights: dict[str, torch.Tensor], config: dict[str, int]) -> torch.nn.Module:
    """Build a BERT's layers as torch's own transformer encoder, which computes the same."""
    import torch

    with torch.device("meta"):  # no memory, no random numbers: the weights are put in below
        layer = torch.nn.TransformerEncoderLayer(
            config["hidden_size"],
            config["num_attention_heads"],
            config["intermediate_size"],
            activation="gelu",
            layer_norm_eps=1e-12,
            batch_first=True,
        )
        layers = torch.nn.TransformerEncoder(
            layer, config["num_hidden_layers"], enable_nested_tensor=False
        )
    state = {}
    for i in range(config["num_hidden_layers"]):
        to, at = f"layers.{i}.", f"encoder.layer.{i}."
        for kind in ("weight", "bias"):
            state[f"{to}self_attn.in_proj_{kind}"] = torch.cat(
                [weights[f"{at}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            )
            for name, theirs in LAYER_PARTS.items():
                state[f"{to}{name}.{kind}"] = weights[f"{at}{theirs}.{kind}"]
    layers.load_state_dict(state, assign=True)
    return layers.eval()


class OtherSentenceTransformer:
    """Any sentence transformer in a local folder, by sentence-transformers."""

    def __init__(self, folder: Path, device: str) -> None:
        from sentence_transformers import SentenceTransformer

        try:
            self._model = SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{folder}: no sentence transformer ({reason})") from None
        self.max_tokens = int(self._model.max_seq_length or 2**31)
        self.dim = self.embed(["dimension"]).shape[1]  # the method's name differs by version

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text, special ones included, before truncation."""
        return [len(ids) for ids in self._model.tokenizer(texts, truncation=False)["input_ids"]]

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed texts in one pass: (n, dim) float32, rows of unit length."""
        vectors: NDArray[np.float32] = self._model.encode(
            texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return vectors.astype(np.float32)
