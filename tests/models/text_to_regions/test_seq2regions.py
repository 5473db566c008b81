"""Seq2regions: the sampled softmax, the order of a set, and decoding."""

from pathlib import Path

import numpy as np
import pytest
import torch

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models import create, load
from genoglot.models.text_to_regions.network_generator import NetworkGenerator, region_ids
from genoglot.models.text_to_regions.seq2regions_published import (
    PublishedTransformer,
    sample_regions,
)
from genoglot.models.text_to_regions.set_decoder import SetDecoder
from genoglot.training.examples import Batch

PUBLISHED = {
    "dim": 32,
    "heads": 2,
    "layers": 1,
    "rank": 16,
    "set_tokens": 64,
    "learning_rate": 2e-3,
}
IMPROVED = {"rank": 40, "min_steps": 150, "regions_per_step": 400, "dim": 32, "set_tokens": 16}
TEXT = "CTCF ChIP-seq in human liver"


@pytest.fixture(scope="module", params=["seq2regions", "seq2regions-published"])
def fitted(request: pytest.FixtureRequest, toy_atlas: Atlas) -> SetDecoder:
    settings = IMPROVED if request.param == "seq2regions" else {**PUBLISHED, "epochs": 20}
    model = create(request.param, **settings).fit(toy_atlas)
    assert isinstance(model, SetDecoder)
    return model


def test_regions_are_sampled_without_repeats_and_padded() -> None:
    torch.manual_seed(0)
    sets = [np.arange(10, 30, dtype=np.int32), np.array([3, 5], np.int32), np.array([], np.int32)]
    sample = sample_regions(sets, 8)
    assert sample.shape == (3, 8)
    assert len(set(sample[0].tolist())) == 8 and set(sample[0].tolist()) <= set(range(10, 30))
    assert sorted(sample[1, :2].tolist()) == [3, 5] and (sample[1, 2:] == -1).all()
    assert (sample[2] == -1).all()


def test_sampled_negatives_estimate_the_exact_cross_entropy() -> None:
    torch.manual_seed(0)
    network = PublishedTransformer(50, 2000, 32, 2, 1, 16)
    with torch.no_grad():
        network.bias.normal_()
    hidden, target = torch.randn(40, 32), torch.randint(2000, (40,))
    exact = network.cross_entropy(hidden, target, 2000).item()
    logits = network.logits(hidden, slice(None))
    expected = -logits.log_softmax(1).gather(1, target[:, None]).mean().item()
    assert exact == pytest.approx(expected, abs=1e-5)
    estimates = [network.cross_entropy(hidden, target, 200).item() for _ in range(50)]
    # Biased downwards, as the logarithm of a mean is, and by little.
    assert exact - 0.05 < np.mean(estimates) < exact + 0.01


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_decoded_regions_are_distinct_and_have_probabilities(
    fitted: SetDecoder, method: str
) -> None:
    regions = fitted.decode(TEXT, 40, method=method)  # type: ignore[arg-type]
    assert len(fitted.universe.encode(regions)) == 40
    raw = regions.columns["raw"].to_numpy()
    assert ((raw > 0) & (raw <= 1)).all()
    assert regions == fitted.decode(TEXT, 40, method=method)  # type: ignore[arg-type]


def test_the_first_region_decoded_is_the_best_scored(fitted: SetDecoder) -> None:
    ids, _ = fitted.top(TEXT, 1)
    first = fitted.decode(TEXT, 1)
    assert fitted.universe.encode(first).tolist() == ids.tolist()


def test_decoded_regions_are_mostly_right(fitted: SetDecoder, toy_atlas: Atlas) -> None:
    truth = toy_atlas.tokens(0)
    chance = len(truth) / 400
    for method in ("greedy", "sample"):
        ids = fitted.universe.encode(fitted.decode(TEXT, 20, method=method))  # type: ignore[arg-type]
        assert np.isin(ids, truth).mean() > 2 * chance


def test_another_seed_draws_another_set(fitted: SetDecoder) -> None:
    one, other = (fitted.decode(TEXT, 30, method="sample", seed=seed) for seed in (1, 2))
    assert one != other


def test_the_whole_universe_can_be_decoded(fitted: SetDecoder) -> None:
    assert len(fitted.universe.encode(fitted.decode(TEXT, 400))) == 400


def test_bad_requests_are_refused(fitted: SetDecoder) -> None:
    with pytest.raises(ModelError, match="between 1 and 400"):
        fitted.decode(TEXT, 401)
    with pytest.raises(ModelError, match="choose greedy, beam or sample"):
        fitted.decode(TEXT, 10, method="best")  # type: ignore[arg-type]
    for wrong in ({"beams": 0}, {"temperature": 0.0}, {"top_p": 1.5}, {"temperature": np.nan}):
        with pytest.raises(ModelError, match="at least one beam, a temperature above 0"):
            fitted.decode(TEXT, 10, **wrong)


def test_a_loaded_model_decodes_as_before(fitted: SetDecoder, tmp_path: Path) -> None:
    fitted.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert isinstance(loaded, SetDecoder)
    assert loaded.decode(TEXT, 25, method="beam") == fitted.decode(TEXT, 25, method="beam")


def test_the_published_model_memorizes_a_few_sets(toy_atlas: Atlas) -> None:
    rows = [0, 12, 24]
    model = create("seq2regions-published", **{**PUBLISHED, "epochs": 150}).fit(toy_atlas, rows)
    scores = model.score(toy_atlas.descriptions(rows))
    for score, ids in zip(scores, toy_atlas.tokens_of(rows), strict=True):
        found = np.argsort(-score)[: len(ids)]
        assert len(np.intersect1d(found, ids)) > 0.95 * len(ids)


@pytest.mark.slow
def test_the_order_of_a_training_set_matters_no_more_than_the_seed(toy_atlas: Atlas) -> None:
    # Regions reach the loss in the order of their ids; here they come in another order, too.
    def scores(seed: int, shuffled: bool) -> np.ndarray:
        model = create("seq2regions-published", **{**PUBLISHED, "epochs": 12}, seed=seed)
        assert isinstance(model, NetworkGenerator)
        if shuffled:
            plain, order = model.loss, np.random.default_rng(0)

            def loss(batch: Batch) -> torch.Tensor:
                ids = np.concatenate([order.permutation(ids) for ids in region_ids(batch)])
                return plain({**batch, "ids": torch.from_numpy(ids)})

            model.loss = loss  # type: ignore[method-assign]
        return model.fit(toy_atlas).score([TEXT])[0]

    plain = scores(0, shuffled=False)
    by_order = np.abs(scores(0, shuffled=True) - plain).mean()
    by_seed = np.mean([np.abs(scores(seed, shuffled=False) - plain).mean() for seed in (1, 2)])
    assert by_order < 1.2 * by_seed
