"""Chromosome names: their natural order and the two ways of spelling them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from genoglot.errors import ChromosomeNameError

Alias = str | Mapping[str, str]

# Plain chromosome names: 1, 22, X, MT, 2L, XIV. Scaffolds (GL000192.1, Un_KI270302v1) have other
# names in UCSC and Ensembl, which no rule can translate, so that they are left as they are.
_PLAIN = re.compile(r"\d+[A-Za-z]{0,2}|[XYZWUM]|MT|[IVX]+")
_SEX_AND_MITOCHONDRIAL = {"X": 0, "Y": 1, "Z": 2, "W": 3, "M": 4, "MT": 4}


def _to_ucsc(name: str) -> str:
    if name in ("MT", "M", "chrMT"):
        return "chrM"
    return f"chr{name}" if _PLAIN.fullmatch(name) else name


def _to_ensembl(name: str) -> str:
    bare = name.removeprefix("chr")
    if bare in ("M", "MT"):
        return "MT"
    return bare if _PLAIN.fullmatch(bare) else name


def rename_chromosome(name: str, alias: Alias | None) -> str:
    """Spell a chromosome name another way.

    Parameters
    ----------
    name
        The name as it stands in a file.
    alias
        `"ucsc"` (1 to chr1, MT to chrM), `"ensembl"` (chr1 to 1, chrM to MT), a mapping from old
        to new names (names that it lacks stay), or None.

    Raises
    ------
    ChromosomeNameError
        If `alias` is another string.

    Examples
    --------
    >>> rename_chromosome("X", "ucsc"), rename_chromosome("chrM", "ensembl")
    ('chrX', 'MT')
    >>> rename_chromosome("KI270728.1", "ucsc")
    'KI270728.1'
    """
    if alias is None:
        return name
    if not isinstance(alias, str):
        return alias.get(name, name)
    if alias == "ucsc":
        return _to_ucsc(name)
    if alias == "ensembl":
        return _to_ensembl(name)
    raise ChromosomeNameError(
        f'unknown alias {alias!r}: use "ucsc", "ensembl" or a mapping of old to new names'
    )


def other_spelling(name: str) -> tuple[str, str]:
    """The same chromosome as the other convention spells it, and that convention's alias.

    Examples
    --------
    >>> other_spelling("1"), other_spelling("chrM")
    (('chr1', 'ucsc'), ('MT', 'ensembl'))
    """
    if name.startswith("chr") and name != "chrMT":
        return _to_ensembl(name), "ensembl"
    return _to_ucsc(name), "ucsc"


def natural_order(name: str) -> tuple[int, int, str]:
    """Sort key that puts chr2 before chr10, then X, Y, M, then every other name by its letters.

    Examples
    --------
    >>> sorted(["chrM", "chr10", "chrX", "chr2", "chrUn_1"], key=natural_order)
    ['chr2', 'chr10', 'chrX', 'chrM', 'chrUn_1']
    """
    bare = name.removeprefix("chr")
    if bare.isdecimal():
        return 0, int(bare), name
    if bare in _SEX_AND_MITOCHONDRIAL:
        return 1, _SEX_AND_MITOCHONDRIAL[bare], name
    return 2, 0, name
