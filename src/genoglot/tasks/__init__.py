"""Benchmark tasks of DNA: data on disk, splits, leakage reports, and builders of each source."""

from genoglot.tasks.dataset import Examples, Subset, TaskData
from genoglot.tasks.lazy_array import LazyArray, RowIndices
from genoglot.tasks.leakage import find_leakage, find_matches
from genoglot.tasks.registry import TASKS
from genoglot.tasks.task import PublishedResult, Task

__all__ = [
    "TASKS",
    "Examples",
    "LazyArray",
    "PublishedResult",
    "RowIndices",
    "Subset",
    "Task",
    "TaskData",
    "find_leakage",
    "find_matches",
]
