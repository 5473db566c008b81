"""Tokenizers beside plain Python, and what their callers rely on."""

import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoglot.errors import ModelError, SequenceError
from genoglot.sequence import (
    BpeTokenizer,
    DnaTokenizer,
    KmerTokenizer,
    OneHotTokenizer,
    PatchTokenizer,
    stack_codes,
    to_codes,
)

PAD, UNK, CLS, SEP, MASK = range(5)
CLEAN = st.text("ACGT", max_size=50)
DNA = st.text("ACGTNacgtnRY", max_size=50)
K = st.integers(1, 8)
ORDERS = st.permutations("ACGT").map("".join)


def letters(text):
    return "".join(c if c in "ACGT" else "N" for c in text.upper())


def kmer_ids(text, k, order):
    """DNABERT's way: a list of k-mers, and a dictionary."""
    vocabulary = {"".join(kmer): i for i, kmer in enumerate(itertools.product(order, repeat=k), 5)}
    text = letters(text)
    return [vocabulary.get(text[i : i + k], UNK) for i in range(len(text) - k + 1)]


@pytest.fixture(scope="module")
def bpe():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("ACGT"), 9)) for _ in range(30)]
    texts = ["".join(rng.choice(words, 40)) + "NNN" for _ in range(100)]
    return BpeTokenizer.train(texts, vocab_size=300)


@pytest.fixture(scope="module", params=["kmer", "dnabert", "patch", "bpe", "one-hot"])
def tokenizer(request):
    if request.param == "bpe":
        return request.getfixturevalue("bpe")
    return {
        "kmer": KmerTokenizer(3),
        "dnabert": KmerTokenizer(6, order="ATCG"),
        "patch": PatchTokenizer(4),
        "one-hot": OneHotTokenizer("AGCT"),
    }[request.param]


def main_of(batch):
    return batch["input_values" if "input_values" in batch else "input_ids"]


# k-mers


@given(st.lists(DNA, min_size=1, max_size=5), st.integers(1, 5), ORDERS)
def test_kmers_are_those_of_a_python_loop(texts, k, order):
    tokens = KmerTokenizer(k, order=order)(texts)
    assert tokens["input_ids"] == [[CLS, *kmer_ids(text, k, order), SEP] for text in texts]


@given(st.text("ACGT", min_size=8, max_size=50), K, ORDERS)
def test_kmers_of_any_length_give_the_sequence_back(text, k, order):
    tokenizer = KmerTokenizer(k, order=order)
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text) - k + 1 + 2
    assert all(5 <= i < tokenizer.vocab_size for i in ids[1:-1])
    assert tokenizer.decode(ids) == text


@given(st.text("ACGTN", min_size=4, max_size=50))
def test_decoding_restores_what_any_known_kmer_holds(text):
    tokenizer = KmerTokenizer(4)
    held = set()
    for i in range(len(text) - 3):
        if "N" not in text[i : i + 4]:
            held |= set(range(i, i + 4))
    expected = "".join(c if i in held else "N" for i, c in enumerate(text))
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == expected


def test_the_ids_of_dnabert():
    # The first lines of its vocabulary of 6-mers: [PAD] [UNK] [CLS] [SEP] [MASK] AAAAAA AAAAAT
    # AAAAAC AAAAAG AAAATA ..., 4,101 lines, of which the last is GGGGGG.
    tokenizer = KmerTokenizer(6, order="ATCG")
    known = {"AAAAAA": 5, "AAAAAT": 6, "AAAAAC": 7, "AAAAAG": 8, "AAAATA": 9, "AAATAA": 21}
    known |= {"TAAAAA": 5 + 4**5, "TTTTTT": 5 + 1365, "CCCCCC": 5 + 2730, "GGGGGG": 4100}
    for kmer, i in known.items():
        assert tokenizer(kmer)["input_ids"] == [CLS, i, SEP]
        assert tokenizer.convert_ids_to_tokens([CLS, i]) == ["[CLS]", kmer]
    assert tokenizer.vocab_size == len(tokenizer) == len(tokenizer.vocabulary) == 4101


