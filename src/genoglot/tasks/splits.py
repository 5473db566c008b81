"""Which examples a model learns from: at random, by chromosome, by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import TaskError
from genoglot.regions.chromosomes import natural_order
from genoglot.tasks.dataset import SUBSETS

SubsetNames = NDArray[np.object_]
"""train, validation or test of each example, str (n,)."""

_NAMES = np.array(SUBSETS, object)


class TaskSplit(NamedTuple):
    """The assignment of examples to subsets.

    Attributes
    ----------
    rule
        How they are assigned, in words.
    subsets
        Subset of each example, str (n,), or of each chromosome.
    """

    rule: str
    subsets: SubsetNames | Mapping[str, str]


class HeldOut(NamedTuple):
    """Chromosomes that a publication holds out.

    Attributes
    ----------
    validation, test
        Names of chromosomes without "chr".
    source
        The publication.
    """

    validation: tuple[str, ...]
    test: tuple[str, ...]
    source: str


RRBS = HeldOut(("12", "13"), ("10", "11", "X", "Y"), "the published benchmark's methylation task")
EXPECTO = HeldOut(("X", "Y"), ("8",), "the published benchmark's expression task")
DEEPSEA = HeldOut(("7",), ("8", "9"), "DeepSEA, with all of chr7 for its part of chr7")
DART = HeldOut(("6", "21"), ("5", "10", "14", "18", "20", "22"), "DART-Eval")


def random_subsets(n: int, fractions: Sequence[float], rng: np.random.Generator) -> SubsetNames:
    """Split examples at random, in exact fractions.

    Numbers are rounded so that no subset is empty if n >= 3.

    Parameters
    ----------
    n
        Number of examples.
    fractions
        Fractions of train, validation and test; they sum to 1.
    rng
        Source of random numbers.

    Returns
    -------
    SubsetNames
        Subset of each example, str (n,).

    Examples
    --------
    >>> subsets = random_subsets(10, (0.6, 0.2, 0.2), np.random.default_rng(0))
    >>> [int((subsets == name).sum()) for name in SUBSETS]
    [6, 2, 2]
    """
    sizes = [max(round(n * f), 1) if n >= 3 and f > 0 else 0 for f in fractions[1:]]
    code = np.zeros(n, np.int64)
    code[: sizes[0]] = 1
    code[sizes[0] : sum(sizes)] = 2
    return np.take(_NAMES, rng.permutation(code))


def draw_subsets(n: int, fractions: Sequence[float], rng: np.random.Generator) -> SubsetNames:
    """Draw each example's subset independently, for examples that come in batches.

    The parameters and the result are those of `random_subsets`.
    """
    return _NAMES[np.searchsorted(np.cumsum(fractions)[:-1], rng.random(n), side="right")]


def split_by_chromosome(weights: Mapping[str, int], held_out: HeldOut) -> dict[str, TaskSplit]:
    """Choose chromosomes to validate and test on.

    If published ones for both are among the chromosomes, those are taken. Otherwise (another
    genome, or windows of one) the last chromosome is tested on and the one before it validated on,
    and more of them until each subset has a tenth of the weight.

    Parameters
    ----------
    weights
        Weight of each chromosome, such as its number of examples; names with or without "chr".
    held_out
        The published choice.

    Returns
    -------
    dict
        The split, by the name `chromosome`; empty if there are fewer than three chromosomes.

    Examples
    --------
    >>> split_by_chromosome({"chr1": 1, "chr2": 1, "chr3": 1}, RRBS)["chromosome"].subsets
    {'chr1': 'train', 'chr2': 'validation', 'chr3': 'test'}
    """
    names = list(weights)
    if len(names) < 3:
        return {}
    # chr6_apd_hap1 is nearly the DNA of chr6, chr6_GL000250v2_alt too: they stay with it.
    bare = {name: name.removeprefix("chr").partition("_")[0] for name in names}
    published = {"test": held_out.test, "validation": held_out.validation}
    subsets = {
        name: next((subset for subset, held in published.items() if b in held), "train")
        for name, b in bare.items()
    }
    source = held_out.source
    if set(subsets.values()) != set(SUBSETS):
        source = "the last ones; our choice"
        left = sorted(names, key=natural_order)
        subsets = dict.fromkeys(left, "train")
        for subset in ("test", "validation"):
            taken = 0
            needed = 1 if subset == "validation" else 2  # chromosomes to leave for the others
            while not taken or (taken < 0.1 * sum(weights.values()) and len(left) > needed):
                name = left.pop()
                subsets[name], taken = subset, taken + weights[name]
    validation, test = (
        ", ".join(sorted((n for n in names if subsets[n] == subset), key=natural_order))
        for subset in ("validation", "test")
    )
    rule = f"by chromosome: validation {validation}; test {test} ({source})"
    return {"chromosome": TaskSplit(rule, subsets)}


def assign_groups(
    groups: Sequence[str], fractions: Sequence[float], rng: np.random.Generator
) -> dict[str, str]:
    """Assign whole groups, such as elements, to the subsets at random.

    Returns
    -------
    dict
        Subset of each group.

    Raises
    ------
    TaskError
        If there are fewer than three groups.
    """
    names = sorted(set(groups))
    if len(names) < 3:
        raise TaskError(f"{len(names)} groups are too few to train, validate and test on")
    return dict(zip(names, random_subsets(len(names), fractions, rng).tolist(), strict=True))
