"""Chromosome names: which are valid, how they are spelled, sorted and numbered."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ChromosomeNameError, GenoglotError, some

Alias = str | Mapping[str, str]
ChromCodes = NDArray[np.int32]
"""Index of each region's chromosome in a tuple of names, shape (n,)."""

# Plain chromosome names: 1, 22, X, MT, 2L, XIV. Scaffolds (GL000192.1, Un_KI270302v1) have other
# names in UCSC and Ensembl, which no rule can translate, so that they are left as they are.
_PLAIN = re.compile(r"\d+[A-Za-z]{0,2}|[XYZWUM]|MT|[IVX]+")
_PREFIXED = re.compile(r"(?:chromosome|chrom|chr)[_ -]?(.+)|(.+)", re.IGNORECASE)
# What SAM allows as the name of a reference (specification, section 1.2.1).
_POSSIBLE = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")
# Prefix of plain names, and the name of the mitochondrial chromosome.
_STYLES = {"ucsc": ("chr", "chrM"), "ensembl": ("", "MT")}
_ALTERNATIVE = re.compile(r".+_(?:alt|random|fix|hap\d+)")
_SEX_AND_MITOCHONDRIAL = {"X": 0, "Y": 1, "Z": 2, "W": 3, "M": 4, "MT": 4}


def _bare(name: str) -> str:
    """Drop the prefix, in any case of letters, and leading zeros: Chr01 to 1."""
    match = _PREFIXED.fullmatch(name)
    bare = (match[1] or match[2]) if match else name
    return re.sub(r"^0+(?=\d)", "", bare)


def name_problem(name: str) -> str | None:
    """Describe why a text is not a valid chromosome name.

    Valid are the names that the SAM specification allows: no blanks, quotes, commas or brackets.

    Returns
    -------
    str or None
        The problem, or None if the name is valid.

    Examples
    --------
    >>> name_problem("HLA-A*01:01"), name_problem("chr1 ")
    (None, "the chromosome name 'chr1 ' contains a blank, which is not allowed")
    """
    if _POSSIBLE.fullmatch(name):
        return None
    if not name:
        return "the chromosome has no name"
    wrong = next((c for i, c in enumerate(name) if not _POSSIBLE.fullmatch("a" * (i > 0) + c)), "")
    what = "a blank" if wrong.isspace() else f"the character {wrong!r}"
    return f"the chromosome name {name!r} contains {what}, which is not allowed"


def check_names(
    names: Iterable[str],
    known: Collection[str],
    *,
    ours: str,
    theirs: str,
    renamed: Literal["ours", "theirs"] | None = "ours",
) -> None:
    """Refuse names that the other file spells differently: 1, Chr1 or chr01 for chr1, MT for chrM.

    Parameters
    ----------
    names
        Names in one file. Names that the other file does not have in any spelling are ignored.
    known
        Names in the other file.
    ours, theirs
        The two files, as the error calls them: `"a.bed"`, `"the universe"`.
    renamed
        The file that is read with an `alias`, which can translate its names; None if the names are
        options of a command, to be written as in the other file.

    Raises
    ------
    ChromosomeNameError
        At the first name that the other file spells differently.

    Examples
    --------
    >>> check_names(["chr1", "chrUn_1"], {"chr1"}, ours="a.bed", theirs="the universe")
    >>> check_names(["Chr1"], {"chr1"}, ours="a.bed", theirs="the universe")
    Traceback (most recent call last):
    genoglot.errors.ChromosomeNameError: a.bed says 'Chr1' where the universe says 'chr1'; ...
    """
    spellings: dict[str, str] | None = None
    for name in names:
        if name in known:
            continue
        if spellings is None:
            spellings = {_spelled_alike(other): other for other in known}
        other = spellings.get(_spelled_alike(name))
        if other is None:
            continue
        changed, wanted = (other, name) if renamed == "theirs" else (name, other)
        what = theirs if renamed == "theirs" else ours
        advice = f"rename the chromosomes of {what}" if renamed else f"write {wanted!r}"
        for alias in _STYLES if renamed else ():
            if rename_chromosome(changed, alias) == wanted:
                advice = f'read {what} with alias="{alias}" (--alias {alias})'
        raise ChromosomeNameError(f"{ours} says {name!r} where {theirs} says {other!r}; {advice}")


def unknown_chromosome(
    name: str,
    known: Collection[str],
    *,
    ours: str = "the region set",
    theirs: str = "the genome",
    renamed: Literal["ours", "theirs"] | None = "theirs",
) -> ChromosomeNameError:
    """Make the error for a chromosome that a genome, or another file, does not have.

    Parameters are those of `check_names`.

    Returns
    -------
    ChromosomeNameError
        The error to raise, or whose message is part of another error.

    Raises
    ------
    ChromosomeNameError
        If the other file has the chromosome in another spelling.

    Examples
    --------
    >>> print(unknown_chromosome("chr9", ["chr1", "chr2"]))
    the genome has no chromosome 'chr9'; it has 'chr1', 'chr2'
    """
    check_names([name], known, ours=ours, theirs=theirs, renamed=renamed)
    has = some(known) or "none"
    return ChromosomeNameError(f"{theirs} has no chromosome {name!r}; it has {has}")


