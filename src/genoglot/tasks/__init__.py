"""Benchmark tasks of DNA: their data on disk, splits, leakage reports and baselines."""

from genoglot.tasks.dataset import Part, Rows, TaskData
from genoglot.tasks.registry import TASKS
from genoglot.tasks.task import Published, Task

__all__ = ["TASKS", "Part", "Published", "Rows", "Task", "TaskData"]
