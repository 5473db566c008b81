"""U-Net: sizes, what it is told, and what it can learn."""

import pytest
import torch

from genoglot.nn.unet import UNet

SMALL = (4, 4, 8, 8, 16, 16)


@pytest.mark.parametrize("size", [(32, 64), (20, 37), (1, 1), (33, 31)])
@pytest.mark.parametrize("channels", [1, 3])
def test_output_has_the_size_of_the_image(size: tuple[int, int], channels: int) -> None:
    net = UNet(channels, condition_dim=8, widths=SMALL)
    image = torch.randn(2, channels, *size)
    assert net(image, torch.tensor([1, 2]), torch.randn(2, 8)).shape == image.shape


def test_images_shrink_five_times_while_channels_grow() -> None:
    net = UNet(3, condition_dim=8)
    shapes: list[tuple[int, ...]] = []
    for block in [*net.down, net.middle]:
        block.register_forward_hook(lambda _block, _in, out: shapes.append(tuple(out.shape[1:])))
    net(torch.randn(1, 3, 64, 96), torch.tensor([1]), torch.randn(1, 8))
    assert [shape[1:] for shape in shapes] == [(64 >> i, 96 >> i) for i in range(6)]
    channels = [shape[0] for shape in shapes]
    assert channels == sorted(channels) and channels[0] < channels[-1]


def test_images_shrink_by_max_pooling() -> None:
    """As in figure 3 of Fay et al. 2024: no convolution has a stride on the way down."""
    net = UNet(3, condition_dim=8)
    calls = []
    for module in net.modules():
        if isinstance(module, torch.nn.MaxPool2d):
            module.register_forward_hook(lambda _m, given, out: calls.append((given[0], out)))
        if type(module) is torch.nn.Conv2d:
            assert module.stride == (1, 1)
    net(torch.randn(1, 3, 64, 96), torch.tensor([1]), torch.randn(1, 8))
    assert len(calls) == 5
    for image, smaller in calls:
        height, width = image.shape[-2:]
        blocks = image.reshape(*image.shape[:2], height // 2, 2, width // 2, 2)
        torch.testing.assert_close(smaller, blocks.amax((3, 5)))


def test_every_block_is_told_step_and_condition() -> None:
    torch.manual_seed(0)
    net = UNet(1, condition_dim=8, widths=SMALL)
    image, step, condition = torch.randn(1, 1, 32, 32), torch.tensor([5]), torch.randn(1, 8)
    plain = net(image, step, condition)
    assert not torch.allclose(plain, net(image, torch.tensor([50]), condition))
    assert not torch.allclose(plain, net(image, step, -condition))
    plain.sum().backward()
    for block in [*net.down, net.middle, *net.up]:
        assert block.embedding.weight.grad.abs().sum() > 0


def test_one_condition_can_be_told_from_another() -> None:
    torch.manual_seed(0)
    net = UNet(1, condition_dim=2, widths=SMALL)
    target = torch.randn(2, 1, 32, 32).sign()
    condition, step = torch.eye(2), torch.zeros(2, dtype=torch.long)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    image = torch.zeros_like(target) + torch.randn(1, 1, 32, 32)
    for _ in range(120):
        loss = (net(image, step, condition) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5


def test_another_number_of_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="6"):
        UNet(1, condition_dim=2, widths=(4, 8))
