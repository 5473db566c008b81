"""Benchmark tasks of DNA: data on disk, splits, leakage reports, baselines, and recipes to run."""

from genoglot.tasks.baselines import BASELINES, Baseline
from genoglot.tasks.bench import Run, expand, find_datasets, read_results, run_missing
from genoglot.tasks.contender import CONTENDERS, Contender, Problem
from genoglot.tasks.dataset import Part, Rows, TaskData
from genoglot.tasks.kriging import SITE_MODELS
from genoglot.tasks.leakage import find_leakage, match
from genoglot.tasks.recipe import Choice, Recipe
from genoglot.tasks.registry import TASKS
from genoglot.tasks.scoreboard import Scoreboard
from genoglot.tasks.task import Published, Task
from genoglot.tasks.workshop import Workshop

__all__ = [
    "BASELINES",
    "CONTENDERS",
    "SITE_MODELS",
    "TASKS",
    "Baseline",
    "Choice",
    "Contender",
    "Part",
    "Problem",
    "Published",
    "Recipe",
    "Rows",
    "Run",
    "Scoreboard",
    "Task",
    "TaskData",
    "Workshop",
    "expand",
    "find_datasets",
    "find_leakage",
    "match",
    "read_results",
    "run_missing",
]
