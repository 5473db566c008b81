"""Benchmark tasks of DNA: data on disk, splits, leakage reports, and builders of each source."""

from genoglot.tasks.dataset import Examples, LazyArray, TaskData
from genoglot.tasks.leakage import find_leakage, match
from genoglot.tasks.registry import TASKS
from genoglot.tasks.task import Published, Task

__all__ = [
    "TASKS",
    "Examples",
    "LazyArray",
    "Published",
    "Task",
    "TaskData",
    "find_leakage",
    "match",
]
