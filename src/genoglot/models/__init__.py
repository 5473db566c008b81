"""Models, one file each: text to regions behind one interface, the way back, and DNA to vectors."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from genoglot.errors import ModelError
from genoglot.models.pretrained import local_folder, read_config
from genoglot.models.regions_to_text.annotation import Annotation, Answer, Neighbor
from genoglot.models.regions_to_text.annotator import Annotator
from genoglot.models.text_to_regions.columns import ColumnOdds
from genoglot.models.text_to_regions.generator import Generator

if TYPE_CHECKING:
    from genoglot.models.dna.ensemble import SequenceEnsemble
    from genoglot.models.dna.sequence_encoder import SequenceEncoder
    from genoglot.models.dna.sequence_model import SequenceModel
    from genoglot.models.dna.sequence_trees import SequenceTrees

GENERATORS = {
    "popularity": "genoglot.models.text_to_regions.baselines:Popularity",
    "nearest": "genoglot.models.text_to_regions.baselines:Nearest",
    "ridge": "genoglot.models.text_to_regions.baselines:Ridge",
    "text2bed": "genoglot.models.text_to_regions.text2bed:Text2Bed",
    "text2bed-seed": "genoglot.models.text_to_regions.text2bed:SeedText2Bed",
    "direct": "genoglot.models.text_to_regions.direct:DirectEncoder",
    "direct-seed": "genoglot.models.text_to_regions.direct:SeedDirectEncoder",
    "diffusion": "genoglot.models.text_to_regions.diffusion:Diffusion",
    "diffusion-seed": "genoglot.models.text_to_regions.diffusion:SeedDiffusion",
    "seq2regions": "genoglot.models.text_to_regions.seq2regions:Seq2Regions",
    "seq2regions-seed": "genoglot.models.text_to_regions.seq2regions:SeedSeq2Regions",
}
BASELINES = ("popularity", "nearest", "ridge")
ANNOTATOR = "annotator"
PREDICTORS = {
    "sequence-model": "genoglot.models.dna.sequence_model:SequenceModel",
    "sequence-trees": "genoglot.models.dna.sequence_trees:SequenceTrees",
    "sequence-ensemble": "genoglot.models.dna.ensemble:SequenceEnsemble",
}
OF_DNA = ("sequence-encoder", *PREDICTORS)


def generator_class(kind: str) -> type[Generator]:
    """Return the class of a kind of generator.

    Raises
    ------
    ModelError
        If there is no such kind.

    Examples
    --------
    >>> generator_class("ridge").__name__
    'Ridge'
    """
    if kind not in GENERATORS:
        raise ModelError(f"no model named {kind!r}; choose from {', '.join(GENERATORS)}")
    found: type[Generator] = resolve_name(GENERATORS[kind])
    return found


def create(kind: str, **settings: Any) -> Generator:
    """Make a new generator, to be fitted.

    Examples
    --------
    >>> create("ridge", penalty=2.0).kind
    'ridge'
    """
    return generator_class(kind)(**settings)


def load(path: str | Path) -> Generator:
    """Load a saved generator of any kind, from a directory or a hub id.

    Raises
    ------
    ModelError
        If it is missing, damaged or of an unknown kind.
    """
    folder = local_folder(path)
    if (kind := read_config(folder)["kind"]) == ANNOTATOR:
        raise ModelError(f"{path}: an annotator, which describes BED files; use genoglot annotate")
    if kind in OF_DNA:
        raise ModelError(f"{path}: reads DNA; use genoglot embed or genoglot predict")
    return generator_class(kind).from_pretrained(folder)


def load_annotator(path: str | Path) -> Annotator:
    """Load a saved annotator, from a directory or a hub id.

    Raises
    ------
    ModelError
        If it is missing, damaged or another kind of model.
    """
    folder = local_folder(path)
    if (kind := read_config(folder)["kind"]) != ANNOTATOR:
        raise ModelError(
            f"{path}: holds a {kind!r} model, not an annotator; train one: genoglot train annotator"
        )
    return Annotator.from_pretrained(folder)


def is_annotator(path: str | Path) -> bool:
    """Whether a saved model is an annotator, not a generator."""
    return bool(read_config(local_folder(path))["kind"] == ANNOTATOR)


def load_encoder(path: str | Path) -> SequenceEncoder:
    """Load an encoder of DNA of any kind, from a directory or a hub id.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    from genoglot.models.dna.sequence_encoder import SequenceEncoder

    return SequenceEncoder.from_pretrained(path)


def load_predictor(path: str | Path) -> SequenceModel | SequenceTrees | SequenceEnsemble:
    """Load what predicts something of DNA: a network, trees, or an ensemble of such.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    kind = read_config(local_folder(path))["kind"]
    found: SequenceModel | SequenceTrees | SequenceEnsemble
    found = resolve_name(PREDICTORS.get(kind, PREDICTORS["sequence-model"])).from_pretrained(path)
    return found


__all__ = [
    "ANNOTATOR",
    "BASELINES",
    "GENERATORS",
    "Annotation",
    "Annotator",
    "Answer",
    "ColumnOdds",
    "Generator",
    "Neighbor",
    "create",
    "generator_class",
    "is_annotator",
    "load",
    "load_annotator",
    "load_encoder",
    "load_predictor",
]
