"""Diffusion: the universe as an image, memorization, guidance and the number of samples."""

from math import isqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genoglot.atlas import Atlas
from genoglot.models import create
from genoglot.models.text_to_regions.diffusion import (
    Diffusion,
    PublishedDiffusion,
    image_shape,
    noise_source,
)
from genoglot.training.examples import Draw


@given(st.integers(1, 200_000))
def test_an_image_holds_the_universe_and_is_hardly_larger(size: int) -> None:
    height, width = image_shape(size)
    assert height <= width <= 2 * height
    assert size <= height * width <= size + 2 * isqrt(size) + 1


def test_the_universe_of_the_paper_has_the_shape_of_its_image() -> None:
    assert image_shape(1_063_878) == (761, 1398)


def test_noise_depends_on_text_and_seed_alone() -> None:
    together, alone = noise_source(["a", "b"], (5,), 1), noise_source(["b"], (5,), 1)
    first = together()
    assert torch.equal(first[1], alone()[0])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(together()[1], alone()[0])
    assert not torch.equal(noise_source(["b"], (5,), 2)()[0], first[1])


def test_the_published_model_reads_the_universe_as_the_first_of_three_channels(
    toy_atlas: Atlas,
) -> None:
    model = create("diffusion-published", widths=(4, 4, 4, 4, 4, 4), epochs=1)
    assert isinstance(model, PublishedDiffusion)
    model.fit(toy_atlas, range(10))
    assert model.shape == (20, 20)
    images = []
    model.network.register_forward_pre_hook(lambda net, args: images.append(args[0]))
    model.noising.signal.fill_(1.0)  # no noise
    batch = model.examples(toy_atlas, [3]).make_batch(Draw(np.arange(1), 0, 0))
    model.loss(batch)
    (image,) = images
    assert image.shape == (1, 3, 20, 20)
    assert np.flatnonzero(image[0, 0]).tolist() == toy_atlas.tokens(3).tolist()
    assert not image[0, 1:].any()


@pytest.mark.slow
def test_the_published_model_memorizes_a_few_sets(toy_atlas: Atlas) -> None:
    widths = (16, 16, 32, 32, 32, 32)
    model = create(
        "diffusion-published",
        widths=widths,
        steps=50,
        epochs=1200,
        batch_size=16,
        learning_rate=2e-3,
    )
    scores = model.fit(toy_atlas, [0, 22] * 8).score(toy_atlas.descriptions([0, 22]))
    for score, ids in zip(scores, toy_atlas.tokens_of([0, 22]), strict=True):
        found = np.argsort(-score)[: len(ids)]
        assert len(np.intersect1d(found, ids)) > 0.95 * len(ids)


@pytest.fixture(scope="module")
def fitted(toy_atlas: Atlas) -> Diffusion:
    model = create("diffusion", rank=40, min_steps=300)
    assert isinstance(model, Diffusion)
    return model.fit(toy_atlas, np.flatnonzero(np.arange(60) % 10 > 1))


def test_more_samples_agree_more(fitted: Diffusion, toy_atlas: Atlas) -> None:
    texts = toy_atlas.descriptions([0, 10])

    def spread(samples: int) -> float:
        seeds = []
        for seed in range(4):
            fitted.settings = settings.model_copy(update={"samples": samples, "seed": seed})
            seeds.append(fitted.score(texts))
        return float(np.std(seeds, 0).mean())

    settings = fitted.settings
    one, many = spread(1), spread(64)
    fitted.settings = settings
    assert 0 < many < one / 3


def test_guidance_moves_away_from_what_is_common(fitted: Diffusion, toy_atlas: Atlas) -> None:
    texts = toy_atlas.descriptions([0, 10, 20, 30])

    def apart(guidance: float) -> float:
        fitted.settings = settings.model_copy(update={"guidance": guidance})
        set_factors = fitted.predict_set_factors(texts)[:, 0]
        return float(torch.cdist(set_factors, set_factors).mean())

    settings = fitted.settings
    plain, guided = apart(1.0), apart(3.0)
    fitted.settings = settings
    assert guided > 1.2 * plain


def test_set_factors_reconstruct_the_sets(fitted: Diffusion, toy_atlas: Atlas) -> None:
    # With rank 40 and 48 training sets, the factors hold nearly all information.
    rows = np.flatnonzero(np.arange(60) % 10 > 1)[:5]
    sums = toy_atlas.presence(rows) @ fitted.region_factors
    set_factors = fitted.fit_set_factors(torch.from_numpy(sums)).numpy()
    presence = set_factors @ fitted.region_factors.T + fitted.frequency
    present = toy_atlas.presence(rows).toarray().astype(bool)
    assert presence[present].mean() > presence[~present].mean() + 0.5
