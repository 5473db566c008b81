"""From a matrix of motif scores, regions x motifs, to a vector: vision transformers, or patches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.nn.checkpoint import load_weights, read_checkpoint, refuse_other_weights
from genoglot.nn.encoder import Encoded, Encoder
from genoglot.nn.seed import torch_seed
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.nn.t2t_vit import T2TViT
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings

Backbone = Literal[
    "patches",
    "swin-t", "swin-s", "swin-b",
    "vit-b", "vit-l",
    "deit-s", "deit-b",
    "t2t-vit-14", "t2t-vit-24",
]  # fmt: skip
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)


class Shape(NamedTuple):
    """Published size of a backbone.

    Attributes
    ----------
    dim
        Width of a token; of Swin: in the first stage.
    layers, heads
        Number of layers and of attention heads; of Swin: in each stage.
    """

    dim: int
    layers: tuple[int, ...]
    heads: tuple[int, ...]


SHAPES: dict[str, Shape] = {
    "patches": Shape(256, (4,), (8,)),
    "swin-t": Shape(96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "swin-s": Shape(96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "swin-b": Shape(128, (2, 2, 18, 2), (4, 8, 16, 32)),
    "vit-b": Shape(768, (12,), (12,)),
    "vit-l": Shape(1024, (24,), (16,)),
    "deit-s": Shape(384, (12,), (6,)),
    "deit-b": Shape(768, (12,), (12,)),
    "t2t-vit-14": Shape(384, (14,), (6,)),
    "t2t-vit-24": Shape(512, (24,), (8,)),
}

_OTHER_WEIGHTS = ("classifier", "pooler", "head.", "pos_embed", "relative_position_index")


class MotifMatrixSettings(Settings):
    """Settings of a `MotifMatrixEncoder`.

    Attributes
    ----------
    backbone
        `"patches"`; Swin (Liu et al. 2021), ViT (Dosovitskiy et al. 2021), DeiT (Touvron et al.
        2021) or T2T-ViT (Yuan et al. 2021).
    n_regions
        Number of regions, the rows of a matrix.
    image
        How the matrix becomes an image, see `MotifMatrixEncoder`; `"patches"` needs none.
    image_size
        Height and width of the image in pixels.
    family_size
        With `"patches"`: minimum number of motifs of a group. Smaller families share a group.
    dim, layers, heads
        Size of the backbone: width, and number of layers and of heads, a list with a number for
        each stage. By default the published size, see `SHAPES`.
    dropout
        Dropout rate; of Swin and T2T-ViT: of whole layers (stochastic depth).
    seed
        Random seed of the weights.
    """

    backbone: Backbone = "patches"
    n_regions: int = Field(10, ge=1)
    image: Literal["resize", "tile"] = "tile"
    image_size: int = Field(224, ge=16)
    family_size: int = Field(16, ge=1)
    dim: int | None = Field(None, ge=4)
    layers: tuple[PositiveInt, ...] | None = Field(None, min_length=1)
    heads: tuple[PositiveInt, ...] | None = Field(None, min_length=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    seed: int = Field(0, ge=0)


class MotifMatrixEncoder(nn.Module, Pretrained):
    """An encoder of matrices: one row for each region, one column for each motif.

    With the backbone `"patches"`, a token is what one region has of one group of motifs: a family
    of transcription factors, or several small ones. Motif scores of a group become a vector by
    a linear layer of its own, and a transformer reads all tokens. There is no image.

    The other backbones are vision transformers and read an image with three equal channels. With
    `image="resize"`, the matrix is stretched to the size of the image (bilinear, with antialiasing
    where it is shrunk, which mixes neighboring motifs). With `image="tile"` nothing is mixed: the
    columns, sorted by family, are cut into strips that are stacked to an about square image; each
    value becomes a block of equal pixels, as large as the image allows, and the margin is 0.

    Parameters
    ----------
    motifs
        Ids of the motifs.
    families
        Family of each motif.
    **settings
        Fields of `MotifMatrixSettings`; the others have their defaults.

    Attributes
    ----------
    dim
        Width of the vector of a matrix.

    Raises
    ------
    ModelError
        If a setting is unknown or not valid, or the matrix does not fit into the image.

    Examples
    --------
    >>> encoder = MotifMatrixEncoder(["m1", "m2", "m3"], ["E", "E", "F"], dim=16, heads=[2])
    >>> encoder(torch.zeros(5, 10, 3)).shape
    torch.Size([5, 16])
    """

    model_type = "motif-matrix"
    settings_class = MotifMatrixSettings
    settings: MotifMatrixSettings

    def __init__(self, motifs: Sequence[str], families: Sequence[str], **settings: Any) -> None:
        super().__init__()
        Pretrained.__init__(self, **settings)
        if not len(motifs) or len(motifs) != len(families):
            raise ModelError(f"{len(motifs)} motifs with {len(families)} families; give one each")
        self.motifs, self.families = tuple(motifs), tuple(families)
        s, published = self.settings, SHAPES[self.settings.backbone]
        self.shape = Shape(
            s.dim or published.dim, s.layers or published.layers, s.heads or published.heads
        )
        if len(self.shape.layers) != len(self.shape.heads):
            raise ModelError("layers and heads have different numbers of stages; give one each")
        stages = len(self.shape.layers)
        if stages != 1 and not s.backbone.startswith("swin"):
            raise ModelError(f"{s.backbone} has no stages; give one number of layers and of heads")
        with torch_seed(s.seed):
            self.network = self._network()
        self.dim = self.shape.dim * 2 ** (stages - 1)  # Swin doubles it in each stage
        self.tiles: Tiles | None = None
        if s.backbone != "patches" and s.image == "tile":
            self.tiles = Tiles(self.families, s.n_regions, s.image_size)

    def _network(self) -> nn.Module:
        """Make the backbone."""
        s, (dim, layers, heads) = self.settings, self.shape
        if s.backbone == "patches":
            groups = motif_groups(self.families, s.family_size)
            return MotifPatches(
                groups, s.n_regions, dim=dim, layers=layers[0], heads=heads[0], dropout=s.dropout
            )
        if any(dim * 2**i % n for i, n in enumerate(heads)):
            raise ModelError(f"dim {dim} is not a multiple of the heads {heads}; change one")
        if s.image_size % 16 and not s.backbone.startswith("swin"):
            raise ModelError(
                f"{s.backbone} reads images of a multiple of 16 pixels, not of {s.image_size}"
            )
        if s.backbone.startswith("t2t"):
            return T2TViT(
                s.image_size, dim=dim, depth=layers[0], heads=heads[0], drop_path=s.dropout
            )
        if s.backbone.startswith("swin"):
            from transformers import SwinConfig, SwinModel

            # The last stage is a single window: 7 x 7 tokens at 224 pixels, 12 x 12 at 384.
            window = min(max(s.image_size // (4 * 2 ** (len(layers) - 1)), 1), 12)
            return SwinModel(
                SwinConfig(
                    image_size=s.image_size, embed_dim=dim, depths=list(layers),
                    num_heads=list(heads), window_size=window, drop_path_rate=s.dropout,
                )
            )  # fmt: skip
        from transformers import DeiTConfig, DeiTModel, ViTConfig, ViTModel

        size: dict[str, Any] = {
            "image_size": s.image_size, "hidden_size": dim, "num_hidden_layers": layers[0],
            "num_attention_heads": heads[0], "intermediate_size": 4 * dim,
            "hidden_dropout_prob": s.dropout,
        }  # fmt: skip
        if s.backbone.startswith("vit"):
            return ViTModel(ViTConfig(**size), add_pooling_layer=False)
        return DeiTModel(DeiTConfig(**size), add_pooling_layer=False)

    def load_backbone(self, path: str | Path) -> Self:
        """Load published weights of the backbone, such as those of ImageNet, in place.

        Their classifier is left out. The shape has to be that of the settings. DeiT is the one that
        was distilled, with a distillation token, T2T-ViT the one with transformer layers.

        Parameters
        ----------
        path
            A folder with `model.safetensors` or `pytorch_model.bin`, or the name of such a
            repository on the Hugging Face hub, such as `microsoft/swin-tiny-patch4-window7-224`.

        Returns
        -------
        MotifMatrixEncoder
            Itself.

        Raises
        ------
        ModelError
            If there are no weights, those of another model, or the backbone is `"patches"`.
        """
        if self.settings.backbone == "patches":
            raise ModelError("no weights are published for patches; choose a backbone for images")
        folder, _, tensors = read_checkpoint(path)
        if isinstance(self.network, T2TViT):
            load_weights(self.network, tensors, prefix="", ignored=_OTHER_WEIGHTS, what=path)
        else:
            self.network = _load_of_transformers(self.network, folder, path)
        return self

    def make_image(self, matrix: Tensor) -> Tensor:
        """Make the image of a matrix: (batch, regions, motifs) -> (batch, 3, size, size)."""
        size = self.settings.image_size
        if self.tiles is not None:
            image: Tensor = self.tiles(matrix)
        else:
            image = F.interpolate(
                matrix[:, None], (size, size), mode="bilinear", align_corners=False, antialias=True
            )[:, 0]
        return image[:, None].expand(-1, 3, -1, -1)

    def forward(self, matrix: Tensor) -> Tensor:
        """Encode matrices.

        Parameters
        ----------
        matrix
            Standardized motif scores, float32 (batch, regions, motifs).

        Returns
        -------
        Tensor
            (batch, dim): the vector of the class token; of Swin: the mean of all tokens.

        Raises
        ------
        ModelError
            If the matrix has other regions or motifs than the encoder.
        """
        s = self.settings
        self._check_shape(matrix)
        if s.backbone == "patches":
            return cast(Tensor, self.network(matrix))
        image = self.make_image(matrix)
        if s.backbone.startswith("t2t"):
            return cast(Tensor, self.network(image))
        output = self.network(pixel_values=image)
        pooled = s.backbone.startswith("swin")
        return cast(Tensor, output.pooler_output if pooled else output.last_hidden_state[:, 0])

    def embed_regions(self, matrix: Tensor) -> Tensor:
        """Encode each region of matrices, together with the others.

        Parameters
        ----------
        matrix
            Standardized motif scores, float32 (batch, regions, motifs).

        Returns
        -------
        Tensor
            (batch, regions, dim).

        Raises
        ------
        ModelError
            If the backbone is not `"patches"`: an image has no vectors of regions.
        """
        if not isinstance(self.network, MotifPatches):
            raise ModelError(
                f"{self.settings.backbone} has no vectors of regions; take the backbone patches"
            )
        self._check_shape(matrix)
        return self.network.embed_regions(matrix)

    def description(self) -> dict[str, Any]:
        """Return `model_type`, `settings`, and the motifs."""
        names = {"motifs": list(self.motifs), "families": list(self.families)}
        return {**super().description(), **names}

    def _check_shape(self, matrix: Tensor) -> None:
        shape = (self.settings.n_regions, len(self.motifs))
        if matrix.shape[1:] != shape:
            raise ModelError(
                f"a matrix of {tuple(matrix.shape[1:])} regions and motifs, but this model reads "
                f"{shape}; use the data set that it was trained on"
            )

    def _arrays(self) -> Arrays:
        return state_arrays(self)

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        encoder = cls(saved.config["motifs"], saved.config["families"], **saved.settings)
        load_state_arrays(encoder, saved.arrays)
        return encoder.eval()


def _load_of_transformers(network: Any, folder: Path, what: str | Path) -> nn.Module:
    """Load published weights, whose names transformers translates into its present ones."""
    from transformers.utils import logging

    their_logging: Any = logging
    level, bar = their_logging.get_verbosity(), their_logging.is_progress_bar_enabled()
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    pooling = {} if "swin" in network.config.model_type else {"add_pooling_layer": False}
    try:
        loaded, report = type(network).from_pretrained(
            folder, config=network.config, dtype=torch.float32, local_files_only=True,
            ignore_mismatched_sizes=True, output_loading_info=True, **pooling,
        )  # fmt: skip
    finally:
        their_logging.set_verbosity(level)
        if bar:
            their_logging.enable_progress_bar()
    known = {
        name for name in report["unexpected_keys"] if any(part in name for part in _OTHER_WEIGHTS)
    }
    problems = [f"{name} is missing" for name in report["missing_keys"]]
    problems += [f"{name} is unknown" for name in set(report["unexpected_keys"]) - known]
    problems += [
        f"{name} is {tuple(found)}, not {tuple(own)}"
        for name, found, own in report["mismatched_keys"]
    ]
    refuse_other_weights(problems, what)
    return cast(nn.Module, loaded)


class MotifPatches(nn.Module):
    """A transformer over tokens that are one region x one group of motifs each.

    Parameters
    ----------
    groups
        Indices of the motifs of each group.
    n_regions
        Number of regions.
    dim, layers, heads, dropout
        See `genoglot.nn.encoder.Encoder`.
    """

    # A position of the encoder is a region and a group, so that its vector says which they are.

    columns: Tensor
    present: Tensor

    def __init__(
        self,
        groups: list[NDArray[np.int64]],
        n_regions: int,
        *,
        dim: int,
        layers: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        largest = max(map(len, groups))
        columns = np.zeros((len(groups), largest), np.int64)
        present = np.zeros((len(groups), largest), np.float32)
        for i, group in enumerate(groups):
            columns[i, : len(group)], present[i, : len(group)] = group, 1
        self.register_buffer("columns", torch.from_numpy(columns), persistent=False)
        self.register_buffer("present", torch.from_numpy(present), persistent=False)
        self.weight = nn.Parameter(torch.randn(len(groups), largest, dim) * 0.02)
        self.encoder = Encoder(
            dim, heads, layers, positions="absolute", dropout=dropout,
            max_length=len(groups) * n_regions,
        )  # fmt: skip

    def forward(self, matrix: Tensor) -> Tensor:
        """(batch, regions, motifs) -> (batch, dim)."""
        return self._encode(matrix).cls

    def embed_regions(self, matrix: Tensor) -> Tensor:
        """(batch, regions, motifs) -> (batch, regions, dim): means over the groups of motifs."""
        tokens = self._encode(matrix).tokens
        return tokens.view(*matrix.shape[:2], len(self.columns), -1).mean(2)

    def _encode(self, matrix: Tensor) -> Encoded:
        scores = matrix[..., self.columns] * self.present
        tokens = torch.einsum("brgm,gmd->brgd", scores, self.weight)
        return cast(Encoded, self.encoder(tokens.flatten(1, 2)))


class Tiles(nn.Module):
    """A matrix as an image in which every value is a block of pixels, and no value is mixed.

    Parameters
    ----------
    families
        Family of each motif; columns are sorted by it.
    n_regions
        Number of rows.
    size
        Height and width of the image in pixels.

    Raises
    ------
    ModelError
        If the matrix has too many values for the image.
    """

    order: Tensor

    def __init__(self, families: Sequence[str], n_regions: int, size: int) -> None:
        super().__init__()
        n = len(families)
        self.size, self.strips = size, max(round(math.sqrt(n / n_regions)), 1)
        self.columns = -(-n // self.strips)
        self.block = size // max(self.columns, self.strips * n_regions)
        if self.block < 1:
            raise ModelError(
                f"{n_regions} regions x {n} motifs do not fit into {size} x {size} pixels; "
                "take a larger image_size, or image=resize"
            )
        order = torch.from_numpy(np.argsort(np.array(families), kind="stable"))
        self.register_buffer("order", order, persistent=False)

    def forward(self, matrix: Tensor) -> Tensor:
        """(batch, regions, motifs) -> (batch, size, size)."""
        batch, regions, n = matrix.shape
        x = F.pad(matrix[..., self.order], (0, self.strips * self.columns - n))
        x = x.view(batch, regions, self.strips, self.columns).transpose(1, 2).flatten(1, 2)
        x = x.repeat_interleave(self.block, 1).repeat_interleave(self.block, 2)
        return F.pad(x, (0, self.size - x.shape[2], 0, self.size - x.shape[1]))


def motif_groups(families: Sequence[str], smallest: int) -> list[NDArray[np.int64]]:
    """Group motifs by family; families with few motifs share a group with the next such families.

    Parameters
    ----------
    families
        Family of each motif.
    smallest
        Minimum number of motifs of a group; the last one may have fewer.

    Returns
    -------
    list of NDArray
        Indices of the motifs of each group, int64.

    Examples
    --------
    >>> [g.tolist() for g in motif_groups(["ETS", "FOX", "ETS", "SOX", "HOX"], 2)]
    [[0, 2], [1, 4], [3]]
    """
    of_family = {name: np.flatnonzero(np.array(families) == name) for name in sorted({*families})}
    groups = [members for members in of_family.values() if len(members) >= smallest]
    shared: list[NDArray[np.int64]] = []
    for members in of_family.values():
        if len(members) < smallest:
            shared.append(members)
            if sum(map(len, shared)) >= smallest:
                groups.append(np.concatenate(shared))
                shared = []
    return [*groups, np.concatenate(shared)] if shared else groups
