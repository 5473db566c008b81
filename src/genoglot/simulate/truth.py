"""The ground truth on disk: written once by `simulate`, read by `World`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from genoglot.sequence.motifs import Motif
from genoglot.simulate.biosamples import Biosample, Program
from genoglot.simulate.elements import KINDS, Elements, Sites
from genoglot.simulate.factors import Factor, family_affinity
from genoglot.simulate.regulation import Regulation


def write_truth(
    directory: Path,
    elements: Elements,
    sites: Sites,
    factors: Sequence[Factor],
    motifs: Sequence[Motif],
    samples: Sequence[Biosample],
    programs: Sequence[Program],
    expression: np.ndarray,
) -> None:
    """Write elements, motif instances, factors, biosamples, expression and motifs.

    Raises
    ------
    OSError
        If the directory cannot be written.
    """
    from safetensors.numpy import save

    directory.mkdir()
    chrom_type, kind_type = pl.Enum(elements.chrom_names), pl.Enum(KINDS)
    names = pl.Series([program.name for program in programs])
    chroms = pl.Series(elements.chrom_names, dtype=chrom_type)
    program = pl.Series(elements.program.astype(np.int32))
    frame = pl.DataFrame(
        {
            "id": np.arange(len(elements), dtype=np.int32),
            "chrom": chroms.gather(elements.chrom.astype(np.uint32)),
            "start": elements.start,
            "end": elements.end,
            "kind": pl.Series(KINDS, dtype=kind_type).gather(elements.kind.astype(np.uint32)),
            "program": names.gather(program.set(program < 0, None)).cast(pl.Enum(names)),
            "strand": elements.strand,
            "baseline": elements.baseline,
            "gain": elements.gain,
            "activity": elements.activity,
            "polycomb": elements.polycomb,
        }
    )
    frame.write_parquet(directory / "elements.parquet")

    factor_names = [factor.name for factor in factors]
    instances = pl.DataFrame(
        {
            "chrom": chroms.gather(elements.chrom[sites.element].astype(np.uint32)),
            "start": sites.start,
            "end": sites.end,
            "strand": pl.Series(["-", "+"], dtype=pl.Enum(["-", "+"])).gather(
                (sites.strand > 0).astype(np.uint32)
            ),
            "tf": pl.Series(factor_names, dtype=pl.Enum(factor_names)).gather(
                sites.factor.astype(np.uint32)
            ),
            "element": sites.element,
            "score": sites.score,
        }
    )
    instances.write_parquet(directory / "motif_instances.parquet")

    pl.DataFrame(
        {
            "name": factor_names,
            "matrix": [factor.matrix for factor in factors],
            "family": [factor.family for factor in factors],
            "aliases": [list(factor.aliases) for factor in factors],
        }
    ).write_parquet(directory / "factors.parquet")
    pl.DataFrame([sample._asdict() for sample in samples]).write_parquet(
        directory / "biosamples.parquet"
    )
    pl.DataFrame(
        {
            "name": names,
            "kind": [program.kind for program in programs],
            "factors": [list(program.factors) for program in programs],
        }
    ).write_parquet(directory / "programs.parquet")
    levels = {name: expression[:, i] for i, name in enumerate(factor_names)}
    pl.DataFrame({"biosample": [sample.name for sample in samples], **levels}).write_parquet(
        directory / "expression.parquet"
    )
    matrices = {
        n: np.ascontiguousarray(motif.probabilities)
        for n, motif in zip(factor_names, motifs, strict=True)
    }
    (directory / "motifs.safetensors").write_bytes(save(matrices))


def read_regulation(directory: Path) -> Regulation:
    """Read what the rules need from a truth directory."""
    elements = pl.read_parquet(directory / "elements.parquet")
    sites = pl.read_parquet(
        directory / "motif_instances.parquet", columns=["tf", "element", "score"]
    )
    expression = pl.read_parquet(directory / "expression.parquet")
    factors = [Factor(*row) for row in pl.read_parquet(directory / "factors.parquet").iter_rows()]
    return Regulation(
        kind=elements["kind"].to_physical().to_numpy().astype(np.uint8),
        baseline=elements["baseline"].to_numpy(),
        gain=elements["gain"].to_numpy(),
        activity=elements["activity"].to_numpy(),
        polycomb=elements["polycomb"].to_numpy(),
        site_element=sites["element"].to_numpy(),
        site_factor=sites["tf"].to_physical().to_numpy().astype(np.int16),
        site_score=sites["score"].to_numpy(),
        expression=expression.drop("biosample").to_numpy().astype(np.float32),
        affinity=family_affinity(factors),
        factors=tuple(factor.name for factor in factors),
        biosamples=tuple(expression["biosample"]),
    )
