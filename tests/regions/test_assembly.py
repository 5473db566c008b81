"""Names of genome assemblies that mean the same, and that do not."""

from __future__ import annotations

from itertools import combinations

import pytest

from genoglot.errors import UniverseMismatchError
from genoglot.regions import Regions, Universe
from genoglot.regions.assembly import assembly_name, is_human, same_assembly

SAME = [
    ["hg38", "GRCh38", "grch38.p14", "GRCh38-minimal", "hs38DH", "GRCh38_no_alt_analysis_set",
     "GRCh38/hg38", "Human (hg38)", "HG38 "],
    ["hg19", "GRCh37", "GRCh37.p13", "hs37d5", "b37", "human_g1k_v37"],
    ["hs1", "T2T-CHM13", "T2T-CHM13v2.0", "chm13v2.0"],
    ["mm10", "GRCm38", "GRCm38.p6", "mm10-minimal"],
    ["mm39", "GRCm39"],
    ["mm9", "NCBIM37"],
    ["dm6", "BDGP6", "BDGP6.46"],
    ["dm3", "BDGP5"],
    ["sacCer3", "R64-1-1"],
    ["ce11", "WBcel235"],
    ["danRer11", "GRCz11"],
    ["rn7", "mRatBN7.2"],
    ["rn6", "Rnor_6.0"],
    ["CHM13v1.1"],
    ["my genome v2", "My_Genome-v2"],
    ["my genome v3"],
]  # fmt: skip


@pytest.mark.parametrize("names", SAME, ids=lambda names: names[0])
def test_names_of_one_assembly(names: list[str]) -> None:
    assert len({assembly_name(name) for name in names}) == 1
    assert all(same_assembly(a, b) for a, b in combinations(names, 2))
    assert same_assembly(names[0], "") and same_assembly(" ", names[0])


def test_names_of_two_assemblies() -> None:
    for ours, theirs in combinations(SAME, 2):
        assert not any(same_assembly(a, b) for a in ours for b in theirs)


def test_one_universe_declared_to_be_of_two_assemblies() -> None:
    regions = Regions(["chr1", "chr1"], [0, 50], [10, 60])
    ours = Universe(regions, genome="hg38")
    ours.check_same(Universe(regions, genome="GRCh38.p14"))
    ours.check_same(Universe(regions))
    ours.check_same(ours.digest)
    Universe(regions).check_same(ours)
    for other in (Universe(regions, genome="hg19"), Universe(regions, genome="GRCh37")):
        with pytest.raises(UniverseMismatchError, match=r"declared to be of '.*37|hg19'.*'hg38'"):
            ours.check_same(other)
        with pytest.raises(UniverseMismatchError, match="declared"):
            ours.check_same(other.digest, genome=other.genome)


@pytest.mark.parametrize(
    ("lengths", "human"),
    [
        ({"chr1": 248_956_422, "chr21": 46_709_983, "chr22": 50_818_468}, True),  # hg38
        ({"1": 249_250_621, "20": 63_025_520, "X": 155_270_560}, True),  # hg19
        ({"chr20": 1_000_000, "chr22": 1_000_000}, True),  # parts
        ({f"chr{name}": 61_420_004 for name in (*range(1, 20), "X", "Y")}, False),  # mouse
        ({"chr1": 260_522_016, "chr20": 54_435_887}, False),  # rat
        ({"chr20": 13_897_287, "chr21": 6_844_979, "chr23": 6_149_580}, False),  # chicken
        ({"chr1": 7_000_000, "chr21": 46_709_983, "chr22": 49_000_000}, False),
        ({"I": 230_218, "II": 813_184}, False),
        ({}, False),
    ],
)
def test_human_chromosomes(lengths: dict[str, int], human: bool) -> None:
    assert is_human(lengths) == human
