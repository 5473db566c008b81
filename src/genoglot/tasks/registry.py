"""`TASKS`: all tasks by name."""

from __future__ import annotations

from genoglot.tasks.builders import (
    expression,
    gue,
    methylation,
    mpra,
    promoters,
    splice_sites,
    tfbs,
    tracks,
    variants,
    vista,
)
from genoglot.tasks.task import Task

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        promoters.PROM_VARY,
        promoters.PROM_FIX,
        methylation.TASK,
        tracks.TASK,
        tracks.DEEPSEA_919,
        expression.TASK,
        variants.TASK,
        mpra.TASK,
        gue.TASK,
        tfbs.TASK,
        vista.ACTIVITY,
        vista.TISSUES,
        splice_sites.TASK,
    )
}
"""All tasks, by name."""
