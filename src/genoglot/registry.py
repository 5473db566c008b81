"""The registry: every kind of model that can be saved, by name.

The command line, the benchmark runner, the tests and loading all iterate over it. To add a model,
write a class that derives from `genoglot.pretrained.Pretrained` and add one line here. Classes are
named by strings, so that this module imports none of them, and is imported in no time.
"""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, NamedTuple

from genoglot.errors import ModelError
from genoglot.hub import local_folder

Group = Literal[
    "text-to-regions",
    "regions-to-text",
    "dna-predictor",
    "dna-encoder",
    "dna-and-motifs",
    "motif-encoder",
    "tokenizer",
    "text-encoder",
    "region-embedding",
]


class Entry(NamedTuple):
    """A kind of model.

    Attributes
    ----------
    path
        Its class, as "module:class" below the package genoglot.
    group
        What it translates.
    baseline
        Whether it is a baseline, which other models of its group are compared with.
    """

    path: str
    group: Group
    baseline: bool = False


_TEXT = "models.text_to_regions."

REGISTRY: dict[str, Entry] = {
    "popularity": Entry(f"{_TEXT}baselines:Popularity", "text-to-regions", baseline=True),
    "nearest": Entry(f"{_TEXT}baselines:Nearest", "text-to-regions", baseline=True),
    "ridge": Entry(f"{_TEXT}baselines:Ridge", "text-to-regions", baseline=True),
    "text2bed": Entry(f"{_TEXT}text2bed:Text2Bed", "text-to-regions"),
    "text2bed-published": Entry(f"{_TEXT}text2bed:PublishedText2Bed", "text-to-regions"),
    "direct": Entry(f"{_TEXT}direct:Direct", "text-to-regions"),
    "direct-published": Entry(f"{_TEXT}direct:PublishedDirect", "text-to-regions"),
    "diffusion": Entry(f"{_TEXT}diffusion:Diffusion", "text-to-regions"),
    "diffusion-published": Entry(f"{_TEXT}diffusion:PublishedDiffusion", "text-to-regions"),
    "seq2regions": Entry(f"{_TEXT}seq2regions:Seq2Regions", "text-to-regions"),
    "seq2regions-published": Entry(
        f"{_TEXT}seq2regions_published:PublishedSeq2Regions", "text-to-regions"
    ),
    "annotator": Entry("models.regions_to_text.annotator:Annotator", "regions-to-text"),
    "sequence-model": Entry("models.dna.sequence_model:SequenceModel", "dna-predictor"),
    "nucleotide-model": Entry("models.dna.nucleotide_model:NucleotideModel", "dna-predictor"),
    "sequence-trees": Entry("models.dna.sequence_trees:SequenceTrees", "dna-predictor"),
    "sequence-ensemble": Entry("models.dna.ensemble:SequenceEnsemble", "dna-predictor"),
    "attention": Entry("models.dna.attention:AttentionEncoder", "dna-encoder"),
    "cnn-fc": Entry("models.dna.cnn:CnnFc", "dna-encoder"),
    "cnn-lstm": Entry("models.dna.cnn:CnnLstm", "dna-encoder"),
    "residual-cnn": Entry("models.dna.residual_cnn:ResidualCnn", "dna-encoder"),
    "kmer-bert": Entry("models.dna.kmer_bert:KmerBert", "dna-encoder"),
    "dilated-cnn": Entry("models.dna.dilated_cnn:DilatedCnn", "dna-encoder"),
    "windowed": Entry("models.dna.windowed:WindowedEncoder", "dna-encoder"),
    "genebert": Entry("models.dna.genebert:GeneBert", "dna-and-motifs"),
    "motif-matrix": Entry("models.dna.motif_matrix_encoder:MotifMatrixEncoder", "motif-encoder"),
    "patch": Entry("sequence.tokenizers.patch:PatchTokenizer", "tokenizer"),
    "kmer": Entry("sequence.tokenizers.kmer:KmerTokenizer", "tokenizer"),
    "bpe": Entry("sequence.tokenizers.byte_pair:BpeTokenizer", "tokenizer"),
    "onehot": Entry("sequence.tokenizers.one_hot:OneHotTokenizer", "tokenizer"),
    "minilm": Entry("text.minilm:MiniLM", "text-encoder"),
    "tfidf": Entry("text.tfidf:Tfidf", "text-encoder"),
    "tfidf+minilm": Entry("text.tfidf_minilm:TfidfMiniLM", "text-encoder"),
    "region2vec": Entry("regions.region2vec:Region2Vec", "region-embedding"),
}

