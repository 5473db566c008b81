"""Behavior of every generator."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from genoglot.atlas import Atlas
from genoglot.errors import ModelError, TextError, UniverseMismatchError
from genoglot.models import Generator, create, load, names
from genoglot.models.text_to_regions.baselines import PENALTIES, ridge_out_of_fold
from genoglot.models.text_to_regions.network_generator import NetworkGenerator
from genoglot.regions import Universe
from genoglot.text import MiniLM, Tfidf
from genoglot.training.examples import Draw

QUICK = {
    "text2bed-published": {"dim": 16, "region_epochs": 2, "epochs": 3},
    "direct-published": {"epochs": 3},
    "text2bed": {"rank": 16, "epochs": 3, "min_steps": 10, "regions_per_step": 128},
    "direct": {"rank": 16, "epochs": 3, "min_steps": 10, "regions_per_step": 128},
    "diffusion-published": {"steps": 20, "sampling_steps": 5, "widths": (4, 4, 4, 8, 8, 8),
                            "epochs": 1},
    "diffusion": {"rank": 16, "epochs": 3, "min_steps": 10, "sampling_steps": 5, "samples": 2},
    "seq2regions-published": {"dim": 32, "heads": 2, "layers": 1, "rank": 8, "set_tokens": 16,
                         "negatives": 100, "epochs": 1},
    "seq2regions": {"rank": 16, "epochs": 3, "min_steps": 10, "regions_per_step": 128, "dim": 16,
                    "set_tokens": 8},
}  # fmt: skip
TEXTS = ["CTCF ChIP-seq in human liver", "open chromatin, human kidney"]


@pytest.fixture(scope="module", params=names("text-to-regions"))
def fitted(request: pytest.FixtureRequest, toy_atlas: Atlas) -> Generator:
    return create(request.param, **QUICK.get(request.param, {})).fit(toy_atlas, range(40))


def test_scores_have_the_documented_shape_and_range(fitted: Generator, toy_atlas: Atlas) -> None:
    scores = fitted.score(TEXTS)
    assert scores.shape == (2, 400)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert np.allclose(fitted.score(TEXTS[1:])[0], scores[1], atol=1e-6)


def test_generate_answers_with_ranked_regions_of_the_universe(
    fitted: Generator, toy_universe: Universe
) -> None:
    regions = fitted.generate(TEXTS[0], n=50)
    assert len(regions) == 50
    assert regions.columns.columns == ["name", "score", "strand", "rank", "raw"]
    raw, score = regions.columns["raw"].to_numpy(), regions.columns["score"].to_numpy()
    assert (np.diff(raw) <= 0).all()
    assert ((score >= 0) & (score <= 1000)).all()
    assert regions.columns["rank"].to_list() == list(range(1, 51))
    ids = toy_universe.encode(regions)
    assert len(ids) == 50
    named = sorted(int(name.removeprefix("region_")) for name in regions.columns["name"])
    assert named == ids.tolist()


def test_top_is_the_top_of_score(fitted: Generator) -> None:
    scores = fitted.score(TEXTS[:1])[0]
    ids, top = fitted.top(TEXTS[0], 400)
    assert sorted(ids.tolist()) == list(range(400))
    assert np.allclose(top, scores[ids], atol=1e-5)


def test_the_same_seed_gives_the_same_model(fitted: Generator, toy_atlas: Atlas) -> None:
    again = create(fitted.model_type, **fitted.settings.model_dump()).fit(toy_atlas, range(40))
    assert np.array_equal(again.score(TEXTS), fitted.score(TEXTS))


@pytest.mark.parametrize("kind", ["direct", "direct-published"])
def test_fitting_leaves_the_random_numbers_of_the_caller_unchanged(
    kind: str, toy_atlas: Atlas
) -> None:
    before = torch.random.get_rng_state()
    create(kind, **QUICK[kind]).fit(toy_atlas, range(40), validation=range(40, 50))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bad_requests_are_refused_in_one_line(fitted: Generator) -> None:
    with pytest.raises(TextError, match="empty"):
        fitted.generate("  ", 10)
    for n in (0, 401):
        with pytest.raises(ModelError, match="between 1 and 400"):
            fitted.generate("liver", n)


@pytest.mark.parametrize("kind", list(QUICK))
def test_gradients_reach_every_parameter(kind: str, toy_atlas: Atlas) -> None:
    generator = create(kind, **QUICK[kind])
    assert isinstance(generator, NetworkGenerator)
    generator.fit(toy_atlas, range(40))  # one training, since some layers start at zero
    generator.network.train().zero_grad()
    batch = generator.examples(toy_atlas, range(40)).make_batch(Draw(np.arange(8), 0, 0))
    generator.loss(batch).backward()
    without = [n for n, p in generator.network.named_parameters() if p.grad is None]
    assert not without
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in generator.network.parameters()
    )


def test_direct_published_memorizes_a_few_sets(toy_atlas: Atlas) -> None:
    rows = np.arange(0, 20, 2)
    generator = create("direct-published", epochs=150).fit(toy_atlas, rows)
    scores = generator.score(toy_atlas.descriptions(rows))
    for score, ids in zip(scores, toy_atlas.tokens_of(rows), strict=True):
        found = np.argsort(-score)[: len(ids)]
        assert len(np.intersect1d(found, ids)) > 0.8 * len(ids)


@pytest.mark.parametrize("kind", [pytest.param("direct", marks=pytest.mark.slow), "text2bed"])
def test_a_few_sets_can_be_recalled_from_their_twins(
    kind: str, toy_atlas: Atlas, tmp_path: Path
) -> None:
    # In training the improved models do not read the set that they predict, so that they cannot
    # memorize it: each set is here twice, as two experiments.
    rows = np.repeat(np.arange(0, 20, 2), 2)
    metadata = toy_atlas.metadata[rows].with_columns(
        id=pl.Series([f"set{i}" for i in range(20)]),
        group=pl.Series(list("ab") * 10) + pl.col("id"),
    )
    atlas = Atlas.from_sets(
        tmp_path / "twins", toy_atlas.universe, metadata, toy_atlas.tokens_of(rows)
    )
    settings = {"min_steps": 800, "regions_per_step": 400}
    generator = create(kind, **settings).fit(atlas)
    scores = generator.score(atlas.descriptions())
    for score, ids in zip(scores, atlas.tokens_of(range(20)), strict=True):
        found = np.argsort(-score)[: len(ids)]
        assert len(np.intersect1d(found, ids)) > 0.95 * len(ids)


@pytest.mark.parametrize(("kind", "ratio"), [("direct", 0.8), ("text2bed", 0.9)])
def test_training_lowers_the_loss_of_the_improved_models(
    kind: str, ratio: float, toy_atlas: Atlas
) -> None:
    # Text2BED does not reach 0.8 (0.82 after 800 steps): its single point for a text cannot express
    # "bound by the factor and open in the tissue", which is how these sets are made.
    def loss(min_steps: int) -> float:
        settings = {"rank": 60, "epochs": 1, "min_steps": min_steps, "regions_per_step": 400}
        generator = create(kind, **settings).fit(toy_atlas)
        assert isinstance(generator, NetworkGenerator)
        torch.manual_seed(0)
        batch = generator.examples(toy_atlas).make_batch(Draw(np.arange(48), 0, 0))
        return generator.loss(batch).item()

    assert loss(200) < ratio * loss(1)


def test_the_improved_model_beats_every_baseline_on_unseen_combinations(
    toy_atlas: Atlas,
) -> None:
    target, cell = (toy_atlas.metadata[c].to_numpy() for c in ("target", "biosample"))
    held_out = ((target == "CTCF") & (cell == "liver")) | ((target == "MYC") & (cell == "lung"))
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def hits(kind: str, **settings: int) -> float:
        scores = create(kind, **settings).fit(toy_atlas, train).score(toy_atlas.descriptions(test))
        found = []
        for score, ids in zip(scores, toy_atlas.tokens_of(test), strict=True):
            found.append(len(np.intersect1d(np.argsort(-score)[: len(ids)], ids)) / len(ids))
        return float(np.mean(found))

    baselines = [hits(kind) for kind in ("popularity", "nearest", "ridge")]
    assert hits("direct", rank=60, min_steps=200, regions_per_step=400) > max(baselines)


@pytest.mark.parametrize("kind", ["direct", "text2bed"])
def test_one_experiment_alone_is_too_little_to_learn_from(kind: str, toy_atlas: Atlas) -> None:
    with pytest.raises(ModelError, match="only 1 experiment groups"):
        create(kind).fit(toy_atlas, [0, 1])


def test_another_universe_is_refused(toy_atlas: Atlas, tmp_path: Path) -> None:
    model = create("popularity").fit(toy_atlas)
    other = Universe(toy_atlas.universe.regions[:-1])
    with pytest.raises(UniverseMismatchError):
        model.universe.check_same(other)
    model.save_pretrained(tmp_path / "model")
    other.save(tmp_path / "model" / "universe.parquet")
    with pytest.raises(UniverseMismatchError):
        load(tmp_path / "model")


def test_damaged_and_missing_models_are_refused_in_one_line(
    toy_atlas: Atlas, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="my model/x: no such folder"):  # not a name of the hub
        load("my model/x")
    with pytest.raises(ModelError, match="no saved model"):
        load(tmp_path / "nothing")
    create("popularity").fit(toy_atlas).save_pretrained(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path / "model")
    weights.unlink()
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load(tmp_path / "model")
    with pytest.raises(ModelError, match="no model named"):
        create("oracle")


def test_text2bed_published_uses_vectors_that_were_trained_before(
    toy_atlas: Atlas, tmp_path: Path
) -> None:
    folder, n = tmp_path / "exported", len(toy_atlas.universe)
    folder.mkdir()
    toy_atlas.universe.regions.to_bed(folder / "universe.bed")
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(n + 2, 12))).float()
    torch.save({"projection.weight": weights}, folder / "checkpoint.pt")
    (folder / "config.yaml").write_text(f"vocab_size: {n + 2}\nembedding_dim: 12\n")
    generator = create("text2bed-published", region2vec=str(folder), epochs=3).fit(
        toy_atlas, range(40)
    )
    unit = weights[:n].numpy() / np.linalg.norm(weights[:n].numpy(), axis=1, keepdims=True)
    np.testing.assert_allclose(generator.region_vectors, unit, atol=1e-6)
    generator.save_pretrained(tmp_path / "model")
    (folder / "checkpoint.pt").unlink()  # a saved model holds its own vectors
    assert np.array_equal(load(tmp_path / "model").score(TEXTS), generator.score(TEXTS))
    with pytest.raises(ModelError, match="exported"):
        create("text2bed-published", region2vec=str(folder)).fit(toy_atlas, range(40))


def test_a_ridge_of_equal_inputs_reads_signal_ranks_and_meaning(
    toy_atlas: Atlas, tmp_path: Path
) -> None:
    rows = np.arange(40)
    given = {"signal_rank": True, "text": "tfidf+minilm", "choose_penalty": True}
    ridge = create("ridge", **given).fit(toy_atlas, rows)
    assert ridge.penalty in PENALTIES
    # Written out: regression of the centered signal ranks on words and meaning.
    presence = toy_atlas.presence(rows, signal_rank=True).toarray()
    texts = toy_atlas.descriptions(rows)
    tfidf, minilm = Tfidf(max_words=5000).fit(texts), MiniLM()

    def features(texts: list[str]) -> np.ndarray:
        return np.hstack([tfidf.encode(texts), minilm.encode(texts)]) / np.sqrt(2)

    x = features(texts)
    inverse = np.linalg.inv(x @ x.T + ridge.penalty * np.eye(40))
    predicted = features(TEXTS) @ x.T @ inverse @ (presence - presence.mean(0)) + presence.mean(0)
    np.testing.assert_allclose(ridge.score(TEXTS), predicted.clip(0, 1), atol=1e-4)
    ridge.save_pretrained(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").score(TEXTS), ridge.score(TEXTS))
    with pytest.raises(ModelError, match="ridge: text: Input should be"):
        create("ridge", text="bert")


def test_the_penalty_that_is_chosen_predicts_left_out_experiments_best(toy_atlas: Atlas) -> None:
    groups = np.unique(toy_atlas.metadata["group"].to_numpy(), return_inverse=True)[1]
    texts = toy_atlas.descriptions()
    vectors = Tfidf(max_words=5000).fit(texts).encode(texts)
    presence = toy_atlas.presence().toarray()
    errors = {}
    for penalty in PENALTIES:
        predicted = ridge_out_of_fold(vectors, presence, groups, penalty=penalty, seed=0)
        errors[penalty] = ((predicted - presence) ** 2).sum()
    chosen = create("ridge", choose_penalty=True).fit(toy_atlas).penalty
    assert chosen == min(errors, key=errors.__getitem__)
    # Predictions do not depend on the values of the group that is left out.
    changed = presence.copy()
    changed[groups == 0] = 1 - changed[groups == 0]
    before, after = (
        ridge_out_of_fold(vectors, p, groups, penalty=1.0, seed=0) for p in (presence, changed)
    )
    np.testing.assert_allclose(before[groups == 0], after[groups == 0])
    assert not np.allclose(before, after)
