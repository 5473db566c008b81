"""Models that turn a text into regions, one file each, behind one interface."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from genoglot.errors import ModelError
from genoglot.models.generator import Generator, local_folder, read_config

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
    return generator_class(read_config(folder)["kind"]).from_pretrained(folder)


__all__ = ["BASELINES", "GENERATORS", "Generator", "create", "generator_class", "load"]