@pytest.mark.parametrize("k", [3, 6])
def test_the_vocabulary_file_of_dnabert_is_read(tmp_path, k):
    kmers = map("".join, itertools.product("ATCG", repeat=k))
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *kmers]
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false, "max_len": 512}')
    for loaded in (KmerTokenizer.from_pretrained(tmp_path), DnaTokenizer.from_pretrained(tmp_path)):
        assert isinstance(loaded, KmerTokenizer)
        assert (loaded.k, loaded.order) == (k, "ATCG")
    (tmp_path / "vocab.txt").write_text("\n".join([*lines[:9], *lines[10:]]))
    with pytest.raises(SequenceError, match=r"holds not .* all k-mers in order"):
        KmerTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("hello\nworld\n")
    with pytest.raises(SequenceError, match="holds not"):
        KmerTokenizer.from_pretrained(tmp_path)


# patches


@given(DNA, K)
def test_patches_lie_side_by_side(text, k):
    tokenizer = PatchTokenizer(k)
    ids = tokenizer(text)["input_ids"]
    text = letters(text)
    patches = [text[i : i + k].ljust(k, "N") for i in range(0, len(text), k)]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", *patches, "[SEP]"]
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    last = [patch.rstrip("N") or patch for patch in patches[-1:]]
    assert tokenizer.decode(ids) == "".join(patches[:-1] + last)
    if not text.endswith("N"):
        assert tokenizer.decode(ids) == text


def test_the_ids_of_patches():
    tokenizer = PatchTokenizer(2)
    assert tokenizer.vocab_size == 30
    assert tokenizer("AAACNNT", add_special_tokens=False)["input_ids"] == [5, 6, 29, 5 + 3 * 5 + 4]
    assert tokenizer.decode([MASK, 5, UNK]) == "NNAANN"


# BPE


@given(DNA)
def test_bpe_loses_nothing_but_the_case(bpe, text):
    ids = bpe(text)["input_ids"]
    assert bpe.decode(ids) == letters(text)
    assert ids.count(bpe.unk_token_id) == letters(text).count("N")


def test_bpe_learns_frequent_words(bpe):
    assert bpe.vocab_size == 300
    assert (bpe.pad_token_id, bpe.unk_token_id, bpe.mask_token_id) == (PAD, UNK, MASK)
    tokens = bpe.convert_ids_to_tokens(range(300))
    assert tokens[:9] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "A", "C", "G", "T"]
    assert max(map(len, tokens[9:])) >= 9
    assert not any("N" in token for token in tokens[9:])


def test_bpe_reads_codes_as_well_as_letters_and_is_repeatable(bpe):
    texts = ["ACGTACGTTTGCAnacg" * 9, "ggcatNNACGT" * 9]
    trained = [
        BpeTokenizer.train(form, vocab_size=40)
        for form in (texts, map(to_codes, texts), iter(texts))
    ]
    vocabularies = [made.convert_ids_to_tokens(range(made.vocab_size)) for made in trained]
    assert vocabularies[0] == vocabularies[1] == vocabularies[2]
    assert trained[0](texts) == trained[1](texts) == trained[2](texts)


def test_bpe_refuses_what_it_cannot_learn():
    with pytest.raises(SequenceError, match="no sequence"):
        BpeTokenizer.train([])
    with pytest.raises(SequenceError, match="sequence 2: position 3: 'L'"):
        BpeTokenizer.train(["ACGT", "MKL"])
    with pytest.raises(SequenceError, match="at least 9"):
        BpeTokenizer.train(["ACGT"], vocab_size=8)


