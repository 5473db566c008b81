"""Which regions lie in a genome, base by base."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoglot.errors import ChromosomeNameError, GenoglotError
from genoglot.regions import Regions
from genoglot.sequence import Genome
from genoglot.sequence.inside import find_inside

BASES = {"chr1": range(30), "chr2": range(100, 140)}  # the second one is a part of its chromosome


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("inside") / "g.fa"
    path.write_text(f">chr1:1-30\n{'A' * 30}\n>chr2:101-140\n{'C' * 40}\n")
    return Genome.open(path, record_positions="names")


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["chr1", "chr2", "chr9"]), st.integers(0, 150), st.integers(0, 9)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_regions_are_inside_if_their_bases_are(
    genome: Genome, rows: list[tuple[str, int, int]]
) -> None:
    rows = [("chr1", 0, 1), *rows]
    regions = Regions([r[0] for r in rows], [r[1] for r in rows], [r[1] + r[2] for r in rows])
    found = find_inside(regions, genome, "peaks.bed")
    for i, (chrom, start, length) in enumerate(rows):
        bases = BASES.get(chrom, range(0))
        inside = [base in bases for base in range(start, start + length)]
        if not length:  # a position between two bases, or at an end
            inside = [start in bases or start - 1 in bases]
        assert found.wholly[i] == all(inside) and found.partly[i] == any(inside)


def test_regions_of_another_genome_are_refused(genome: Genome, tmp_path: Path) -> None:
    with pytest.raises(ChromosomeNameError, match=r"peaks\.bed says '1' where the genome says"):
        find_inside(Regions(["1"], [0], [5]), genome, "peaks.bed")
    with pytest.raises(GenoglotError, match=r"peaks\.bed: the genome has no chromosome 'chr9'"):
        find_inside(Regions(["chr9"], [0], [5]), genome, "peaks.bed")
    (tmp_path / "whole.fa").write_text(f">chr1\n{'A' * 30}\n")
    whole = Genome.open(tmp_path / "whole.fa")
    far = Regions(["chr1"] * 3, [0, 40, 50], [5, 45, 55])
    with pytest.raises(GenoglotError, match=r"2 of 3 regions lie past the ends .*chr1:4\d-45"):
        find_inside(far, whole, "peaks.bed")
    assert find_inside(far[[0, 1]], whole, "peaks.bed").wholly.tolist() == [True, False]
