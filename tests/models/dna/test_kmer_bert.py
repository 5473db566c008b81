"""k-mer BERT: DNABERT's checkpoints, special tokens, segments, and which k-mer is at a base."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, BertModel

from genoglot.errors import GenoglotError, ModelError
from genoglot.models.dna.kmer_bert import SIZES, KmerBert, load_kmer_bert
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.sequence import KmerTokenizer, PatchTokenizer, stack_codes

CODES, LENGTHS = stack_codes(["ACGTTGCATG", "TTGACGNAC", "ACGTA"])


def dnabert(
    folder: Path, k: int = 3, head: bool = True, safe: bool = False, length: int = 20
) -> BertModel:
    """Write a small checkpoint as DNABERT is published; return its network."""
    torch.manual_seed(0)
    tokenizer = KmerTokenizer(k, order="ATCG")
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=48, max_position_embeddings=length,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    state = model.state_dict() if head else model.bert.state_dict()
    state = {name: tensor.clone() for name, tensor in state.items()}
    beginning = "bert." if head else ""
    state[f"{beginning}pooler.dense.weight"] = torch.zeros(32, 32)
    state[f"{beginning}pooler.dense.bias"] = torch.zeros(32)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "vocab.txt").write_text("\n".join(tokenizer.vocabulary) + "\n")
    if safe:
        save_file(state, folder / "model.safetensors")
    else:
        torch.save(state, folder / "pytorch_model.bin")
    return model.bert.eval()


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("safe", [True, False])
def test_dnabert_is_loaded_and_computes_the_same(tmp_path: Path, head: bool, safe: bool) -> None:
    theirs = dnabert(tmp_path / "dnabert", head=head, safe=safe)
    ours = KmerBert.from_dnabert(tmp_path / "dnabert")
    assert not ours.training and ours.tokenizer.k == 3
    assert (ours.dim, ours.settings.layers, ours.max_bases) == (32, 2, 20)
    tokens = ours.tokenizer(["ACGTTGCATG", "TTGACGNAC", "ACGTA"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = theirs(**tokens).last_hidden_state.numpy()
    np.testing.assert_allclose(ours.embed(CODES, LENGTHS), expected[:, 0], atol=1e-5)
    vectors, mask = ours.embed_tokens(CODES, LENGTHS)
    assert mask.sum(1).tolist() == [8, 7, 3]
    for row, n in enumerate(mask.sum(1)):
        np.testing.assert_allclose(vectors[row, :n], expected[row, 1 : n + 1], atol=1e-5)


def test_old_names_of_normalization_are_read_and_another_epsilon_is_refused(tmp_path: Path) -> None:
    dnabert(tmp_path / "dnabert")
    file, config = tmp_path / "dnabert/pytorch_model.bin", tmp_path / "dnabert/config.json"
    expected = KmerBert.from_dnabert(tmp_path / "dnabert").embed(np.zeros((1, 12), np.uint8))
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): t
        for name, t in torch.load(file).items()
    }
    torch.save(old, file)
    found = KmerBert.from_dnabert(tmp_path / "dnabert").embed(np.zeros((1, 12), np.uint8))
    assert np.array_equal(found, expected)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"layer_norm_eps": 0.1}))
    with pytest.raises(ModelError, match=r"has layer_norm_eps 0\.1, not BERT's 1e-12"):
        KmerBert.from_dnabert(tmp_path / "dnabert")


def test_all_positions_of_dnabert_are_read(tmp_path: Path) -> None:
    """DNABERT has 512 positions: 510 k-mers, which are 515 bp if k is 6."""
    theirs = dnabert(tmp_path / "dnabert", k=6, length=512)
    ours = KmerBert.from_dnabert(tmp_path / "dnabert")
    assert ours.max_bases == 515
    codes = np.random.default_rng(0).integers(0, 4, (2, 515)).astype(np.uint8)
    letters = ["".join("ACGT"[c] for c in row) for row in codes]
    tokens = ours.tokenizer(letters, return_tensors="pt")
    assert tokens["input_ids"].shape == (2, 512)
    with torch.inference_mode():
        expected = theirs(**tokens).last_hidden_state.numpy()
    np.testing.assert_allclose(ours.embed(codes), expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(ours.embed_tokens(codes)[0], expected[:, 1:-1], atol=1e-5)
    with pytest.raises(ModelError, match="511 tokens, but this model reads up to 510"):
        ours.embed(np.zeros((1, 516), np.uint8))


def test_damaged_and_foreign_checkpoints_are_refused_in_one_line(tmp_path: Path) -> None:
    def refused(name: str, says: str) -> None:
        with pytest.raises(GenoglotError, match=says) as error:
            KmerBert.from_dnabert(tmp_path / name)
        assert "\n" not in str(error.value)

    def edited(name: str, **changes: Any) -> Path:
        dnabert(tmp_path / name)
        config = tmp_path / name / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | changes))
        return tmp_path / name

    refused("none", "no checkpoint here")
    (edited("no-vocabulary") / "vocab.txt").unlink()
    refused("no-vocabulary", "no vocab.txt here")
    (edited("no-weights") / "pytorch_model.bin").unlink()
    refused("no-weights", "no weights here")
    vocabulary = edited("shuffled") / "vocab.txt"
    words = vocabulary.read_text().split()
    vocabulary.write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")
    refused("shuffled", "all k-mers in order")
    edited("relu", hidden_act="relu")
    refused("relu", "activation relu")
    edited("deeper", num_hidden_layers=3)
    refused("deeper", r"weights of another model \(encoder.layer.2.*is missing, and 15 more\)")
    weights = edited("cut") / "pytorch_model.bin"
    weights.write_bytes(weights.read_bytes()[:1000])
    refused("cut", "not a file of weights")


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    dnabert(tmp_path / "dnabert")
    file = tmp_path / "dnabert" / "pytorch_model.bin"
    torch.save({"bert.embeddings": Evil(tmp_path / "written")}, file)
    with pytest.raises(ModelError, match="not a file of weights"):
        KmerBert.from_dnabert(tmp_path / "dnabert")
    assert not (tmp_path / "written").exists()


def test_a_second_segment_has_its_own_vector_and_separator() -> None:
    encoder = KmerBert(KmerTokenizer(3), **SIZES["tiny"]).eval()
    one, other = (encoder.tokenize(codes)["inputs"] for codes in (CODES[:1, :9], CODES[:1, 3:9]))
    encoding = encoder({"inputs": one, "second": other})
    assert encoding.tokens.shape == (1, 7 + 4, 32)
    t = encoder.tokenizer
    ids = torch.cat(
        [
            torch.tensor([[t.cls_token_id]]),
            one,
            sep := torch.tensor([[t.sep_token_id]]),
            other,
            sep,
        ],
        1,
    )
    segments = torch.tensor([[0] * 9 + [1] * 5])
    hidden = encoder.bert(input_ids=ids, token_type_ids=segments).last_hidden_state[0]
    torch.testing.assert_close(encoding.sequence[0], hidden[0])
    torch.testing.assert_close(encoding.tokens[0], torch.cat([hidden[1:8], hidden[9:13]]))


@pytest.mark.parametrize("k", [3, 4, 6])
def test_every_base_has_the_kmer_that_is_centered_on_it(k: int) -> None:
    encoder = KmerBert.from_size("tiny", k=k)
    tokens = encoder.token_of_base(12)
    assert len(tokens) == 12 and tokens.min() == 0 and tokens.max() == 12 - k
    for base, token in enumerate(tokens):
        assert token <= base < token + k  # the k-mer contains the base
        best = min(range(12 - k + 1), key=lambda t: abs(t + (k - 1) // 2 - base))
        assert token == best
    with pytest.raises(ModelError, match=f"has no {k}-mer"):
        encoder.token_of_base(k - 1)


def test_what_it_cannot_read_is_refused(tmp_path: Path) -> None:
    encoder = KmerBert(KmerTokenizer(3), **SIZES["tiny"], max_length=10)
    assert encoder.max_bases == 10
    encoder.embed(CODES)
    with pytest.raises(
        ModelError, match=r"9 tokens, but this model reads up to 8 .*larger max_len"
    ):
        encoder.embed(np.zeros((1, 11), np.uint8))
    with pytest.raises(ModelError, match="reads k-mers, not those of a PatchTokenizer"):
        KmerBert(PatchTokenizer(3))
    with pytest.raises(ModelError, match="dim 32 is not a multiple of the 5 heads"):
        KmerBert(KmerTokenizer(3), **{**SIZES["tiny"], "heads": 5})
    with pytest.raises(ModelError, match="no size 'huge'; choose from base, small, tiny"):
        KmerBert.from_size("huge")
    KmerTokenizer(3).save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(ModelError, match="expected SequenceEncoder, but it holds 'kmer'"):
        load_kmer_bert(tmp_path / "tokenizer")


def test_the_published_size() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in KmerBert.from_size().parameters())
    assert count == 85_054_464 + 4101 * 768 + 514 * 768 + 2 * 768  # layers, k-mers, positions


def test_it_learns_labels_and_is_found_in_the_predictor(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (64, 20)).astype(np.uint8)
    labels = (codes[:, 8:12] == 2).any(1).astype(int)
    encoder = KmerBert(KmerTokenizer(3), **SIZES["tiny"], dropout=0.0)
    model = SequenceModel(encoder, epochs=30, batch_size=16, learning_rate=3e-3)
    model.fit(codes, labels, device="cpu", progress=False)
    assert ((model.predict(codes)[:, 0] > 0.5) == labels).mean() > 0.9
    model.save_pretrained(tmp_path / "model")
    loaded = load_kmer_bert(tmp_path / "model")
    assert np.array_equal(loaded.embed(codes), encoder.embed(codes))
    assert type(SequenceEncoder.from_pretrained(tmp_path / "model")) is KmerBert
