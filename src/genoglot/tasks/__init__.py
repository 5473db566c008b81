"""Benchmark tasks of DNA: their data on disk, splits, leakage reports and baselines."""

from genoglot.tasks.baselines import BASELINES, Baseline
from genoglot.tasks.dataset import Part, Rows, TaskData
from genoglot.tasks.kriging import SITE_MODELS
from genoglot.tasks.leakage import find_leakage, match
from genoglot.tasks.registry import TASKS
from genoglot.tasks.task import Published, Task

__all__ = [
    "BASELINES",
    "SITE_MODELS",
    "TASKS",
    "Baseline",
    "Part",
    "Published",
    "Rows",
    "Task",
    "TaskData",
    "find_leakage",
    "match",
]