_USES: dict[Group, str] = {
    "text-to-regions": "a generator of regions; use genoglot generate",
    "regions-to-text": "an annotator of BED files; use genoglot annotate",
    "dna-predictor": "a predictor of DNA; use genoglot predict",
    "dna-encoder": "an encoder of DNA; use genoglot embed",
    "dna-and-motifs": "a model of DNA and motif scores; use genoglot embed",
    "motif-encoder": "an encoder of motif scores; use genoglot.models.load",
    "tokenizer": "a tokenizer of DNA; use genoglot.models.load",
    "text-encoder": "a text encoder; use genoglot.models.load",
    "region-embedding": "vectors of regions; use genoglot.models.load",
}


def names(group: Group | None = None, *, baseline: bool | None = None) -> tuple[str, ...]:
    """List the kinds of model.

    Parameters
    ----------
    group
        Only those of this group; by default all.
    baseline
        Only baselines, or only others; by default both.

    Returns
    -------
    tuple of str
        Names, in the order of the registry.

    Examples
    --------
    >>> names("text-to-regions", baseline=True)
    ('popularity', 'nearest', 'ridge')
    """
    return tuple(
        name
        for name, entry in REGISTRY.items()
        if group in (None, entry.group) and baseline in (None, entry.baseline)
    )


def model_class(name: str, group: Group | None = None) -> type[Any]:
    """Import the class of a kind of model.

    Parameters
    ----------
    name
        A name in the registry.
    group
        Group that the model has to be of; by default any.

    Returns
    -------
    type
        A class that derives from `genoglot.pretrained.Pretrained`.

    Raises
    ------
    ModelError
        If there is no such kind of model, or none in the group.

    Examples
    --------
    >>> model_class("ridge").__name__
    'Ridge'
    """
    if name not in names(group):
        raise ModelError(f"no model named {name!r}; choose from {', '.join(names(group))}")
    found: type[Any] = resolve_name(f"genoglot.{REGISTRY[name].path}")
    return found


def create(name: str, *parts: Any, **settings: Any) -> Any:
    """Make a new model, to be fitted.

    Parameters
    ----------
    name
        A name in the registry.
    *parts
        Other models that it consists of, such as the tokenizer of an encoder of DNA.
    **settings
        Its settings, as its class documents them.

    Examples
    --------
    >>> create("ridge", penalty=2.0).model_type
    'ridge'
    """
    return model_class(name)(*parts, **settings)


def load(path: str | Path, group: Group | None = None) -> Any:
    """Load a saved model of any kind.

    Parameters
    ----------
    path
        Folder of the model, or its name on the Hugging Face hub (`owner/name`).
    group
        Group that the model has to be of; by default any.

    Returns
    -------
    genoglot.pretrained.Pretrained
        The model, of the class that was saved.

    Raises
    ------
    ModelError
        If it is missing, damaged, of another group or saved by another version in another format.
    """
    from genoglot.saved import read_config

    folder = local_folder(path, what="saved model")
    name = read_config(folder)["model_type"]
    if name in REGISTRY and group not in (None, REGISTRY[name].group):
        raise ModelError(f"{path}: {purpose(name)}")
    return model_class(name).from_pretrained(folder)


def group_of(path: str | Path) -> Group:
    """Read the group of a saved model, without loading it."""
    from genoglot.saved import read_config

    name = read_config(local_folder(path, what="saved model"))["model_type"]
    model_class(name)
    return REGISTRY[name].group


def purpose(name: str) -> str:
    """Say what a kind of model is, and which command uses it.

    Examples
    --------
    >>> purpose("annotator")
    "holds 'annotator', an annotator of BED files; use genoglot annotate"
    """
    return f"holds {name!r}, {_USES[REGISTRY[name].group]}"
