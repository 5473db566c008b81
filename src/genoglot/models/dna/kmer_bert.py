"""k-mer BERT, as DNABERT: overlapping k-mers, BERT's embeddings and BERT's encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.hub import local_folder
from genoglot.models.dna.lengths import check_maximum
from genoglot.models.dna.sequence_encoder import Encoding, SequenceEncoder
from genoglot.nn.checkpoint import load_weights, read_checkpoint
from genoglot.nn.seed import torch_seed
from genoglot.saved import is_saved
from genoglot.sequence import DnaTokenizer, KmerTokenizer
from genoglot.settings import Settings
from genoglot.training.examples import Batch

DNABERT_ORDER = "ATCG"
"""Order of the letters in DNABERT's vocabulary."""

SPECIAL = 2
"""Number of special tokens of a sequence, [CLS] and [SEP]; a second segment has one more [SEP]."""

_OTHER_WEIGHTS = ("pooler.", "cls.", "classifier.", "embeddings.position_ids")


class KmerBertSettings(Settings):
    """Settings of a `KmerBert`; the defaults are those of BERT-base and, but for one, DNABERT.

    Attributes
    ----------
    dim
        Width of the vectors of tokens and of sequences.
    heads
        Number of attention heads, which divides `dim`.
    layers
        Number of attention layers.
    feed_forward
        Width of the hidden layer of the feed-forward networks.
    max_length
        Maximum number of tokens, [CLS] and [SEP] included.
    pooling
        The vector of a sequence is that of its [CLS] token, `"cls"`, or the mean of its k-mers.
    dropout
        Dropout rate of tokens.
    attention_dropout
        Dropout rate of attention weights, 0.1 in DNABERT. Without it, torch's fused kernels make a
        training step on a CPU three times as fast.
    seed
        Random seed of the weights.
    """

    dim: int = Field(768, ge=4)
    heads: int = Field(12, ge=1)
    layers: int = Field(12, ge=1)
    feed_forward: int = Field(3072, ge=1)
    max_length: int = Field(512, ge=4)
    pooling: Literal["cls", "mean"] = "cls"
    dropout: float = Field(0.1, ge=0, lt=1)
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    seed: int = Field(0, ge=0)


SIZES: dict[str, dict[str, Any]] = {
    "base": {},
    "small": {"dim": 128, "heads": 4, "layers": 2, "feed_forward": 512},
    "tiny": {"dim": 32, "heads": 2, "layers": 1, "feed_forward": 64},
}
"""Settings of each size: BERT-base, as DNABERT is; one for a few CPU cores; one for tests."""


