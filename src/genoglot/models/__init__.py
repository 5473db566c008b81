"""Models that turn a text into regions, one file each, behind one interface; and the way back."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from genoglot.errors import ModelError
from genoglot.models.annotation import Annotation, Answer, Neighbor
from genoglot.models.annotator import Annotator
from genoglot.models.generator import Generator
from genoglot.models.pretrained import local_folder, read_config

GENERATORS = {
    "popularity": "genoglot.models.baselines:Popularity",
    "nearest": "genoglot.models.baselines:Nearest",
    "ridge": "genoglot.models.baselines:Ridge",
    "text2bed": "genoglot.models.text2bed:Text2Bed",
    "text2bed-seed": "genoglot.models.text2bed:SeedText2Bed",
    "direct": "genoglot.models.direct:DirectEncoder",
    "direct-seed": "genoglot.models.direct:SeedDirectEncoder",
    "diffusion": "genoglot.models.diffusion:Diffusion",
    "diffusion-seed": "genoglot.models.diffusion:SeedDiffusion",
    "seq2regions": "genoglot.models.seq2regions:Seq2Regions",
    "seq2regions-seed": "genoglot.models.seq2regions:SeedSeq2Regions",
}
BASELINES = ("popularity", "nearest", "ridge")
ANNOTATOR = "annotator"


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
    module, name = GENERATORS[kind].split(":")
    found: type[Generator] = getattr(import_module(module), name)
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


__all__ = [
    "ANNOTATOR",
    "BASELINES",
    "GENERATORS",
    "Annotation",
    "Annotator",
    "Answer",
    "Generator",
    "Neighbor",
    "create",
    "generator_class",
    "is_annotator",
    "load",
    "load_annotator",
]
