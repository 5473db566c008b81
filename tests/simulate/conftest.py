"""Plain readers of the files of the small simulated world."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from genoglot.simulate import World


@pytest.fixture(scope="session")
def genome(world: World) -> dict[str, str]:
    sequences: dict[str, list[str]] = {}
    for line in world.genome_path.read_text().splitlines():
        if line.startswith(">"):
            sequences[line[1:]] = []
            name = line[1:]
        else:
            sequences[name].append(line)
    return {name: "".join(lines) for name, lines in sequences.items()}


@pytest.fixture(scope="session")
def universe(world: World) -> list[tuple[str, int, int]]:
    rows = [line.split("\t") for line in world.universe_path.read_text().splitlines()]
    return [(chrom, int(start), int(end)) for chrom, start, end in rows]


@pytest.fixture(scope="session")
def sheet_rows(world: World) -> list[dict[str, str]]:
    with (world.path / "sheet.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_bed(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt") as file:
        return [line.rstrip("\n").split("\t") for line in file]


@pytest.fixture(scope="session")
def beds(world: World, sheet_rows: list[dict[str, str]]) -> list[list[list[str]]]:
    return [read_bed(world.path / row["file"]) for row in sheet_rows]


@pytest.fixture(scope="session")
def presence(
    universe: list[tuple[str, int, int]], beds: list[list[list[str]]]
) -> np.ndarray:  # (files, elements) bool
    """Which universe regions each file overlaps, by the definition of overlap."""
    by_chrom: dict[str, tuple[list[int], np.ndarray, np.ndarray]] = {}
    for name in {chrom for chrom, _, _ in universe}:
        ids = [i for i, region in enumerate(universe) if region[0] == name]
        by_chrom[name] = (
            ids,
            np.array([universe[i][1] for i in ids]),
            np.array([universe[i][2] for i in ids]),
        )
    present = np.zeros((len(beds), len(universe)), bool)
    for i, bed in enumerate(beds):
        for name, (ids, start, end) in by_chrom.items():
            peaks = np.array([(int(p[1]), int(p[2])) for p in bed if p[0] == name])
            hit = (peaks[:, :1] < end[None]) & (peaks[:, 1:] > start[None])
            present[i, np.array(ids)] = hit.any(0)
    return present
