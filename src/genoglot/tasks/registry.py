"""All tasks by name."""

from __future__ import annotations

from genoglot.tasks import gue
from genoglot.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (gue.TASK,)}
"""Name of each task, and the task."""
