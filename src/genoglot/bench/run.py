"""Running a benchmark: each run is fitted, tested, and written to a file of its own."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genoglot import __version__
from genoglot.bench.models import fit_and_predict
from genoglot.bench.plan import Run
from genoglot.bench.results import SCHEMA, done_keys, result_of_another_recipe, write_result
from genoglot.bench.run_data import RunData
from genoglot.bench.workspace import Workspace, discard_checkpoints, has_checkpoint
from genoglot.evaluation.provenance import code_version, hardware
from genoglot.locks import lock

log = logging.getLogger("genoglot")

Report = Callable[[Run, Mapping[str, Any] | Exception], None]


def run_missing(runs: Sequence[Run], workspace: Workspace, report: Report) -> int:
    """Do the runs that are not done, one after the other, and write the result of each.

    Several processes can work in one folder: a run that another process is doing is left to it.

    Parameters
    ----------
    runs
        Runs of `plan_runs`.
    workspace
        What the runs share; its folder is that of the results.
    report
        Called after each run, with its result, or with the error if it failed. The other runs go
        on.

    Returns
    -------
    int
        Number of runs that failed.
    """
    failed = 0
    for run in runs:
        folder = workspace.folder / "runs" / run.key
        with lock(folder.with_name(f"{run.key}.lock")) as interrupted:
            if run.key in done_keys(workspace.folder, run.recipe):
                continue
            if interrupted is None:
                log.info("%s: another process is doing this run", run)
                continue
            if interrupted:
                how = "goes on from its checkpoint" if has_checkpoint(folder) else "is done again"
                log.info("%s: was interrupted, and %s", run, how)
            try:
                row = result_of_another_recipe(workspace.folder, run) or do(run, workspace, folder)
            except Exception as error:  # one run that fails does not stop a night's work
                log.debug("%s", run, exc_info=True)
                failed += 1
                report(run, error)
                continue
            if interrupted:
                row["seconds"] = None  # the time before the interruption is not known
            write_result(workspace.folder, run, row)
            discard_checkpoints(folder)
        report(run, row)
    return failed


def do(run: Run, workspace: Workspace, folder: Path) -> dict[str, Any]:
    """Fit the model of a run on train, choose by validation, and test it once.

    Parameters
    ----------
    run
        The run.
    workspace
        What the runs share.
    folder
        Folder for the logs.

    Returns
    -------
    dict
        The result: a value for each column of `SCHEMA`.
    """
    data = workspace.datasets[run.dataset]
    settings = json.loads(run.settings)
    examples = RunData.select(data, run.split, run.configuration, settings, run.seed)
    started = time.perf_counter()
    validation, test, n_parameters = fit_and_predict(examples, workspace, folder)
    seconds = time.perf_counter() - started
    duplicated = examples.duplicated
    row: dict[str, Any] = {
        **dict.fromkeys(SCHEMA),
        "recipe": run.recipe,
        "key": run.key,
        "size": run.size,
        "task": data.task,
        "dataset": run.dataset,
        "digest": run.digest,
        "split": run.split,
        **run.configuration._asdict(),
        "seed": run.seed,
        "n_train": len(examples.train.codes),
        "n_validation": len(examples.validation.codes),
        "n_test": len(examples.test.codes),
        "n_duplicates": None if duplicated is None else int(duplicated.sum()),
        "validation": examples.score(examples.validation.labels, validation),
        "without_duplicates": examples.without_duplicates(test),
        "seconds": seconds,
        "parameters": n_parameters,
        "simulated": bool(data.notes.get("simulated")),
        "settings": run.settings,
        "commit": code_version(),
        "hardware": f"{hardware()}, {workspace.precision}",
        "version": __version__,
    }
    for found in examples.measure(
        examples.test.labels, test, data.metrics, settings["draws"], examples.test_groups
    ):
        row[found.metric] = found.value
        row[f"{found.metric}_low"], row[f"{found.metric}_high"] = found.low, found.high
    return row
