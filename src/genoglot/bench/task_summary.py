"""What a dataset of a task contains, for people who look at it before they train on it."""

from __future__ import annotations

from typing import Any

from genoglot.bench.baselines import Lookup, lookup_metrics
from genoglot.tasks import TASKS, TaskData


def summarize_task(data: TaskData) -> dict[str, Any]:
    """Summarize a dataset.

    Parameters
    ----------
    data
        The dataset.

    Returns
    -------
    dict
        Name, size and labels; for each split its rule, the sizes and labels of its subsets,
        duplicates between them and what a lookup of the test examples in the training examples
        reaches; and published results. It can be written as JSON.
    """
    task = TASKS.get(data.task)
    has_lookup = task is not None and Lookup.name in task.baselines
    return {
        "task": data.task,
        "name": data.name,
        "examples": len(data),
        "length": data.length,
        "target": data.target,
        "outputs": len(data.outputs),
        "metrics": data.metrics,
        "digest": data.digest,
        "notes": data.notes,
        "default_split": data.default_split,
        "published_split": task.split if task else None,
        "splits": {
            split: {
                "rule": rule,
                "subsets": data.balance(split),
                "leakage": data.leakage.get(split),
                "lookup": lookup_metrics(data, split) if has_lookup else None,
            }
            for split, rule in data.split_rules.items()
        },
        "leave_out": data.groups if len(data.groups) > 2 else [],
        "published": [row._asdict() for row in task.published_results(data.name)] if task else [],
    }


def describe_labels(subset: dict[str, Any], outputs: list[str]) -> str:
    """Describe the labels of a subset, as `TaskData.balance` counts them.

    Examples
    --------
    >>> describe_labels({"positive": 0.25, "missing": 0.0}, ["open"])
    '25.00% positive'
    """
    missing = f", {subset['missing']:.1%} missing" if subset["missing"] else ""
    if "classes" in subset:
        return ", ".join(f"{name}: {n}" for name, n in zip(outputs, subset["classes"], strict=True))
    if "positive" in subset:
        return f"{subset['positive']:.2%} positive{missing}"
    return f"mean {subset['mean']:.3g}, sd {subset['sd']:.3g}{missing}"


def describe_duplicates(subset: str, leakage: list[dict[str, Any]] | None) -> str:
    """Describe the duplicates of a subset's examples in other subsets, as `find_leakage` does."""
    if leakage is None:
        return "not searched"
    return "; ".join(
        f"{row['same']}, {row['reverse_complement']}, {row['near']} in {row['other_subset']}"
        for row in leakage
        if row["subset"] == subset
    )
