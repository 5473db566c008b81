"""A model knows the lengths that it was trained on, and reads others as it was trained or not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genoglot.errors import ModelError
from genoglot.models import load
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnLstm
from genoglot.models.dna.ensemble import SequenceEnsemble
from genoglot.models.dna.residual_cnn import ResidualCnn
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.sequence_trees import SequenceTrees
from genoglot.sequence import BpeTokenizer, KmerTokenizer, OneHotTokenizer, PatchTokenizer

CPU = "cpu"
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 4, (60, 40)).astype(np.uint8)
LABELS = np.arange(60) % 2
LENGTHS = RNG.integers(25, 41, 60)
FILLED = np.where(np.arange(40) < LENGTHS[:, None], CODES, 4).astype(np.uint8)


def network(codes: np.ndarray, **how: object) -> SequenceModel:
    encoder = ResidualCnn(width=8, learned=8, motifs=False, blocks=1, positions=40)
    made = SequenceModel(encoder, max_steps=5, strands="random", learning_rate=1e-2)
    return made.fit(codes, LABELS.astype(np.float32), device=CPU, **how)


def trees(codes: np.ndarray, **how: object) -> SequenceTrees:
    made = SequenceTrees(trees=10, depth=3)
    return made.fit(codes, LABELS, (codes, LABELS), **how)


def ensemble(codes: np.ndarray, **how: object) -> SequenceEnsemble:
    return SequenceEnsemble([network(codes, **how), trees(codes, **how)])


Fit = Callable[..., SequenceModel | SequenceTrees | SequenceEnsemble]


@pytest.mark.parametrize("fit", [network, trees, ensemble])
def test_one_length_or_a_range_is_known_kept_and_held_to(fit: Fit, tmp_path: Path) -> None:
    fit(CODES).save_pretrained(tmp_path / "one")
    one = load(tmp_path / "one", "dna-predictor")
    assert one.lengths == (40, 40, True)
    for wrong in (CODES[:, :39], np.hstack([CODES, CODES])):
        told = f"{wrong.shape[1]} bp, but the model was trained on 40 bp"
        with pytest.raises(ModelError, match=told):
            one.predict(wrong)
        assert one.predict(wrong, any_length=True).shape == (60, 1)
    with pytest.raises(ModelError, match="39 bp, but the model was trained on 40 bp"):
        one.predict(CODES, np.full(60, 39))
    assert one.predict(CODES[:0, :7]).shape == (0, 1)

    fit(FILLED, shortest=25).save_pretrained(tmp_path / "range")
    several = load(tmp_path / "range", "dna-predictor")
    assert several.lengths == (25, 40, True)
    with pytest.raises(ModelError, match="24 bp, but the model was trained on 25 to 40 bp"):
        several.predict(CODES[:, :24])


@pytest.mark.parametrize("fit", [network, trees, ensemble])
def test_who_fills_sequences_up_does_not_matter(fit: Fit) -> None:
    fitted = fit(FILLED, shortest=25)
    expected = fitted.predict(FILLED)  # as they were in training
    noise = np.where(FILLED == 4, 2, FILLED).astype(np.uint8)  # past an end there may be anything
    np.testing.assert_array_equal(fitted.predict(noise, LENGTHS), expected)
    order = np.argsort(LENGTHS)
    for rows in (order[:20], order[20:40]):  # batches whose longest is not the longest of all
        longest = int(LENGTHS[rows].max())
        found = fitted.predict(CODES[rows, :longest], LENGTHS[rows], batch_size=7)
        np.testing.assert_allclose(found, expected[rows], atol=1e-6)
    short = fitted.predict(CODES[:1, :25])
    filled = np.pad(CODES[:1, :25], ((0, 0), (0, 15)), constant_values=4)
    np.testing.assert_allclose(short, fitted.predict(filled), atol=1e-6)


def test_longer_sequences_do_not_see_each_other_in_a_batch() -> None:
    fitted = network(CODES)
    long = RNG.integers(0, 4, (3, 90)).astype(np.uint8)
    lengths = np.array([90, 30, 60])
    together = fitted.predict(long, lengths, any_length=True)
    for i, n in enumerate(lengths.tolist()):
        alone = fitted.predict(long[i : i + 1, :n], any_length=True)
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-6)


def test_a_model_that_was_given_lengths_reads_nothing_past_them() -> None:
    fitted = network(CODES, lengths=LENGTHS)
    assert fitted.lengths == (LENGTHS.min(), LENGTHS.max(), False)
    i = int(LENGTHS.argmin())
    n = int(LENGTHS[i])
    alone = fitted.predict(CODES[i : i + 1, :n])
    np.testing.assert_allclose(fitted.predict(CODES, LENGTHS)[i : i + 1], alone, atol=1e-6)
    with pytest.raises(ModelError, match="24 bp, but the model was trained on 25 to 40 bp"):
        fitted.predict(CODES[:, :24])


def test_the_lengths_of_an_ensemble_are_those_of_all_members() -> None:
    members = [network(FILLED, shortest=25), trees(FILLED, shortest=30)]
    assert SequenceEnsemble(members).lengths == (30, 40, True)
    members[0].lengths = None  # as of a model of an earlier version
    assert SequenceEnsemble(members).lengths is None


@pytest.mark.parametrize(
    ("encoder", "most"),
    [
        (AttentionEncoder(KmerTokenizer(3), dim=8, heads=2, layers=1), 32_770),
        (AttentionEncoder(PatchTokenizer(4), dim=8, heads=2, layers=1), 131_072),
        (AttentionEncoder(OneHotTokenizer(), dim=8, heads=2, layers=1), 32_768),
        (CnnLstm(channels=(4,), dim=4), 32_768),
        (
            AttentionEncoder(
                PatchTokenizer(4), dim=8, heads=2, layers=1, positions="absolute", max_length=50
            ),
            200,
        ),
        (
            AttentionEncoder(
                OneHotTokenizer(), dim=8, heads=2, layers=1, positions="absolute", max_length=50
            ),
            200,
        ),
    ],
)
def test_an_encoder_says_what_it_reads_at_most(encoder: SequenceEncoder, most: int) -> None:
    assert encoder.max_bases == most
    encoder.check_length(most)
    encoder.tokenize(np.zeros((1, most), np.uint8))
    with pytest.raises(ModelError, match=f"{most + 1:,} bp, but this model reads up to"):
        encoder.check_length(most + 1)
    with pytest.raises(ModelError):
        encoder.tokenize(np.zeros((1, most + 1), np.uint8))


def test_byte_pairs_may_read_as_many_of_the_longest_token() -> None:
    tokenizer = BpeTokenizer.train(["ACGTACGTACGTNACGT"] * 10, vocab_size=13)
    encoder = AttentionEncoder(tokenizer, dim=8, heads=2, layers=1)
    assert encoder.max_bases == 8 * 32_768  # ACGTACGT
    with pytest.raises(ModelError, match="300,000 bp, but"):
        encoder.check_length(300_000)
