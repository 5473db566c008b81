"""Metrics of generators, annotators and DNA models, their intervals, and tables of results."""

from genoglot.evaluation.annotation import SetAnnotator, evaluate_annotators
from genoglot.evaluation.differences import (
    differences_markdown,
    paired_difference,
    paired_differences,
)
from genoglot.evaluation.evaluate import RegionScorer, evaluate
from genoglot.evaluation.intervals import Interval, bootstrap_interval, proportion_interval
from genoglot.evaluation.metrics import RegionMetrics, metric_names, region_metrics
from genoglot.evaluation.nucleotides import measure_nucleotides
from genoglot.evaluation.predictions import METRICS, MetricValue, measure_predictions
from genoglot.evaluation.results import ResultsTable
from genoglot.evaluation.text_table import TextTable, format_interval

__all__ = [
    "METRICS",
    "Interval",
    "MetricValue",
    "RegionMetrics",
    "RegionScorer",
    "ResultsTable",
    "SetAnnotator",
    "TextTable",
    "bootstrap_interval",
    "differences_markdown",
    "evaluate",
    "evaluate_annotators",
    "format_interval",
    "measure_nucleotides",
    "measure_predictions",
    "metric_names",
    "paired_difference",
    "paired_differences",
    "proportion_interval",
    "region_metrics",
]
