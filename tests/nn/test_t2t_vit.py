"""T2T-ViT: the published numbers of parameters, and soft splits by hand."""

import pytest
import torch

from genoglot.errors import ModelError
from genoglot.nn.t2t_vit import T2TViT


@pytest.mark.parametrize(
    ("dim", "depth", "heads", "published"), [(384, 14, 6, 21.5e6), (512, 24, 8, 64.1e6)]
)
def test_the_published_number_of_parameters(
    dim: int, depth: int, heads: int, published: float
) -> None:
    with torch.device("meta"):
        model = T2TViT(224, dim=dim, depth=depth, heads=heads, classes=1000)
    count = sum(parameter.numel() for parameter in model.parameters())
    count += (14 * 14 + 1) * dim  # the published code counts its fixed table of positions
    assert abs(count / published - 1) < 0.01


def test_a_soft_split_is_all_pixels_of_overlapping_patches() -> None:
    model = T2TViT(32, dim=16, depth=1, heads=2).tokens_to_token
    seen: list[torch.Tensor] = []
    model.attention1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.attention2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.project.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.randn(2, 3, 32, 32)
    assert model(image).shape == (2, 4, 16)
    assert [tuple(tokens.shape) for tokens in seen] == [(2, 64, 147), (2, 16, 576), (2, 4, 576)]
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2))
    for row, column in ((0, 0), (3, 5), (7, 7)):
        patch = padded[1, :, 4 * row : 4 * row + 7, 4 * column : 4 * column + 7]
        assert torch.equal(seen[0][1, 8 * row + column], patch.flatten())


def test_a_layer_between_splits_is_the_published_one() -> None:
    """Logits are divided by the root of the width of the input; the values are added."""
    layer = T2TViT(32, dim=16, depth=1, heads=2).tokens_to_token.attention1
    x = torch.randn(2, 9, 147)
    queries, keys, values = layer.attn.qkv(layer.norm1(x)).split(64, 2)
    weights = (queries @ keys.transpose(1, 2) / 147**0.5).softmax(2)
    read = values + layer.attn.proj(weights @ values)
    expected = read + layer.mlp.fc2(torch.nn.functional.gelu(layer.mlp.fc1(layer.norm2(read))))
    torch.testing.assert_close(layer(x), expected)


def test_it_learns_and_every_parameter_has_a_gradient() -> None:
    torch.manual_seed(0)
    model = T2TViT(32, dim=16, depth=2, heads=2, classes=2)
    images, labels = torch.randn(6, 3, 32, 32), torch.tensor([0, 1] * 3)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(images).argmax(1) == labels).all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ModelError, match="a multiple of 16 pixels, not of 40"):
        T2TViT(40)