def test_a_tokenizer_file_in_the_manner_of_dnabert_2_is_read(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", *"ACGT", "AC", "ACG", "TT"]
    ids = {token: i for i, token in enumerate(vocabulary)}
    made = Tokenizer(models.BPE(ids, [("A", "C"), ("AC", "G"), ("T", "T")], unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    made.add_special_tokens(vocabulary[:5])
    made.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"})
    )
    loaded = DnaTokenizer.from_pretrained(tmp_path)
    assert isinstance(loaded, BpeTokenizer)
    batch = loaded(["ACGTTN", "ac"], padding=True, return_tensors="np")
    assert batch["input_ids"].tolist() == [[1, 10, 11, 0, 2], [1, 9, 2, 3, 3]]
    assert loaded.batch_decode(batch["input_ids"]) == ["ACGTTN", "AC"]
    del ids["[MASK]"]
    Tokenizer(models.BPE(ids, [])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(SequenceError, match=r"no token \[MASK\]"):
        BpeTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(SequenceError, match="damaged tokenizer"):
        BpeTokenizer.from_pretrained(tmp_path)


# all of them


@settings(max_examples=50)
@given(st.lists(st.text("ACGT", min_size=9, max_size=40), min_size=1, max_size=4))
def test_decoding_a_padded_batch_gives_the_sequences_back(tokenizer, texts):
    batch = tokenizer(texts, padding=True, return_tensors="np")
    decoded = tokenizer.batch_decode(main_of(batch))
    if isinstance(tokenizer, OneHotTokenizer):
        decoded = [text.rstrip("N") for text in decoded]
    assert decoded == texts
    counts = batch["attention_mask"].sum(1)
    for text, count, row in zip(texts, counts, batch["attention_mask"], strict=True):
        alone = tokenizer(text)
        assert sum(alone["attention_mask"]) == len(alone["attention_mask"]) == count
        assert row[:count].all()


@pytest.mark.parametrize("special", [True, False])
def test_lists_numpy_and_torch_hold_the_same(tokenizer, special):
    import torch

    for texts in (["ACGTACGTAC", "TTGCANTTAC"], ["ACGTACGTAC"]):
        options = {"padding": True, "add_special_tokens": special}
        lists = tokenizer(texts, **options)
        arrays = tokenizer(texts, **options, return_tensors="np")
        tensors = tokenizer(texts, **options, return_tensors="pt")
        codes = tokenizer.from_codes(*stack_codes(texts), **options)
        for name in arrays:
            assert isinstance(tensors[name], torch.Tensor)
            assert tensors[name].dtype == (torch.float32 if name == "input_values" else torch.int64)
            assert lists[name] == arrays[name].tolist() == tensors[name].tolist()
            assert codes[name].tolist() == lists[name]
    single = tokenizer("ACGTACGTAC", add_special_tokens=special)
    assert main_of(single) == main_of(lists)[0]
    tensors = tokenizer("ACGTACGTAC", return_tensors="pt")
    assert main_of(tensors).shape[0] == 1
    tensors["attention_mask"].fill_(0)
    assert tokenizer.decode(main_of(tensors)[0]) == "ACGTACGTAC"


def test_truncation_and_padding(tokenizer):
    long, short = "ACGTTGCAAC" * 6, "ACGTACGT"
    special = 0 if isinstance(tokenizer, OneHotTokenizer) else 2
    whole = tokenizer(long)
    full = tokenizer([long, short], truncation=True, max_length=6, return_tensors=None)
    for rows in full.values():
        assert np.shape(rows[0])[-1] == 6
    if special:
        assert full["input_ids"][0] == [*whole["input_ids"][:5], tokenizer.sep_token_id]
    wide = tokenizer([short], padding="max_length", max_length=90, return_tensors="np")
    assert wide["attention_mask"].shape == (1, 90)
    assert wide["attention_mask"].sum() == len(tokenizer(short)["attention_mask"])
    assert main_of(wide).shape[-1] == 90
    both = tokenizer(
        [long, short], padding="max_length", truncation=True, max_length=7, return_tensors="np"
    )
    assert both["attention_mask"].shape == (2, 7)
    longest = tokenizer([long, short], padding="longest", return_tensors="np")
    assert longest["attention_mask"].shape == (2, len(whole["attention_mask"]))


def test_requests_that_contradict_themselves_are_refused(tokenizer):
    for options, problem in [
        ({"truncation": True}, "need max_length"),
        ({"padding": "max_length"}, "need max_length"),
        ({"max_length": 5}, "max_length needs truncation"),
        ({"padding": "longst"}, "padding is 'longst'"),
        ({"return_tensors": "tf"}, "return_tensors is 'tf'"),
        ({"padding": "max_length", "max_length": 2}, "more than max_length 2"),
        ({"return_tensors": "np"}, "give padding=True"),
    ]:
        with pytest.raises(SequenceError, match=problem):
            tokenizer(["ACGTACGTACGT", "ACGTACGT"], **options)
    with pytest.raises(SequenceError, match=r"sequence 2: position 3: 'E'"):
        tokenizer(["ACGT", "ACET"])
    with pytest.raises(SequenceError, match="int64"):
        tokenizer.from_codes(np.zeros((2, 5), np.int64))
    with pytest.raises(SequenceError, match="give uint8"):
        tokenizer.from_codes(np.zeros(5, np.uint8))
    with pytest.raises(SequenceError, match="code 9"):
        tokenizer.from_codes(np.full((2, 5), 9, np.uint8))
    with pytest.raises(SequenceError, match="lengths are not 2 numbers of up to 5"):
        tokenizer.from_codes(np.zeros((2, 5), np.uint8), np.array([3, 6]))


def test_special_tokens_need_room():
    with pytest.raises(SequenceError, match="less than the 2 special"):
        KmerTokenizer(3)(["ACGT"], truncation=True, max_length=1)


def test_empty_batches_and_sequences(tokenizer):
    assert main_of(tokenizer([])) == []
    assert len(main_of(tokenizer([], return_tensors="np"))) == 0
    batch = tokenizer(["", "ACGTACGTA"], padding=True, return_tensors="np")
    assert batch["attention_mask"][0].sum() == (0 if "input_values" in batch else 2)


def test_what_is_saved_is_loaded(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "t")
    texts = ["ACGTACGTNAC", "TTGCANTTACG"]
    expected = tokenizer(texts)
    for again in (
        DnaTokenizer.from_pretrained(tmp_path / "t"),
        type(tokenizer).from_pretrained(str(tmp_path / "t")),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert type(again) is type(tokenizer)
        assert again(texts) == expected
    other = PatchTokenizer if not isinstance(tokenizer, PatchTokenizer) else KmerTokenizer
    with pytest.raises(ModelError, match=f"expected {other.__name__}"):
        other.from_pretrained(tmp_path / "t")


def test_folders_without_a_good_tokenizer(tmp_path):
    with pytest.raises(ModelError, match="no tokenizer"):
        DnaTokenizer.from_pretrained(tmp_path / "none")
    with pytest.raises(ModelError, match="no saved model"):
        DnaTokenizer.from_pretrained(tmp_path)
    for content in ("{", '{"tokenizer_class": "KmerTokenizer"}', "[]"):
        (tmp_path / "tokenizer_config.json").write_text(content)
        with pytest.raises(ModelError) as raised:
            DnaTokenizer.from_pretrained(tmp_path)
        assert "\n" not in str(raised.value)


def test_decoding_by_name_and_wrong_ids():
    tokenizer = KmerTokenizer(2)
    ids = tokenizer("ACGT")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=False) == "[CLS] AC CG GT [SEP]"
    assert tokenizer.batch_decode([ids, ids], skip_special_tokens=False)[1].endswith("GT [SEP]")
    assert tokenizer.decode([CLS, SEP, PAD]) == ""
    assert tokenizer.decode([5, MASK, MASK, 5]) == "AANAA"
    for wrong in (-1, 21):
        with pytest.raises(SequenceError, match=f"id {wrong} is outside"):
            tokenizer.decode([wrong])
    with pytest.raises(SequenceError, match="one sequence"):
        tokenizer.decode([ids, ids])


@pytest.mark.parametrize("k", [0, 9, -1])
def test_k_has_its_range(k):
    for kind in (KmerTokenizer, PatchTokenizer):
        with pytest.raises(ModelError, match="k: Input should be"):
            kind(k)


def test_the_order_of_letters_is_checked():
    with pytest.raises(SequenceError, match="order is 'ACG'"):
        KmerTokenizer(3, order="ACG")
    with pytest.raises(SequenceError, match="channels is 'ACGN'"):
        OneHotTokenizer("ACGN")
