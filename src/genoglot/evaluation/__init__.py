"""How good generated region sets are: metrics, intervals and the results table."""

from genoglot.evaluation.annotation import Describer, evaluate_annotators
from genoglot.evaluation.differences import (
    Difference,
    differences_markdown,
    paired_differences,
)
from genoglot.evaluation.evaluate import Scorer, evaluate
from genoglot.evaluation.intervals import (
    Interval,
    bootstrap_interval,
    paired_difference,
    share_interval,
)
from genoglot.evaluation.metrics import Measures, Ranking, measure, metric_names
from genoglot.evaluation.predictions import METRICS, Measured, measure_predictions
from genoglot.evaluation.table import Result, Table

__all__ = [
    "METRICS",
    "Describer",
    "Difference",
    "Interval",
    "Measured",
    "Measures",
    "Ranking",
    "Result",
    "Scorer",
    "Table",
    "bootstrap_interval",
    "differences_markdown",
    "evaluate",
    "evaluate_annotators",
    "measure",
    "measure_predictions",
    "metric_names",
    "paired_difference",
    "paired_differences",
    "share_interval",
]
