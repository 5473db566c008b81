"""The networks of `MiniLM`.

MiniLM itself uses only torch: a query on the command line takes about 1.6 s, 1.2 s for importing
torch. With transformers it takes 4 s and with sentence-transformers 5 s, nearly all for imports (2
cores, torch 2.13, transformers 5.23, sentence-transformers 6.2). The embeddings are equal to 1e-6.
Other models are run by sentence-transformers, which knows the pooling of each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.text.wordpiece import WordPiece, pad_ids

if TYPE_CHECKING:
    import torch

# Name of a part of a layer in torch: its name in the weights of a BERT
_LAYER_PARTS = {
    "self_attn.out_proj": "attention.output.dense",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm1": "attention.output.LayerNorm",
    "norm2": "output.LayerNorm",
}


class BundledMiniLM:
    """all-MiniLM-L6-v2: a BERT of six layers, averaged over tokens, scaled to unit length.

    Parameters
    ----------
    folder
        Folder of its weights, settings and tokenizer, as on the Hugging Face hub.
    device
        Device to run on.
    """

    def __init__(self, folder: Path, device: str) -> None:
        from safetensors.torch import load_file

        config = json.loads((folder / "config.json").read_text())
        self.dim: int = config["hidden_size"]
        self.max_tokens: int = json.loads((folder / "sentence_bert_config.json").read_text())[
            "max_seq_length"
        ]
        self._tokenizer = WordPiece(folder / "tokenizer.json")
        self._device = device
        self._weights = load_file(folder / "model.safetensors", device=device)
        self._layers = _layers(self._weights, config)

    def lengths(self, texts: list[str]) -> list[int]:
        """Count the tokens of each text, including the two special ones, before truncation."""
        return [len(ids) for ids in self._tokenizer.ids(texts)]

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed texts in one pass: float32, shape (n, dim), rows of unit length."""
        import torch
        from torch.nn.functional import normalize

        ids, mask = self._tokens(texts)  # (n, length) each
        with torch.inference_mode():
            hidden = self._layers(self._embedded(ids), src_key_padding_mask=~mask)
            total = (hidden * mask.unsqueeze(-1)).sum(1)  # has the direction of the mean
            unit: NDArray[np.float32] = normalize(total).float().cpu().numpy()
        return unit

    def _tokens(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        rows = self._tokenizer.ids(texts)
        ids = torch.from_numpy(pad_ids(rows, self.max_tokens))
        mask = torch.arange(ids.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
        return ids.to(self._device), mask.to(self._device)

    def _embedded(self, ids: torch.Tensor) -> torch.Tensor:
        """Sum of word, position and segment embeddings, normalized, shape (n, length, dim)."""
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
    """Build the layers of a BERT as a transformer encoder of torch, which is equivalent."""
    import torch

    with torch.device("meta"):  # no memory, no random numbers: the weights are loaded below
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
            for name, theirs in _LAYER_PARTS.items():
                state[f"{to}{name}.{kind}"] = weights[f"{at}{theirs}.{kind}"]
    layers.load_state_dict(state, assign=True)
    return layers.eval()


class LocalSentenceTransformer:
    """Any sentence transformer in a local folder, run by sentence-transformers.

    Parameters
    ----------
    folder
        The model, with safetensors weights.
    device
        Device to run on.

    Raises
    ------
    ModelError
        If there is no such model in the folder.
    """

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
            raise ModelError(f"{folder}: not a sentence transformer ({reason})") from None
        self.max_tokens = int(self._model.max_seq_length or 2**31)
        self.dim = self.embed(["dimension"]).shape[
            1
        ]  # the name of the method depends on the version

    def lengths(self, texts: list[str]) -> list[int]:
        """Count the tokens of each text, including special ones, before truncation."""
        return [len(ids) for ids in self._model.tokenizer(texts, truncation=False)["input_ids"]]

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed texts in one pass: float32, shape (n, dim), rows of unit length."""
        vectors: NDArray[np.float32] = self._model.encode(
            texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return vectors.astype(np.float32)