def _spelled_alike(name: str) -> str:
    bare = _bare(name).lower()
    return "mt" if bare == "m" else bare


def rename_chromosome(name: str, alias: Alias | None) -> str:
    """Translate a chromosome name to another spelling.

    Parameters
    ----------
    name
        The name in the file.
    alias
        `"ucsc"` (1 to chr1, MT to chrM), `"ensembl"` (chr1 to 1, chrM to MT), or a mapping from
        old to new names. Other names, and all if `alias` is None, are left as they are.

    Returns
    -------
    str
        The translated name.

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
    if alias not in _STYLES:
        raise ChromosomeNameError(
            f'unknown alias {alias!r}: use "ucsc", "ensembl" or a mapping of old to new names'
        )
    prefix, mitochondrial = _STYLES[alias]
    bare = _bare(name)
    if bare in ("M", "MT"):
        return mitochondrial
    return f"{prefix}{bare}" if _PLAIN.fullmatch(bare) else name


def parent_chromosome(name: str, known: Collection[str]) -> str:
    """Return the chromosome of an alternative or unlocalized sequence, as UCSC names it.

    Parameters
    ----------
    name
        Name of a sequence.
    known
        Names of all sequences.

    Returns
    -------
    str
        The chromosome, if it is known; otherwise the name itself.

    Examples
    --------
    >>> known = {"chr6", "NC_000001.11", "NC_000002.11", "chrUn_GL000220v1"}
    >>> [parent_chromosome(n, known) for n in ("chr6_GL000250v2_alt", "chr6_cox_hap2")]
    ['chr6', 'chr6']
    >>> [parent_chromosome(n, known) for n in ("NC_000001.11", "chr7_GL000250v2_alt")]
    ['NC_000001.11', 'chr7_GL000250v2_alt']
    """
    if not _ALTERNATIVE.fullmatch(name):
        return name
    parts = name.split("_")
    prefixes = ("_".join(parts[:i]) for i in range(len(parts) - 1, 0, -1))
    return next((prefix for prefix in prefixes if prefix in known), name)


def natural_order(name: str) -> tuple[int, int, str]:
    """Sort key of a chromosome name: by number, then X, Y, M, then the others alphabetically.

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


def distinct_names(chrom: NDArray[np.object_]) -> tuple[tuple[str, ...], ChromCodes]:
    """Convert the chromosome names of a column to codes.

    Returns
    -------
    names
        Distinct names in order of first appearance.
    codes
        Index into `names` of each row, int32, shape (n,).

    Raises
    ------
    GenoglotError
        If a name is neither a text nor a whole number, such as a missing value.
    """
    values = chrom.tolist()
    spelled = {value: str(value) for value in dict.fromkeys(values)}
    for value in spelled:
        if not isinstance(value, str | int | np.integer):
            raise GenoglotError(
                f"a chromosome is {value!r} ({type(value).__name__}); give its name as a text"
            )
    names = {name: code for code, name in enumerate(dict.fromkeys(spelled.values()))}
    index = {value: names[name] for value, name in spelled.items()}
    return tuple(names), np.fromiter((index[value] for value in values), np.int32, len(values))


def recode(codes: ChromCodes, names: Sequence[str], new_names: Sequence[str]) -> ChromCodes:
    """Translate codes into `names` to codes into `new_names`, which contain all of them.

    Examples
    --------
    >>> recode(np.array([0, 1, 0]), ["chr2", "chr1"], ["chr1", "chr2"])
    array([1, 0, 1], dtype=int32)
    """
    index = {name: code for code, name in enumerate(new_names)}
    return np.array([index[name] for name in names], np.int32)[codes]


def rename_chromosomes(
    names: Sequence[str], codes: ChromCodes, alias: Alias | None
) -> tuple[tuple[str, ...], ChromCodes]:
    """Translate the names of a table as `rename_chromosome` does; equal names become one."""
    if alias is None:
        return tuple(names), codes
    renamed = [rename_chromosome(name, alias) for name in names]
    distinct = tuple(dict.fromkeys(renamed))
    return distinct, recode(codes, renamed, distinct)


def in_order_of_appearance(
    names: tuple[str, ...], codes: ChromCodes
) -> tuple[tuple[str, ...], ChromCodes]:
    """Drop names without rows and number the others by their first row."""
    first = np.full(len(names), len(codes), np.int64)
    # Written from the last row to the first, so that the first row is what remains.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    order = np.argsort(first, kind="stable")[: int((first < len(codes)).sum())]
    if np.array_equal(order, np.arange(len(names))):
        return names, codes
    new = np.zeros(len(names), np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    return tuple(names[i] for i in order), new[codes]
