"""Which examples a model learns from: at random, by chromosome, by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions.chromosomes import natural_order
from genoglot.tasks.dataset import SUBSETS

Parts = NDArray[np.object_]
"""train, validation or test of each example, str (n,)."""

_NAMES = np.array(SUBSETS, object)


class Held(NamedTuple):
    """Chromosomes to hold out, with or without "chr", and the source of the choice."""

    validation: tuple[str, ...]
    test: tuple[str, ...]
    source: str


RRBS = Held(("12", "13"), ("10", "11", "X", "Y"), "the seed benchmark's methylation task")
EXPECTO = Held(("X", "Y"), ("8",), "the seed benchmark's expression task")
DEEPSEA = Held(("7",), ("8", "9"), "DeepSEA, with all of chr7 for its part of chr7")
DART = Held(("6", "21"), ("5", "10", "14", "18", "20", "22"), "DART-Eval")


def random_parts(n: int, shares: Sequence[float], rng: np.random.Generator) -> Parts:
    """Split examples at random, in exact shares (rounded so that no part is empty if n >= 3).

    Parameters
    ----------
    n
        Number of examples.
    shares
        Of train, validation and test; they sum to 1.

    Examples
    --------
    >>> parts = random_parts(10, (0.6, 0.2, 0.2), np.random.default_rng(0))
    >>> [int((parts == name).sum()) for name in SUBSETS]
    [6, 2, 2]
    """
    held = [max(round(n * share), 1) if n >= 3 and share > 0 else 0 for share in shares[1:]]
    code = np.zeros(n, np.int64)
    code[: held[0]] = 1
    code[held[0] : sum(held)] = 2
    parts: Parts = _NAMES[rng.permutation(code)]
    return parts


def drawn_parts(n: int, shares: Sequence[float], rng: np.random.Generator) -> Parts:
    """Draw each example's part independently: for examples that come in batches."""
    return _NAMES[np.searchsorted(np.cumsum(shares)[:-1], rng.random(n), side="right")]


def chromosome_parts(
    names: Sequence[str], held: Held, weights: Sequence[int] | None = None
) -> tuple[dict[str, str], str]:
    """Choose chromosomes to validate and test on.

    Where some of the published ones for both are there, those are taken. Else (another genome,
    or windows of one) the last chromosome is tested on and the one before it validated on, more
    of them until each part has a tenth.

    Parameters
    ----------
    names
        Chromosomes that hold examples.
    held
        The published choice.
    weights
        Of each chromosome, such as its number of examples; by default equal.

    Returns
    -------
    Part of each chromosome, and the rule in words. Both empty if there are less than three
    chromosomes.

    Examples
    --------
    >>> chromosome_parts(["chr1", "chr2", "chr3"], RRBS)[0]
    {'chr1': 'train', 'chr2': 'validation', 'chr3': 'test'}
    """
    if len(names) < 3:
        return {}, ""
    # chr6_apd_hap1 is nearly the DNA of chr6, chr6_GL000250v2_alt too: they stay with it.
    bare = {name: name.removeprefix("chr").partition("_")[0] for name in names}
    parts = {
        name: "test" if b in held.test else "validation" if b in held.validation else "train"
        for name, b in bare.items()
    }
    source = held.source
    if set(parts.values()) != set(SUBSETS):
        source = "the last ones; our choice"
        size = dict(zip(names, weights or [1] * len(names), strict=True))
        left = sorted(names, key=natural_order)
        parts = dict.fromkeys(left, "train")
        for part in ("test", "validation"):
            taken = 0
            needed = 1 if part == "validation" else 2  # chromosomes to leave for the others
            while not taken or (taken < 0.1 * sum(size.values()) and len(left) > needed):
                name = left.pop()
                parts[name], taken = part, taken + size[name]
    told = {
        part: ", ".join(sorted((n for n in names if parts[n] == part), key=natural_order))
        for part in ("validation", "test")
    }
    rule = f"by chromosome: validation {told['validation']}; test {told['test']}"
    return parts, f"{rule} ({source})"


def split_by_chromosome(chrom: NDArray[np.object_], held: Held) -> tuple[Parts | None, str]:
    """Part of each example by its chromosome, and the rule in words: see `chromosome_parts`.

    Returns
    -------
    None and an empty rule if there are less than three chromosomes.
    """
    names, index, sizes = np.unique(chrom.astype(str), return_inverse=True, return_counts=True)
    part_of, rule = chromosome_parts(names.tolist(), held, sizes.tolist())
    if not part_of:
        return None, rule
    return np.array([part_of[name] for name in names.tolist()], object)[index], rule


def group_parts(
    groups: Sequence[str], shares: Sequence[float], rng: np.random.Generator
) -> dict[str, str]:
    """Give whole groups, such as elements, to the parts, at random.

    Raises
    ------
    TaskError
        If there are less than three groups.
    """
    names = sorted(set(groups))
    if len(names) < 3:
        raise TaskError(f"{len(names)} groups are too few to train, validate and test on")
    return dict(zip(names, random_parts(len(names), shares, rng).tolist(), strict=True))
