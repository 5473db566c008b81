"""Matrices of motif scores to vectors: images, patches, every backbone, published weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from genoglot.errors import ModelError
from genoglot.models.dna.motif_matrix_encoder import (
    BACKBONES,
    MotifMatrixEncoder,
    Tiles,
    motif_groups,
)

MOTIFS = [f"MA{i:04}" for i in range(23)]
FAMILIES = list("CABBACCABDDBACCADBBACDE")
SWIN = {"dim": 8, "layers": (1, 1), "heads": (1, 2)}
FLAT = {"dim": 16, "layers": (2,), "heads": (2,)}


def small(backbone: str, **settings: Any) -> MotifMatrixEncoder:
    """A small encoder that reads images of 32 x 32 pixels."""
    shape = SWIN if backbone.startswith("swin") else FLAT
    given = {**shape, "n_regions": 4, "image_size": 32, "family_size": 4, **settings}
    return MotifMatrixEncoder(MOTIFS, FAMILIES, backbone=backbone, **given)


def matrices(n: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 4, 23, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("image", ["resize", "tile"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_learns_and_has_all_gradients(backbone: str, image: str) -> None:
    encoder = small(backbone, image=image, dropout=0.0)
    x, target = matrices(), torch.eye(3, encoder.dim)
    assert encoder(x).shape == (3, encoder.dim) and encoder(x).dtype == torch.float32
    optimizer = torch.optim.AdamW(encoder.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = (encoder(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_seed_decides_and_saving_changes_nothing(backbone: str, tmp_path: Path) -> None:
    one, same, other = (small(backbone, seed=seed).eval() for seed in (1, 1, 2))
    assert torch.equal(one(matrices()), same(matrices()))
    assert not torch.equal(one(matrices()), other(matrices()))
    one.save_pretrained(tmp_path / "model")
    loaded = MotifMatrixEncoder.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded(matrices()), one(matrices()))
    assert (loaded.motifs, loaded.families) == (tuple(MOTIFS), tuple(FAMILIES))


@pytest.mark.parametrize(
    ("backbone", "millions"),
    [
        ("swin-t", 27.5), ("swin-s", 48.8), ("swin-b", 86.7), ("vit-b", 85.8), ("vit-l", 303.3),
        ("deit-s", 21.7), ("deit-b", 85.8), ("t2t-vit-14", 21.1), ("t2t-vit-24", 63.5),
    ],
)  # fmt: skip
def test_published_sizes_without_their_classifiers(backbone: str, millions: float) -> None:
    with torch.device("meta"):
        model = MotifMatrixEncoder(MOTIFS, FAMILIES, backbone=backbone, image="resize")
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert abs(count / millions - 1) < 0.01


@pytest.mark.parametrize(
    ("families", "n_regions", "size", "strips", "block"),
    [(FAMILIES, 4, 32, 2, 2), (["x"] * 579, 10, 224, 8, 2), (["x"], 3, 16, 1, 5)],
)
def test_every_pixel_of_a_tiled_image(
    families: list[str], n_regions: int, size: int, strips: int, block: int
) -> None:
    """Strips of the sorted columns, one below the other; each value is a block of pixels."""
    n = len(families)
    matrix = np.arange(1.0, n_regions * n + 1).reshape(n_regions, n)
    width = -(-n // strips)
    by_family = sorted(range(n), key=lambda i: (families[i], i))
    expected = np.zeros((size, size))
    for row in range(n_regions):
        for position, motif in enumerate(by_family):
            y = (position // width * n_regions + row) * block
            x = position % width * block
            expected[y : y + block, x : x + block] = matrix[row, motif]
    image = Tiles(families, n_regions, size)(torch.from_numpy(matrix)[None])
    np.testing.assert_array_equal(image[0].numpy(), expected)
    assert set(matrix.flat) == set(expected[expected != 0])  # nothing is cut off


def test_a_matrix_that_is_larger_than_the_image_is_not_tiled() -> None:
    with pytest.raises(ModelError, match="10 regions x 579 motifs do not fit into 64 x 64"):
        Tiles(["x"] * 579, 10, 64)


def stretched(n: int, size: int) -> np.ndarray:
    """Weights of n values in each of `size` pixels: a triangle, wider where n is shrunk."""
    scale = n / size
    distance = np.arange(n) + 0.5 - scale * (np.arange(size)[:, None] + 0.5)
    weights = np.maximum(1 - np.abs(distance) / max(scale, 1), 0)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [16, 32])
def test_every_pixel_of_a_resized_image(size: int) -> None:
    """Bilinear: 4 regions are stretched, 23 motifs are stretched or shrunk."""
    image = small("vit-b", image="resize", image_size=size).make_image(matrices()).numpy()
    expected = stretched(4, size) @ matrices().numpy() @ stretched(23, size).T
    assert image.shape == (3, 3, size, size)
    for channel in range(3):
        np.testing.assert_allclose(image[:, channel], expected, atol=1e-5)


def test_groups_of_motifs_hold_each_motif_once_and_families_together() -> None:
    families = np.random.default_rng(0).choice(list("abcdefghijkl"), 200, p=[0.3, *[0.7 / 11] * 11])
    for smallest in (1, 5, 16, 500):
        groups = motif_groups(list(families), smallest)
        assert sorted(np.concatenate(groups).tolist()) == list(range(200))
        assert all(len(group) >= smallest for group in groups[:-1])
        for name in set(families):
            members = set(np.flatnonzero(families == name).tolist())
            assert sum(bool(members & set(group.tolist())) for group in groups) == 1
    assert len(motif_groups(list(families), 1)) == 12


def test_a_patch_reads_its_region_and_family_alone() -> None:
    network = small("patches", family_size=1, dropout=0.0).network
    seen: list[torch.Tensor] = []
    network.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    x, changed = matrices(1), matrices(1)
    changed[0, 2, FAMILIES.index("D")] += 1
    network(x), network(changed)
    differs = (seen[0] != seen[1]).any(-1)[0].nonzero().flatten().tolist()
    assert seen[0].shape == (1, 4 * 5, 16)
    assert differs == [2 * 5 + sorted(set(FAMILIES)).index("D")]


def checkpoint(kind: str, folder: Path) -> torch.nn.Module:
    """Write a small classifier of images, as it is published; return its backbone."""
    torch.manual_seed(3)
    flat = {
        "image_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64,
    }  # fmt: skip
    model: Any
    if kind == "swin-t":
        config = SwinConfig(
            image_size=32, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
        )
        model = SwinForImageClassification(config)
    elif kind == "vit-b":
        model = ViTForImageClassification(ViTConfig(**flat))
    else:
        model = DeiTForImageClassificationWithTeacher(DeiTConfig(**flat))
    model.save_pretrained(folder)  # with the names of weights that are published
    backbone: torch.nn.Module = getattr(model, kind.partition("-")[0])
    return backbone


@pytest.mark.parametrize("kind", ["swin-t", "vit-b", "deit-s"])
def test_published_weights_are_loaded(kind: str, tmp_path: Path) -> None:
    theirs = checkpoint(kind, tmp_path / "imagenet").eval()
    ours = small(kind).load_backbone(tmp_path / "imagenet").eval()
    image = ours.make_image(matrices())
    with torch.inference_mode():
        output = theirs(pixel_values=image)
        swin = kind == "swin-t"
        expected = output.pooler_output if swin else output.last_hidden_state[:, 0]
        torch.testing.assert_close(ours(matrices()), expected)
    for other, says in (
        (small(kind, dim=32), r"imagenet: weights of another model \(.* is \(.*\), not \("),
        (small("t2t-vit-14"), r"imagenet: weights of another model \(blocks.0.* is missing, and "),
        (small("vit-b" if kind == "swin-t" else "swin-t"), "imagenet: weights of another model"),
    ):
        before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
        with pytest.raises(ModelError, match=says) as error:
            other.load_backbone(tmp_path / "imagenet")
        assert "\n" not in str(error.value)
        assert all(torch.equal(tensor, before[n]) for n, tensor in other.state_dict().items())


def test_weights_of_a_t2t_vit_are_loaded(tmp_path: Path) -> None:
    ours = small("t2t-vit-14", seed=5).eval()
    (tmp_path / "t2t").mkdir()
    state = {n: t.clone() for n, t in ours.network.state_dict().items()}
    state |= {"head.weight": torch.zeros(2, 16), "head.bias": torch.zeros(2)}
    torch.save(state | {"pos_embed": torch.zeros(1, 5, 16)}, tmp_path / "t2t/pytorch_model.bin")
    loaded = small("t2t-vit-14").load_backbone(tmp_path / "t2t").eval()
    assert torch.equal(loaded(matrices()), ours(matrices()))


def test_layers_of_a_t2t_vit_are_called_as_published() -> None:
    names = set(small("t2t-vit-14").network.state_dict())
    of_layers = ("attn.proj.bias", "attn.qkv.weight", "mlp.fc1.bias", "norm1.weight")
    assert {f"blocks.0.{name}" for name in of_layers} < names
    assert {f"tokens_to_token.attention1.{name}" for name in of_layers} < names
    assert {"cls_token", "norm.bias", "tokens_to_token.project.weight"} < names


@pytest.mark.parametrize("backbone", ["patches", "swin-t", "vit-b", "deit-s", "t2t-vit-14"])
def test_dropout_is_of_trainings_only(backbone: str) -> None:
    encoder = small(backbone, dropout=0.5)
    assert torch.equal(encoder.eval()(matrices()), encoder(matrices()))
    encoder.train()
    assert not torch.equal(encoder(matrices()), encoder(matrices()))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    for settings, says in (
        ({"backbone": "swin-t", "dim": 10}, "dim 10 is not a multiple of the heads"),
        ({"backbone": "vit-b", "layers": (1, 2), "heads": (1, 2)}, "vit-b has no stages"),
        ({"backbone": "swin-t", "layers": (2, 2)}, "different numbers of stages"),
        ({"backbone": "resnet"}, "backbone: Input should be"),
        ({"backbone": "t2t-vit-14", "dim": 10, "heads": [3]}, "dim 10 is not a multiple of the"),
        ({"heads": [0]}, "heads.0: Input should be greater than 0"),
        ({"layers": [-1]}, "layers.0: Input should be greater than 0"),
        ({"backbone": "vit-b", "image_size": 40}, "a multiple of 16 pixels, not of 40"),
        ({"backbone": "vit-b", "image_size": 16, "n_regions": 40}, "do not fit into 16 x 16 pix"),
    ):
        with pytest.raises(ModelError, match=says):
            MotifMatrixEncoder(MOTIFS, FAMILIES, **settings)
    with pytest.raises(ModelError, match="23 motifs with 22 families"):
        MotifMatrixEncoder(MOTIFS, FAMILIES[1:])
    with pytest.raises(ModelError, match=r"a matrix of \(4, 22\).*reads \(4, 23\)"):
        small("patches")(torch.zeros(1, 4, 22))
    with pytest.raises(ModelError, match="no weights are published for patches"):
        small("patches").load_backbone(tmp_path)
