"""All tasks by name."""

from __future__ import annotations

from genoglot.tasks import gue, mpra, tracks
from genoglot.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (tracks.TASK, tracks.DEEPSEA_919, mpra.TASK, gue.TASK)}
"""Name of each task, and the task."""
