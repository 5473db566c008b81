"""Matrices of motif scores to vectors: images, patches, every backbone, published weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
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


def test_a_tiled_image_has_every_value_once_as_a_block_of_pixels() -> None:
    for families, n_regions, size in ((FAMILIES, 4, 32), (["x"] * 579, 10, 224), (["x"], 3, 16)):
        tiles = Tiles(families, n_regions, size)
        n = len(families)
        matrix = torch.arange(1.0, n_regions * n + 1).view(1, n_regions, n)
        image = tiles(matrix)
        assert image.shape == (1, size, size)
        values, counts = image.unique(return_counts=True)
        assert values[values != 0].tolist() == matrix.flatten().tolist()
        assert (counts[values != 0] == tiles.block**2).all()
        b = tiles.block
        for row, column in ((0, 0), (1, 0)):  # blocks, not pixels here and there
            block = image[0, row * b : (row + 1) * b, column * b : (column + 1) * b]
            assert block.unique().numel() == 1
    # Columns of a family are neighbors.
    image = Tiles(list("BAB"), 1, 16)(torch.tensor([[[10.0, 20.0, 30.0]]]))
    assert [v for v in image[0].flatten().unique_consecutive().tolist() if v][:2] == [20.0, 10.0]
    with pytest.raises(ModelError, match="10 regions x 579 motifs do not fit into 64 x 64"):
        Tiles(["x"] * 579, 10, 64)


def test_a_resized_image_is_the_stretched_matrix() -> None:
    image = small("vit-b", image="resize").make_image(matrices())
    assert image.shape == (3, 3, 32, 32)
    assert torch.equal(image[:, 0], image[:, 1]) and torch.equal(image[:, 0], image[:, 2])
    wide = torch.zeros(1, 4, 23)
    wide[0, 3] = 1.0  # the last region is at the bottom
    image = small("vit-b", image="resize").make_image(wide)[0, 0]
    assert image[0].max() == 0 and image[-1].min() == 1
    constant = small("swin-t", image="resize").make_image(torch.full((1, 4, 23), 2.0))
    torch.testing.assert_close(constant, torch.full_like(constant, 2.0))


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
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(model.config.to_dict()))
    save_file({n: t.clone() for n, t in model.state_dict().items()}, folder / "model.safetensors")
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
    with pytest.raises(ModelError, match="weights of another model") as error:
        small(kind, dim=32).load_backbone(tmp_path / "imagenet")
    assert "\n" not in str(error.value)


def test_weights_of_a_t2t_vit_are_loaded(tmp_path: Path) -> None:
    ours = small("t2t-vit-14", seed=5).eval()
    (tmp_path / "t2t").mkdir()
    state = {n: t.clone() for n, t in ours.network.state_dict().items()}
    state |= {"head.weight": torch.zeros(2, 16), "head.bias": torch.zeros(2)}
    torch.save(state | {"pos_embed": torch.zeros(1, 5, 16)}, tmp_path / "t2t/pytorch_model.bin")
    loaded = small("t2t-vit-14").load_backbone(tmp_path / "t2t").eval()
    assert torch.equal(loaded(matrices()), ours(matrices()))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    for settings, says in (
        ({"backbone": "swin-t", "dim": 10}, "dim 10 is not a multiple of the heads"),
        ({"backbone": "vit-b", "layers": (1, 2), "heads": (1, 2)}, "vit-b has no stages"),
        ({"backbone": "swin-t", "layers": (2, 2)}, "different numbers of stages"),
        ({"backbone": "resnet"}, "backbone: Input should be"),
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
