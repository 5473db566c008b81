"""Every registered model is fitted, saved and loaded, and answers as before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genoglot.atlas import Atlas
from genoglot.errors import ModelError
from genoglot.models import create, load, names
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.cnn import CnnLstm
from genoglot.models.dna.ensemble import SequenceEnsemble
from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.kmer_bert import SIZES, KmerBert
from genoglot.models.dna.motif_matrix_encoder import MotifMatrixEncoder
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel
from genoglot.models.dna.windowed import WindowedEncoder
from genoglot.pretrained import Pretrained
from genoglot.regions import Region2Vec
from genoglot.registry import REGISTRY, Group, group_of, model_class
from genoglot.sequence import BpeTokenizer, KmerTokenizer, OneHotTokenizer, PatchTokenizer
from genoglot.text import MiniLM, Tfidf, TfidfMiniLM

CODES = np.random.default_rng(0).integers(0, 5, (40, 30)).astype(np.uint8)
MATRICES = np.random.default_rng(1).normal(size=(4, 10, 5)).astype(np.float32)
LABELS = np.arange(40) % 2
TEXTS = ["CTCF ChIP-seq in human liver", "open chromatin, human kidney"]
ROWS = range(24)

FEW_STEPS = {"rank": 8, "epochs": 1, "min_steps": 2, "regions_per_step": 64, "seed": 3}
NETWORK = {"dim": 8, "heads": 2, "layers": 1}
SETTINGS: dict[str, dict[str, Any]] = {
    "ridge": {"signal_rank": True, "text": "tfidf+minilm", "choose_penalty": True},
    "text2bed": FEW_STEPS,
    "text2bed-published": {"dim": 8, "region_epochs": 1, "tokens_per_epoch": 999, "epochs": 1},
    "direct": {**FEW_STEPS, "hidden": 8},
    "direct-published": {"epochs": 1},
    "diffusion": {**FEW_STEPS, "sampling_steps": 2, "samples": 2, "hidden": 8},
    "diffusion-published": {"steps": 4, "sampling_steps": 2, "widths": (4,) * 6, "epochs": 1},
    "seq2regions": {**FEW_STEPS, "dim": 8, "set_tokens": 4},
    "seq2regions-published": {**NETWORK, "rank": 4, "set_tokens": 4, "negatives": 50, "epochs": 1},
    "annotator": {"unfamiliar": 0.05, "min_calibration_sets": 1},
}


def network(**settings: Any) -> SequenceModel:
    model = SequenceModel(CnnLstm(channels=(4,), dim=4), names=["bound"], epochs=1, **settings)
    return model.fit(CODES, LABELS, device="cpu")


def motif_matrix() -> MotifMatrixEncoder:
    return MotifMatrixEncoder("abcde", "xxyyy", dim=16, layers=(1,), heads=(2,), family_size=2)


def motif_vectors(model: Any) -> Any:
    with torch.inference_mode():
        return model.eval()(torch.from_numpy(MATRICES)).numpy()


def joint_vectors(model: Any) -> Any:
    with torch.inference_mode():
        vectors = model.eval().region_vectors(torch.from_numpy(MATRICES)).numpy()
    return vectors, model.encoder.embed(CODES)


def trees() -> Any:
    return create("sequence-trees", trees=2).fit(CODES, LABELS, (CODES, LABELS))


def nucleotides() -> Any:
    model = create("nucleotide-model", create("dilated-cnn", context=80, width=4), epochs=1)
    return model.fit(CODES, CODES[:, 4:-4].astype(np.int8) - 1, device="cpu")


OTHERS: dict[str, Callable[[], Pretrained]] = {
    "sequence-model": lambda: network(strands="both", seed=2),
    "sequence-trees": trees,
    "sequence-ensemble": lambda: SequenceEnsemble(
        [SequenceEnsemble([network(seed=1), network(seed=2)]), network()]
    ),
    "attention": lambda: AttentionEncoder(PatchTokenizer(3), **NETWORK),
    "cnn-fc": lambda: create("cnn-fc", length=30, channels=(4, 4), kernel=3, pool=2, dim=8),
    "cnn-lstm": lambda: create("cnn-lstm", OneHotTokenizer("AGCT"), channels=(4,), dim=4),
    "residual-cnn": lambda: create("residual-cnn", width=4, learned=4, queries=1, positions=30),
    "dilated-cnn": lambda: create("dilated-cnn", context=80, width=4),
    "nucleotide-model": nucleotides,
    "windowed": lambda: WindowedEncoder(
        AttentionEncoder(KmerTokenizer(3), **NETWORK), window=10, context=5, **NETWORK
    ),
    "kmer-bert": lambda: KmerBert(KmerTokenizer(3), **SIZES["tiny"]),
    "genebert": lambda: GeneBert(
        KmerBert(KmerTokenizer(3), **SIZES["tiny"]), motif_matrix(), region_bases=8, joint_dim=5
    ),
    "motif-matrix": lambda: motif_matrix(),
    "patch": lambda: PatchTokenizer(3),
    "kmer": lambda: KmerTokenizer(4, order="ATCG"),
    "bpe": lambda: BpeTokenizer.train(CODES, vocab_size=20),
    "onehot": lambda: OneHotTokenizer("AGCT"),
    "minilm": MiniLM,
    "tfidf": lambda: Tfidf(pairs=False, lowercase=False).fit(TEXTS),
    "tfidf+minilm": lambda: TfidfMiniLM.fit(TEXTS),
    "region2vec": lambda: Region2Vec.fit([[0, 1], [1, 2]], 4, dim=3, universe_digest="of a test"),
}

ANSWERS: dict[Group, Callable[[Any], Any]] = {
    "text-to-regions": lambda model: (model.score(TEXTS), model.generate(TEXTS[0], 9).frame),
    "regions-to-text": lambda model: (
        model.annotate(np.arange(0, 400, 7)),
        model.rank([np.arange(50)], TEXTS),
    ),
    "dna-predictor": lambda model: (model.predict(CODES), model.names, model.lengths),
    "dna-encoder": lambda model: model.embed(CODES, strands="both"),
    "dna-and-motifs": joint_vectors,
    "motif-encoder": motif_vectors,
    "tokenizer": lambda model: model.from_codes(CODES, padding=True),
    "text-encoder": lambda model: model.encode(TEXTS),
    "region-embedding": lambda model: (model.vectors, model.universe_digest),
}


def fitted(name: str, atlas: Atlas) -> Any:
    if name in OTHERS:
        return OTHERS[name]()
    return create(name, **SETTINGS.get(name, {})).fit(atlas, ROWS)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one.equals(other) if hasattr(one, "equals") else one == other)


@pytest.mark.parametrize("name", names())
def test_what_is_saved_is_loaded(name: str, toy_atlas: Atlas, tmp_path: Path) -> None:
    model, group = fitted(name, toy_atlas), REGISTRY[name].group
    model.save_pretrained(tmp_path / "model")
    for loaded in (
        load(tmp_path / "model"),
        load(tmp_path / "model", group),
        type(model).from_pretrained(str(tmp_path / "model")),
    ):
        assert isinstance(loaded, model_class(name))
        if type(loaded) is type(model):
            assert loaded.settings == model.settings
            assert loaded.description() == model.description()
        assert same(ANSWERS[group](loaded), ANSWERS[group](model))
        if hasattr(model, "universe"):
            assert loaded.universe == model.universe
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["model_type"], config["format"]) == (name, 2)
    assert group_of(tmp_path / "model") == group
    suffixes = {file.suffix for file in (tmp_path / "model").rglob("*") if file.is_file()}
    assert suffixes <= {".json", ".safetensors", ".parquet", ".txt"}
    loaded.save_pretrained(tmp_path / "again")
    for file in (tmp_path / "model").rglob("*.safetensors"):
        again = tmp_path / "again" / file.relative_to(tmp_path / "model")
        assert again.read_bytes() == file.read_bytes()


def test_every_model_of_the_registry_can_be_made() -> None:
    assert set(names()) == set(OTHERS) | set(names("text-to-regions")) | {"annotator"}
    for name in names():
        assert model_class(name).model_type == name
    with pytest.raises(ModelError, match="no model named 'oracle'; choose from popularity, nea"):
        create("oracle")
    with pytest.raises(ModelError, match="no model named 'ridge'; choose from patch, kmer"):
        model_class("ridge", "tokenizer")


@pytest.mark.parametrize("name", names())
def test_an_unknown_setting_is_refused_by_name(name: str) -> None:
    with pytest.raises(ModelError, match=r"has no setting 'no_such' \(it has: "):
        model_class(name).settings_class.of({"no_such": 1}, name)


def test_settings_cannot_be_changed_and_have_types() -> None:
    model = create("direct", rank=64)
    assert (model.settings.rank, model.settings.epochs) == (64, 20)
    with pytest.raises(ValueError, match="frozen"):
        model.settings.rank = 32
    for wrong in ({"rank": 0}, {"rank": 2.5}, {"learning_rate": "fast"}, {"epochs": -1}):
        with pytest.raises(ModelError, match=f"direct: {next(iter(wrong))}: Input should be"):
            create("direct", **wrong)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tfidf", "holds 'tfidf', a text encoder"),
        ("kmer", "holds 'kmer', a tokenizer of DNA"),
        ("attention", "an encoder of DNA; use genoglot embed"),
        ("sequence-model", "a predictor of DNA; use genoglot predict"),
        ("genebert", "a model of DNA and motif scores; use genoglot embed"),
        ("annotator", "an annotator of BED files; use genoglot annotate"),
    ],
)
def test_another_model_than_asked_for_is_named(
    name: str, says: str, toy_atlas: Atlas, tmp_path: Path
) -> None:
    fitted(name, toy_atlas).save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match=says):
        load(tmp_path / "model", "text-to-regions")
    with pytest.raises(ModelError, match=f"expected Ridge, but it .*{says}"):
        model_class("ridge").from_pretrained(tmp_path / "model")


def test_the_encoder_of_a_predictor_is_loaded_alone(tmp_path: Path) -> None:
    model = network()
    model.save_pretrained(tmp_path / "model")
    encoder = SequenceEncoder.from_pretrained(tmp_path / "model")
    assert np.array_equal(encoder.embed(CODES), model.encoder.embed(CODES))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    KmerTokenizer(3).save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="no saved model"):
        load(tmp_path / "x")
    with pytest.raises(Exception, match="is not empty"):
        KmerTokenizer(4).save_pretrained(tmp_path / "model")
    KmerTokenizer(4).save_pretrained(tmp_path / "model", overwrite=True)
    assert load(tmp_path / "model").k == 4
