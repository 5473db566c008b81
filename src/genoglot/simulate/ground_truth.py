"""The ground truth on disk: written by `simulate`, read by `World`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from genoglot.simulate.biosamples import Biosample, Program
from genoglot.simulate.elements import KINDS, Elements
from genoglot.simulate.factors import Factor, family_affinity
from genoglot.simulate.genes import gene_table, link_table
from genoglot.simulate.genome import SimulatedGenome
from genoglot.simulate.regulation import Regulation


def write_ground_truth(
    folder: Path,
    genome: SimulatedGenome,
    factors: Sequence[Factor],
    samples: Sequence[Biosample],
    programs: Sequence[Program],
    expression: np.ndarray,
) -> None:
    """Write the ground truth that exists before any experiment.

    Parameters
    ----------
    folder
        Folder of the ground truth; it is created.
    genome
        The simulated genome.
    factors, samples, programs
        All factors, biosamples and programs.
    expression
        float32 (samples, factors).
    """
    from safetensors.numpy import save

    folder.mkdir()
    elements, names = genome.elements, [factor.name for factor in factors]
    levels = {name: expression[:, i] for i, name in enumerate(names)}
    tables = {
        "elements": _elements(elements, [program.name for program in programs]),
        "motif_instances": _motif_instances(genome, names),
        "factors": pl.DataFrame(
            {
                "name": names,
                "matrix": [factor.matrix for factor in factors],
                "family": [factor.family for factor in factors],
                "aliases": [list(factor.aliases) for factor in factors],
            }
        ),
        "biosamples": pl.DataFrame([sample._asdict() for sample in samples]),
        "programs": pl.DataFrame(
            {
                "name": [program.name for program in programs],
                "kind": [program.kind for program in programs],
                "factors": [list(program.factors) for program in programs],
            }
        ),
        "expression": pl.DataFrame({"biosample": [sample.name for sample in samples], **levels}),
        "genes": gene_table(elements, genome.genes),
        "links": link_table(elements, genome.genes),
    }
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    matrices = {
        name: np.ascontiguousarray(motif.probabilities)
        for name, motif in zip(names, genome.motifs, strict=True)
    }
    (folder / "motifs.safetensors").write_bytes(save(matrices))


def _elements(elements: Elements, programs: list[str]) -> pl.DataFrame:
    program = pl.Series(elements.program.astype(np.int32))
    names = pl.Series(programs).gather(program.set(program < 0, None))
    return pl.DataFrame(
        {
            "id": np.arange(len(elements), dtype=np.int32),
            "chrom": _enum(elements.chrom_names, elements.chrom),
            "start": elements.start,
            "end": elements.end,
            "kind": _enum(KINDS, elements.kind),
            "program": names.cast(pl.Enum(programs)),
            "strand": elements.strand,
            "baseline": elements.baseline,
            "gain": elements.gain,
            "activity": elements.activity,
            "polycomb": elements.polycomb,
        }
    )


def _motif_instances(genome: SimulatedGenome, factors: list[str]) -> pl.DataFrame:
    elements, sites = genome.elements, genome.sites
    return pl.DataFrame(
        {
            "chrom": _enum(elements.chrom_names, elements.chrom[sites.element]),
            "start": sites.start,
            "end": sites.end,
            "strand": _enum(["-", "+"], sites.strand > 0),
            "tf": _enum(factors, sites.factor),
            "element": sites.element,
            "score": sites.score,
        }
    )


def _enum(names: Sequence[str], codes: np.ndarray) -> pl.Series:
    """Return a column of names, given their indices."""
    return pl.Series(names, dtype=pl.Enum(names)).gather(codes.astype(np.uint32))


def read_regulation(folder: Path) -> Regulation:
    """Read the rules of a world from the folder of its ground truth."""

    def read(table: str, columns: list[str] | None = None) -> pl.DataFrame:
        return pl.read_parquet(folder / f"{table}.parquet", columns=columns)

    def codes(column: pl.Series, dtype: Any) -> np.ndarray:
        return column.to_physical().to_numpy().astype(dtype)

    elements, expression = read("elements"), read("expression")
    sites = read("motif_instances", ["tf", "element", "score"])
    factors = [Factor(*row) for row in read("factors").iter_rows()]
    return Regulation(
        kind=codes(elements["kind"], np.uint8),
        baseline=elements["baseline"].to_numpy(),
        gain=elements["gain"].to_numpy(),
        activity=elements["activity"].to_numpy(),
        polycomb=elements["polycomb"].to_numpy(),
        site_element=sites["element"].to_numpy(),
        site_factor=codes(sites["tf"], np.int16),
        site_score=sites["score"].to_numpy(),
        expression=expression.drop("biosample").to_numpy().astype(np.float32),
        affinity=family_affinity(factors),
        factors=tuple(factor.name for factor in factors),
        biosamples=tuple(expression["biosample"]),
    )
