"""Heads: shapes, units and gradients."""

import pytest
import torch

from genoglot.errors import ModelError
from genoglot.models.dna.heads import SequenceHead, TrackHead


def test_tracks_are_linear_in_their_own_token() -> None:
    torch.manual_seed(0)
    head = TrackHead(8, 3, crop=2, softplus=False)
    tokens = torch.randn(2, 10, 8)
    tracks = head(tokens)
    assert tracks.shape == (2, 6, 3)
    torch.testing.assert_close(tracks[:, 0], head.linear(tokens[:, 2]))
    torch.testing.assert_close(tracks[:, -1], head.linear(tokens[:, 7]))


def test_softplus_makes_tracks_positive() -> None:
    torch.manual_seed(0)
    plain, positive = TrackHead(8, 3, softplus=False), TrackHead(8, 3)
    positive.load_state_dict(plain.state_dict())
    tokens = 5 * torch.randn(2, 10, 8)
    assert (plain(tokens) < 0).any() and (positive(tokens) > 0).all()
    torch.testing.assert_close(positive(tokens), plain(tokens).exp().log1p())


def test_gradients_of_tracks_reach_the_weights_and_the_bins_that_are_left() -> None:
    head = TrackHead(8, 3, crop=2)
    tokens = torch.randn(2, 10, 8, requires_grad=True)
    head(tokens).sum().backward()
    assert tokens.grad is not None
    reached = tokens.grad.abs().sum((0, 2)) > 0
    assert reached.tolist() == [False] * 2 + [True] * 6 + [False] * 2
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_crop_of_all_bins_is_refused() -> None:
    with pytest.raises(ModelError, match="4 bins, but 2 are removed at either end"):
        TrackHead(8, 3, crop=2)(torch.zeros(1, 4, 8))


def test_answers_are_probabilities_or_values_in_their_units() -> None:
    logits = torch.tensor([[0.0, 2.0]])
    classes = SequenceHead(4, 2, "multi-class", hidden=4, dropout=0)
    labels = SequenceHead(4, 2, "multi-label", hidden=4, dropout=0)
    values = SequenceHead(4, 2, "regression", hidden=4, dropout=0)
    values.center.fill_(3.0)
    values.scale.fill_(2.0)
    torch.testing.assert_close(classes.answer(logits), logits.softmax(1))
    torch.testing.assert_close(labels.answer(logits), logits.sigmoid())
    assert values.answer(logits).tolist() == [[3.0, 7.0]]