class KmerBert(SequenceEncoder):
    """BERT (Devlin et al. 2019) on overlapping k-mers, as DNABERT (Ji et al. 2021).

    The vectors of the k-mer, of its segment and of its position are added up. The sequence is
    `[CLS] k-mers [SEP]`; a batch may have a second segment: `[CLS] k-mers [SEP] k-mers [SEP]`.
    The network is `transformers.BertModel`, with the fused attention of torch.

    There is a vector for each k-mer, so that n bases have n - k + 1 tokens; `token_of_base` says
    which one belongs to a base.

    Parameters
    ----------
    tokenizer
        k-mers, by default 6-mers in the order of DNABERT's vocabulary.
    **settings
        Fields of `KmerBertSettings`; the others have their defaults.

    Raises
    ------
    ModelError
        If a setting is unknown, the tokenizer has no k-mers, or `dim` cannot be divided among the
        heads.

    Examples
    --------
    >>> from genoglot.sequence import stack_codes
    >>> encoder = KmerBert.from_size("tiny", k=3)
    >>> codes, lengths = stack_codes(["ACGTACGT", "ACGT"])
    >>> encoder.embed(codes, lengths).shape
    (2, 32)
    >>> encoder.embed_tokens(codes, lengths)[0].shape
    (2, 6, 32)
    """

    model_type = "kmer-bert"
    settings_class = KmerBertSettings
    settings: KmerBertSettings
    tokenizer: KmerTokenizer
    length_setting = "max_length"

    def __init__(self, tokenizer: DnaTokenizer | None = None, **settings: Any) -> None:
        from transformers import BertConfig, BertModel

        if tokenizer is None:
            tokenizer = KmerTokenizer(6, order=DNABERT_ORDER)
        if not isinstance(tokenizer, KmerTokenizer):
            raise ModelError(f"kmer-bert reads k-mers, not those of a {type(tokenizer).__name__}")
        super().__init__(tokenizer, **settings)
        s = self.settings
        if s.dim % s.heads:
            raise ModelError(f"dim {s.dim} is not a multiple of the {s.heads} heads; change one")
        self.dim = self.token_dim = s.dim
        self.max_tokens = s.max_length - SPECIAL
        config = BertConfig(
            vocab_size=tokenizer.vocab_size, hidden_size=s.dim, num_hidden_layers=s.layers,
            num_attention_heads=s.heads, intermediate_size=s.feed_forward,
            max_position_embeddings=s.max_length, hidden_dropout_prob=s.dropout,
            attention_probs_dropout_prob=s.attention_dropout,
        )  # fmt: skip
        with torch_seed(s.seed):
            self.bert = BertModel(config, add_pooling_layer=False)

    @classmethod
    def from_size(cls, size: str = "base", *, k: int = 6, **settings: Any) -> Self:
        """Make a new encoder of a size in `SIZES`.

        Parameters
        ----------
        size
            `"base"` (BERT-base, as DNABERT), `"small"` or `"tiny"`.
        k
            Number of bases of a token; DNABERT has 3 to 6.
        **settings
            Fields of `KmerBertSettings`; the others have the values of the size.

        Raises
        ------
        ModelError
            If there is no such size, or a setting is unknown or not valid.
        """
        if size not in SIZES:
            raise ModelError(f"no size {size!r}; choose from {', '.join(SIZES)}")
        return cls(KmerTokenizer(k, order=DNABERT_ORDER), **{**SIZES[size], **settings})

    @classmethod
    def from_dnabert(cls, path: str | Path, **settings: Any) -> Self:
        """Load the weights of DNABERT, or of another BERT of k-mers in the same format.

        Its heads and its pooling layer are left out. Pickled objects are never loaded.

        Parameters
        ----------
        path
            A folder with `config.json`, `vocab.txt` and `pytorch_model.bin` or `model.safetensors`,
            or the name of such a repository on the Hugging Face hub.
        **settings
            `pooling`, `dropout`, `attention_dropout` or `seed`; the others are those of the
            checkpoint.

        Returns
        -------
        KmerBert
            The encoder, in evaluation mode.

        Raises
        ------
        ModelError
            If a file is missing or damaged, or holds another model.
        SequenceError
            If the vocabulary is not that of all k-mers, in order.
        """
        folder, config, tensors = read_checkpoint(path)
        if not (folder / "vocab.txt").is_file():
            raise ModelError(f"{path}: no vocab.txt here; download all files of DNABERT")
        tokenizer = KmerTokenizer.from_file(folder / "vocab.txt")
        try:
            read = {
                "dim": config["hidden_size"],
                "heads": config["num_attention_heads"],
                "layers": config["num_hidden_layers"],
                "feed_forward": config["intermediate_size"],
                "max_length": config["max_position_embeddings"],
                "dropout": config.get("hidden_dropout_prob", 0.1),
                "attention_dropout": config.get("attention_probs_dropout_prob", 0.1),
            }
        except KeyError as missing:
            raise ModelError(f"{path}: config.json is not BERT's, it has no {missing}") from None
        if config.get("hidden_act", "gelu") != "gelu":
            raise ModelError(f"{path}: has the activation {config['hidden_act']}, not BERT's gelu")
        if config.get("layer_norm_eps", 1e-12) != 1e-12:
            raise ModelError(
                f"{path}: has layer_norm_eps {config['layer_norm_eps']}, not BERT's 1e-12"
            )
        encoder = cls(tokenizer, **{**read, **settings})
        load_weights(encoder.bert, tensors, prefix="bert.", ignored=_OTHER_WEIGHTS, what=path)
        return encoder.eval()

    @property
    def token_table(self) -> Tensor:
        """Vectors of the tokens, (tokens of the vocabulary, dim)."""
        return self.bert.embeddings.word_embeddings.weight

    def forward(self, batch: Batch) -> Encoding:
        """Encode a batch from `tokenize`.

        Parameters
        ----------
        batch
            As `tokenize` makes it. It may have `second`, ids of the k-mers of a second segment,
            int64 (batch, tokens); then neither segment has padding. The vectors of tokens are those
            of the k-mers of both segments, without special tokens.
        """
        ids, mask, second = batch["inputs"], batch.get("mask"), batch.get("second")
        t = self.tokenizer
        n = ids.shape[1]
        parts = [ids] if second is None else [ids, ids.new_full((len(ids), 1), t.sep_token_id)]
        parts += [] if second is None else [second]
        full = F.pad(torch.cat(parts, 1), (1, 1), value=t.sep_token_id)
        full[:, 0] = t.cls_token_id
        length = full.shape[1]
        check_maximum(length, self.settings.max_length, unit="tokens", setting="max_length")
        present = None
        if mask is not None:  # [SEP] follows the last token that is present
            full.scatter_(1, mask.sum(1, keepdim=True) + 1, t.sep_token_id)
            present = F.pad(mask, (2, 0), value=True)
        segments = torch.arange(length, device=ids.device) > n + 1
        hidden = self.bert(
            input_ids=full, attention_mask=present,
            token_type_ids=(segments & (second is not None)).long().expand_as(full),
        ).last_hidden_state  # fmt: skip
        tokens = hidden[:, 1:-1]
        if second is not None:
            tokens = torch.cat([tokens[:, :n], tokens[:, n + 1 :]], 1)
        if self.settings.pooling == "cls":
            return Encoding(hidden[:, 0], tokens, mask)
        weight = tokens.new_ones(tokens.shape[:2]) if mask is None else mask.to(tokens.dtype)
        mean = (tokens * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp(min=1)
        return Encoding(mean, tokens, mask)


def load_kmer_bert(path: str | Path) -> KmerBert:
    """Load the k-mer BERT of a saved model, or the weights of DNABERT.

    Parameters
    ----------
    path
        Folder or hub id of a saved `KmerBert`, of a model with one (a `GeneBert`, a
        `SequenceModel`), or of DNABERT.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    patterns = ["*.json", "*.safetensors", "*.txt", "pytorch_model.bin"]
    folder = local_folder(path, what="k-mer BERT", patterns=patterns, cached=True)
    encoder: Any = (
        SequenceEncoder.from_pretrained(folder)
        if is_saved(folder)
        else KmerBert.from_dnabert(folder)
    )
    if not isinstance(encoder, KmerBert):
        raise ModelError(f"{path}: holds a {type(encoder).__name__}, not a k-mer BERT")
    return encoder
