"""Embeddings against their definitions, base by base."""

import torch

from genoglot.nn.convolution import ConvolutionTower
from genoglot.nn.embedding import OneHotEmbedding, PatchEmbedding, TokenEmbedding


def test_a_patch_sees_three_to_each_side() -> None:
    torch.manual_seed(0)
    embedding = PatchEmbedding(20, 6)
    tokens = torch.randint(0, 20, (1, 9))
    vectors, mask = embedding(tokens)
    assert mask is None
    weight, bias = embedding.convolution.weight, embedding.convolution.bias
    for place in range(9):
        expected = bias.clone()
        for offset in range(-3, 4):
            if 0 <= place + offset < 9:
                row = embedding.table.weight[tokens[0, place + offset]]
                expected = expected + weight[:, :, offset + 3] @ row
        torch.testing.assert_close(vectors[0, place], expected)


def test_a_one_hot_token_is_the_maximum_of_four_convolutions() -> None:
    torch.manual_seed(0)
    embedding = OneHotEmbedding(5)
    values = torch.nn.functional.one_hot(torch.randint(0, 4, (2, 10)), 4).float().transpose(1, 2)
    vectors, _ = embedding(values)
    assert vectors.shape == (2, 3, 5)
    filtered = embedding.convolution(values)
    for token in range(3):
        expected = filtered[:, :, token * 4 : token * 4 + 4].amax(2)
        torch.testing.assert_close(vectors[:, token], expected)


def test_padding_is_left_out_of_a_token() -> None:
    torch.manual_seed(0)
    embedding = OneHotEmbedding(5)
    values = torch.rand(1, 4, 12)
    mask = torch.arange(12)[None] < 6
    vectors, tokens_mask = embedding(values, mask)
    alone, _ = embedding(values[:, :, :6])
    torch.testing.assert_close(vectors[:, :2], alone)
    assert tokens_mask is not None and tokens_mask.tolist() == [[True, True, False]]


def test_a_token_has_a_vector() -> None:
    embedding = TokenEmbedding(7, 3)
    vectors, _ = embedding(torch.tensor([[3, 3, 6]]))
    assert torch.equal(vectors[0, 0], vectors[0, 1])
    assert torch.equal(vectors[0, 2], embedding.table.weight[6])


def test_a_tower_with_padding_is_that_of_the_sequence_alone() -> None:
    torch.manual_seed(0)
    tower = ConvolutionTower([6, 8], kernel=8, pool=4, dropout=0.0)
    x = torch.rand(1, 4, 70)
    padded, mask = tower(x, torch.arange(70)[None] < 37)
    alone, _ = tower(x[:, :, :37])
    assert mask is not None and int(mask.sum()) == alone.shape[2] == tower.length_after(37)
    torch.testing.assert_close(padded[:, :, : alone.shape[2]], alone)
