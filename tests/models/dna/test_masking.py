"""Masks of the language model: nothing that is seen tells of what is asked for."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoglot.errors import ModelError
from genoglot.models.dna.masking import IGNORED, Masker
from genoglot.sequence import (
    BpeTokenizer,
    DnaTokenizer,
    IdTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
)

_BPE = BpeTokenizer.train(
    [np.random.default_rng(0).integers(0, 4, 4000).astype(np.uint8)], vocab_size=80
)
TOKENIZERS: dict[str, Callable[[], DnaTokenizer]] = {
    **{f"{k}-mer": (lambda k=k: KmerTokenizer(k)) for k in (1, 3, 5)},  # type: ignore[misc]
    **{f"{k}-patch": (lambda k=k: PatchTokenizer(k)) for k in (1, 4)},  # type: ignore[misc]
    "bpe": lambda: _BPE,
    "onehot": OneHotTokenizer,
}


def generators(n: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, i)) for i in range(n)]


def dna(n: int, length: int, seed: int = 0, unknown: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length)).astype(np.uint8)
    codes[rng.random((n, length)) < unknown] = 4
    return codes


def intervals(tokenizer: DnaTokenizer, ids: np.ndarray, length: int) -> list[tuple[int, int]]:
    """Bases that each token covers, from its text."""
    if isinstance(tokenizer, KmerTokenizer):
        return [(i, i + tokenizer.k) for i in range(len(ids))]
    if isinstance(tokenizer, PatchTokenizer):
        return [(i * tokenizer.k, min((i + 1) * tokenizer.k, length)) for i in range(len(ids))]
    assert isinstance(tokenizer, IdTokenizer)
    texts = tokenizer.convert_ids_to_tokens(ids)
    ends = list(itertools.accumulate(1 if text == "[UNK]" else len(text) for text in texts))
    return list(zip([0, *ends], ends, strict=False))


@settings(max_examples=60)
@given(
    name=st.sampled_from([name for name in TOKENIZERS if name != "onehot"]),
    length=st.integers(1, 80),
    rate=st.floats(0.05, 0.9),
    span=st.one_of(st.none(), st.integers(5, 20)),
    seed=st.integers(0, 1000),
)
def test_no_token_that_is_seen_overlaps_a_base_that_is_asked_for(
    name: str, length: int, rate: float, span: int | None, seed: int
) -> None:
    tokenizer = TOKENIZERS[name]()
    assert isinstance(tokenizer, IdTokenizer)
    codes = dna(3, length, seed, unknown=0.05)
    lengths = np.random.default_rng(seed).integers(1, length + 1, 3)
    lengths[0] = length
    masker = Masker(tokenizer, rate=rate, span=span)
    batch = masker(codes, lengths, generators(3, seed))
    plain = tokenizer.from_codes(codes, lengths, padding=True, add_special_tokens=False)
    present = np.asarray(plain["attention_mask"], bool)
    assert "mask" not in batch or np.array_equal(batch["mask"].numpy(), present)
    for row in range(3):
        n = int(present[row].sum())
        ids, inputs = plain["input_ids"][row, :n], batch["inputs"].numpy()[row, :n]
        targets = batch["targets"].numpy()[row]
        assert (targets[n:] == IGNORED).all()
        targets = targets[:n]
        masked = inputs == tokenizer.mask_token_id
        assert np.array_equal(inputs[~masked], ids[~masked])
        asked = targets != IGNORED
        assert np.array_equal(targets[asked], ids[asked])
        assert masked[asked].all()
        places = intervals(tokenizer, ids, int(lengths[row]))
        shown = {base for i in np.flatnonzero(~masked) for base in range(*places[i])}
        for i in np.flatnonzero(asked):
            assert not shown & set(range(*places[i]))
            assert (codes[row, slice(*places[i])] < 4).all()
        # and all that could be asked for is
        for i in np.flatnonzero(masked & ~asked):
            bases = range(*places[i])
            assert shown & set(bases) or (codes[row, bases.start : bases.stop] == 4).any() or (
                isinstance(tokenizer, PatchTokenizer) and len(bases) < tokenizer.k
            )  # fmt: skip


@settings(max_examples=20)
@given(length=st.integers(1, 60), rate=st.floats(0.05, 0.9), seed=st.integers(0, 1000))
def test_hidden_bases_are_zero(length: int, rate: float, seed: int) -> None:
    codes = dna(2, length, seed, unknown=0.05)
    batch = Masker(OneHotTokenizer(), rate=rate)(codes, None, generators(2, seed))
    values, targets = batch["inputs"].numpy(), batch["targets"].numpy()
    asked = targets != IGNORED
    assert not values.transpose(0, 2, 1)[asked].any()
    assert np.array_equal(targets[asked], codes[asked])
    shown = values.any(1)
    assert np.array_equal(values.argmax(1)[shown], codes[shown])
    assert np.array_equal(shown | asked, codes < 4)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_so_many_tokens_are_masked(name: str, rate: float) -> None:
    tokenizer = TOKENIZERS[name]()
    batch = Masker(tokenizer, rate=rate)(dna(300, 400, unknown=0.0), None, generators(300))
    if isinstance(tokenizer, IdTokenizer):
        masked = batch["inputs"].numpy() == tokenizer.mask_token_id
        present = batch["mask"].numpy() if "mask" in batch else np.ones_like(masked)
        assert masked[present].mean() == pytest.approx(rate, abs=0.015)
        assert masked[:, 0].mean() == pytest.approx(rate, abs=0.09)  # at the ends as elsewhere
        assert (batch["targets"].numpy() != IGNORED).any()
    else:
        hidden = ~batch["inputs"].numpy().any(1)
        assert hidden.mean() == pytest.approx(rate, abs=0.015)


def test_a_mask_depends_on_its_sequence_alone() -> None:
    codes = dna(4, 100)
    masker = Masker(_BPE, rate=0.4)
    together = masker(codes, None, generators(4))
    for row in range(4):
        alone = masker(codes[row : row + 1], None, [generators(4)[row]])
        n = alone["inputs"].shape[1]
        assert np.array_equal(alone["inputs"][0], together["inputs"][row, :n])
        assert np.array_equal(alone["targets"][0], together["targets"][row, :n])


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"rate": 0.0}, "mask rate is 0.0"),
        ({"rate": 1.0}, "mask rate is 1.0"),
        ({"span": 4}, "masks no 5-mer; give at least 5"),
        ({"span": 0}, "the span is 0"),
    ],
)
def test_masks_that_pose_no_task_are_refused(how: dict[str, float], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        Masker(KmerTokenizer(5), **how)  # type: ignore[arg-type]
