"""The data set of GeneBERT, beside loops over regions, bases and cell types."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from genoglot.atlas import Atlas
from genoglot.atlas.accessibility import Accessibility
from genoglot.errors import ChromosomeNameError, GenoglotError, ModelError
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.regions import Regions, Universe
from genoglot.sequence import Genome
from genoglot.sequence.motifs import Motif, jaspar

CHROMS = ("chr1", "chr2", "chr10", "chr11", "chrX")
N = 60  # regions on each chromosome
CELL_TYPES = ["B cell", "monocyte", "neuron", "rare"]
MOTIFS = tuple(motif for motif in jaspar() if len(motif) < 9)[:7]
WIDTH = 90
Samples = list[tuple[int, tuple[int, ...]]]


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    with path.open("w") as file:
        for chrom in CHROMS:
            letters = rng.choice(list("ACGT"), 300 * N)
            letters[1000:1400] = "N"
            file.write(f">{chrom}\n{''.join(letters)}\n")
    return Genome.open(path)


def make_source(seed: int = 0) -> Accessibility:
    """Unsorted regions of 40 to 250 bp, the first at the beginning of its chromosome."""
    rng = np.random.default_rng(seed)
    chrom = np.repeat(CHROMS, N)
    start = np.tile(np.arange(N) * 300, len(CHROMS))
    end = start + rng.integers(40, 250, len(start))
    order = rng.permutation(len(start))
    opened = rng.random((len(CELL_TYPES), len(start))) < np.array([0.6, 0.3, 0.5, 0.05])[:, None]
    regions = Regions(chrom[order], start[order], end[order])
    return Accessibility(regions, CELL_TYPES, csr_array(opened), "source", "toy")


@pytest.fixture(scope="module")
def source() -> Accessibility:
    return make_source()


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory, source: Accessibility, genome: Genome
) -> GeneBertData:
    out = tmp_path_factory.mktemp("data") / "out"
    return GeneBertData.build(out, source, genome, MOTIFS, width=WIDTH)


def locus(data: GeneBertData, i: int) -> tuple[str, int, int]:
    return data.chrom_names[data.chrom[i]], int(data.start[i]), int(data.end[i])


def test_regions_that_are_open_somewhere_are_sorted(
    data: GeneBertData, source: Accessibility
) -> None:
    opened = source.open_regions.toarray()
    regions = [*zip(source.regions.chrom, source.regions.start, source.regions.end, strict=True)]
    used = [regions[i] for i in np.flatnonzero(opened.any(axis=0))]
    used.sort(key=lambda region: (CHROMS.index(region[0]), region[1]))
    assert [locus(data, i) for i in range(data.n_regions)] == used
    assert 0 < len(used) < len(regions)
    for row, name in enumerate(CELL_TYPES):
        mine = {locus(data, i) for i in data.open_regions(name)}
        assert mine == {regions[i] for i in np.flatnonzero(opened[row])}


def test_dna_is_that_around_the_center(data: GeneBertData, genome: Genome) -> None:
    codes = data.codes(np.arange(data.n_regions))
    assert codes.shape == (data.n_regions, WIDTH) and codes.dtype == np.uint8
    for i in range(data.n_regions):
        chrom, start, end = locus(data, i)
        first = (start + end) // 2 - WIDTH // 2
        assert genome.sequence(chrom, first, first + WIDTH) == "".join("ACGTN"[c] for c in codes[i])
    ids = np.array([[3, 1], [0, 3]])
    assert (data.codes(ids) == codes[ids]).all()


def best_site(motif: Motif, codes: np.ndarray) -> float:
    """Score of the best site on either strand, one site after the other; NaN without a site."""
    scores = [np.nan]
    for strand in (codes, np.where(codes < 4, 3 - codes, 4)[::-1]):
        for at in range(len(codes) - len(motif) + 1):
            site = strand[at : at + len(motif)]
            if (site < 4).all():
                scores.append(sum(motif.log_odds[j, site[j]] for j in range(len(motif))))
    return float(np.nanmax(scores)) if len(scores) > 1 else np.nan


def test_motif_scores_are_standardized_over_the_training_regions(data: GeneBertData) -> None:
    codes = data.codes(np.arange(data.n_regions))
    found = np.array([[best_site(motif, row) for motif in MOTIFS] for row in codes])
    assert np.isnan(found).any()
    train = found[data.subset == 0]
    wanted = (found - np.nanmean(train, axis=0)) / np.nanstd(train, axis=0)
    scores = data.motif_scores(np.arange(data.n_regions))
    assert scores.dtype == np.float32
    assert np.allclose(scores, np.nan_to_num(wanted), atol=0.01)
    assert data.motif_scores(np.array([[[5]]])).shape == (1, 1, 1, len(MOTIFS))
    assert data.motifs == [motif.id for motif in MOTIFS]
    assert data.families == [motif.family or "unknown" for motif in MOTIFS]


def test_sums_of_scores_are_an_option(
    tmp_path: Path, source: Accessibility, genome: Genome, data: GeneBertData
) -> None:
    sums = GeneBertData.build(tmp_path / "o", source, genome, MOTIFS, width=WIDTH, scores="sum")
    ids = np.arange(data.n_regions)
    assert (sums.codes(ids) == data.codes(ids)).all()
    assert not np.allclose(sums.motif_scores(ids), data.motif_scores(ids), atol=0.1)
    assert sums.digest != data.digest


def brute_force(
    data: GeneBertData, subset: int | None, cell_types: list[str], n_regions: int
) -> Samples:
    samples = []
    for name in cell_types:
        opened = data.open_regions(name).tolist()
        for at in range(len(opened) - n_regions + 1):
            ids = opened[at : at + n_regions]
            same = len({(data.chrom[i], data.subset[i]) for i in ids}) == 1
            if same and (data.subset[ids[0]] == subset or subset is None):
                samples.append((data.cell_types.index(name), tuple(ids)))
    return samples


@pytest.mark.parametrize("subset", [None, "train", "validation", "test"])
@pytest.mark.parametrize("n_regions", [2, 5, 10])
@pytest.mark.parametrize("cell_types", [None, ["neuron", "B cell"]])
def test_samples_are_consecutive_open_regions(
    data: GeneBertData, subset: str | None, n_regions: int, cell_types: list[str] | None
) -> None:
    samples = data.samples(subset, cell_types, n_regions)
    rows = np.arange(len(samples))
    found = zip(samples.cell_type(rows).tolist(), samples.region_ids(rows).tolist(), strict=True)
    number = None if subset is None else ("train", "validation", "test").index(subset)
    used = [name for name in CELL_TYPES if cell_types is None or name in cell_types]
    wanted = brute_force(data, number, used, n_regions)
    assert [(cell, tuple(ids)) for cell, ids in found] == wanted
    assert samples.region_ids(rows[:6].reshape(2, 3)).shape == (2, 3, n_regions)


def test_no_region_is_in_two_subsets(data: GeneBertData) -> None:
    used = {
        subset: np.unique(samples.region_ids(np.arange(len(samples))))
        for subset in ("train", "validation", "test")
        for samples in [data.samples(subset, n_regions=2)]  # type: ignore[arg-type]
    }
    chroms = {subset: set(data.chrom[ids].tolist()) for subset, ids in used.items()}
    assert sum(map(len, chroms.values())) == len(set.union(*chroms.values())) == len(CHROMS)


@pytest.mark.parametrize("n_regions", [3, 6, 10])
def test_other_segments_are_from_elsewhere_in_the_cell_type(
    data: GeneBertData, n_regions: int
) -> None:
    """All segments that share no region with the sample are drawn equally often, and no other."""
    samples = data.samples("train", n_regions=n_regions)
    segments = brute_force(data, 0, CELL_TYPES, n_regions - n_regions // 2)
    for row in range(0, len(samples), 17):
        ids = set(samples.region_ids(np.array([row]))[0].tolist())
        cell = int(samples.cell_type(np.array([row]))[0])
        allowed = [one for c, one in segments if c == cell and not ids & set(one)]
        draws = (np.arange(len(allowed)) + 0.5) / len(allowed)
        rows = np.full(len(allowed), row)
        found = [tuple(one) for one in samples.other_segment(rows, draws).tolist()]
        assert found == allowed
        assert samples.other_segment(rows[:1], np.array([1 - 1e-12])).tolist()[0] == [*allowed[-1]]


def test_without_another_segment_it_is_not_the_next_one(tmp_path: Path, genome: Genome) -> None:
    """A cell type whose only run is no longer than a sample."""
    start = np.tile(np.arange(4) * 300, 3)
    regions = Regions(np.repeat(CHROMS[:3], 4), start, start + 99)
    opened = np.array([[True] * 4 + [False] * 8, [True] * 12])
    source = Accessibility(regions, ["few", "all"], csr_array(opened), "source")
    made = GeneBertData.build(
        tmp_path / "o", source, genome, MOTIFS, validation=["chr2"], test=["chr10"]
    )
    samples = made.samples("train", ["few"], n_regions=4)
    draws = np.linspace(0, 0.999, 50)
    found = samples.other_segment(np.zeros(50, np.int64), draws)
    assert {tuple(one) for one in found.tolist()} == {(0, 1), (1, 2)}


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n_chroms=st.integers(1, 5), width=st.integers(20, 400))
def test_any_split_has_regions_of_its_own(
    tmp_path_factory: pytest.TempPathFactory,
    genome: Genome,
    seed: int,
    n_chroms: int,
    width: int,
) -> None:
    rng = np.random.default_rng(seed)
    codes = np.sort(rng.integers(0, n_chroms, 150))
    at = np.unique(np.stack([codes, rng.integers(0, 17_900, 150)]), axis=1)
    regions = Regions(np.array(CHROMS, object)[at[0]], at[1], at[1] + 90)
    opened = csr_array(np.ones((1, len(regions)), bool))
    out = tmp_path_factory.mktemp("split") / "o"
    source = Accessibility(regions, ["all"], opened, "source")
    try:
        data = GeneBertData.build(out, source, genome, MOTIFS[:1], width=width, progress=False)
    except ModelError as error:
        assert "too few regions" in str(error) and len(regions.chrom_names) < 3
        return
    assert {0, 1, 2} <= set(data.subset.tolist()) <= {-1, 0, 1, 2}
    low = (data.start + data.end) // 2 - width // 2
    for i in range(data.n_regions):
        near = (data.chrom == data.chrom[i]) & (low < low[i] + width) & (low > low[i] - width)
        assert len(set(data.subset[near].tolist()) - {-1}) <= 1
        if len(data.chrom_names) > 2:
            assert len(set(data.subset[data.chrom == data.chrom[i]].tolist())) == 1


def split(
    folder: Path, sizes: dict[str, int], step: int = 100, **named: list[str]
) -> tuple[GeneBertData, dict[str, set[int]]]:
    """Build data with a number of regions for each chromosome; return the subsets of each one."""
    fasta = folder / "sizes.fa"
    fasta.write_text(
        "".join(f">{name}\n{'ACGTT' * (n * step // 5)}\n" for name, n in sizes.items())
    )
    chrom = np.repeat(list(sizes), list(sizes.values()))
    start = np.concatenate([np.arange(n) * step for n in sizes.values()])
    opened = csr_array(np.ones((1, len(chrom)), bool))
    source = Accessibility(Regions(chrom, start, start + 90), ["all"], opened, "source")
    data = GeneBertData.build(
        folder / "split", source, Genome.open(fasta), MOTIFS[:1], width=50, **named
    )
    subsets = {
        name: set(data.subset[data.chrom == i].tolist()) for i, name in enumerate(data.chrom_names)
    }
    return data, subsets


WORM = {"I": 150, "II": 170, "III": 140, "IV": 190, "V": 230, "X": 190, "MtDNA": 1}
REFSEQ = {f"NC_{i:06d}.11": 10 for i in range(1, 25)}
SCAFFOLDS = {f"scaffold_{i}": 1 for i in range(100)}


@pytest.mark.parametrize(
    ("sizes", "validation", "test"),
    [
        (WORM, {"I"}, {"III"}),
        ({**{f"chr{i}": 900 + i for i in range(5)}, "chrM": 2, "chrC": 3}, {"chr1"}, {"chr0"}),
        ({**REFSEQ, "NT_1.1": 1}, {"NC_000003.11", "NC_000004.11"}, {*list(REFSEQ)[:2], "NT_1.1"}),
        ({"chr1": 260, "chr2": 360, "chr3": 380}, {"chr2"}, {"chr1"}),
        ({**{f"chr{i}": 120 - i for i in range(1, 9)}, **SCAFFOLDS}, {"chr7"}, {"chr8"}),
        (
            {"chr1": 900, "chr2": 100, "chr3": 90, "chr2_KI27_random": 5, "chr3_GL1_alt": 4},
            {"chr3", "chr3_GL1_alt"},
            {"chr2", "chr2_KI27_random"},
        ),
    ],
)
def test_chromosomes_of_about_a_tenth_are_held_out(
    tmp_path: Path, sizes: dict[str, int], validation: set[str], test: set[str]
) -> None:
    data, subsets = split(tmp_path, sizes)
    assert {name for name in subsets if subsets[name] == {1}} == validation
    assert {name for name in subsets if subsets[name] == {2}} == test
    assert all(len(found) == 1 for found in subsets.values())
    assert data.info()["split"].startswith("by chromosome")


def test_small_chromosomes_are_no_subset_of_their_own(tmp_path: Path) -> None:
    data, subsets = split(tmp_path, {"chr1": 950, "chr2": 30, "chr3": 20}, 700)
    assert data.info()["split"].startswith("by position")
    assert subsets["chr1"] == {-1, 0, 1, 2}
    assert all(data.info()[f"n_{name}"] > 50 for name in ("train", "validation", "test"))


def test_scaffolds_are_not_the_last_regions_by_position(tmp_path: Path) -> None:
    data, subsets = split(tmp_path, {"chr1": 900, **SCAFFOLDS}, 700)
    assert data.info()["split"].startswith("by position")
    assert subsets == {"chr1": {-1, 0, 1, 2}, **{name: {0} for name in SCAFFOLDS}}
    assert all(data.info()[f"n_{name}_samples"] for name in ("train", "validation", "test"))


def test_many_scaffolds_are_counted_in_the_rule(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A set of scaffolds, each with a region or two: there is nothing else to hold out."""
    data, subsets = split(tmp_path, {f"scaffold_{i}": 1 + i % 2 for i in range(200)})
    sizes = [sum(found == {i} for found in subsets.values()) for i in range(3)]
    assert sizes == [170, 15, 15]
    assert data.info()["split"].count("scaffold_") == 20
    assert data.info()["split"].count(" and 5 others") == 2
    assert "the test subset has no sample of 10 regions" in caplog.text


@pytest.mark.parametrize("other", ["chr6_GL000250v2_alt", "chr6_cox_hap2", "chr6_random"])
def test_alternative_sequences_are_no_leak(tmp_path: Path, other: str) -> None:
    """They have the DNA of their chromosome, but no position on it."""
    sizes = {"chr1": 80, "chr2": 9, "chr6": 10, other: 2}
    _, subsets = split(tmp_path, sizes, validation=["chr2"], test=["chr6"])
    assert subsets == {"chr1": {0}, "chr2": {1}, "chr6": {2}, other: {2}}
    (tmp_path / "more").mkdir()
    with pytest.raises(ModelError, match="'chr6' cannot be both"):
        split(tmp_path / "more", sizes, validation=["chr6"], test=[other])
    with pytest.raises(ModelError, match="no chromosome is left"):
        split(
            tmp_path / "more",
            {"chr2": 9, "chr6": 9, other: 2},
            validation=["chr2"],
            test=["chr6"],
        )
    _, subsets = split(tmp_path / "more", {"chr6": 300, other: 60}, 700)
    assert subsets == {"chr6": {-1, 0, 1, 2}, other: {-1}}


def test_a_subset_far_from_a_tenth_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split(tmp_path, {"chr1": 80, "chr2": 12, "chr3": 12})
    assert not caplog.text
    (tmp_path / "named").mkdir()
    sizes = {"chr1": 80, "chr2": 3, "chr3": 40}
    split(tmp_path / "named", sizes, validation=["chr2"], test=["chr3"])
    assert "the validation subset has 2.4 % of the regions, far from a tenth" in caplog.text
    assert "the test subset has 33 % of the regions, far from a tenth" in caplog.text
    assert "the validation subset has no sample of 10 regions" in caplog.text
    assert "the test subset has no sample" not in caplog.text


def test_two_chromosomes_are_split_by_position(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{'ACGTTGCA' * 100_000}\n")
    start = np.arange(1000) * 700
    source = Accessibility(
        Regions(["chr1"] * 1000, start, start + 100),
        ["all"],
        csr_array(np.ones((1, 1000), bool)),
        "source",
    )
    data = GeneBertData.build(tmp_path / "o", source, Genome.open(path), MOTIFS[:1], width=500)
    ends = [data.end[data.subset == i].max() for i in (0, 1)]
    starts = [data.start[data.subset == i].min() for i in (1, 2)]
    assert all(10_000 <= b - a < 12_000 for a, b in zip(ends, starts, strict=True))
    assert [(data.subset == i).sum() for i in (0, 1, 2, -1)] == [800, 85, 85, 30]
    assert "by position" in data.info()["split"]


def test_named_chromosomes_are_held_out(
    tmp_path: Path, source: Accessibility, genome: Genome, caplog: pytest.LogCaptureFixture
) -> None:
    def build(validation: list[str], test: list[str]) -> GeneBertData:
        return GeneBertData.build(
            tmp_path / "o", source, genome, MOTIFS[:1], validation=validation, test=test
        )

    data = build(["chr2", "chrX"], ["chr10"])
    subset = {data.chrom_names[c]: s for c, s in zip(data.chrom, data.subset, strict=True)}
    assert subset == {"chr1": 0, "chr2": 1, "chr10": 2, "chr11": 0, "chrX": 1}
    for validation, test, message in (
        (["chr2"], [], "both to validate and to test on"),
        (["chr2"], ["chr2"], "cannot be both"),
        (["chr2"], ["chr5"], "no chromosome 'chr5'"),
        (["chr2"], ["10"], "says '10' where"),
        (["chr1", "chr2"], ["chr10", "chr11", "chrX"], "no chromosome is left"),
    ):
        with pytest.raises(GenoglotError, match=message):
            GeneBertData.build(
                tmp_path / "p", source, genome, MOTIFS[:1], validation=validation, test=test
            )
    assert not (tmp_path / "p").exists() and not (tmp_path / "p.building").exists()


def test_an_atlas_is_a_source(tmp_path: Path, source: Accessibility, genome: Genome) -> None:
    universe = Universe(source.regions, genome="toy", repair="sort")
    sets = [
        universe.encode(source.regions[row]) for row in source.open_regions.toarray().astype(bool)
    ]
    metadata = pl.DataFrame({"id": CELL_TYPES, "description": CELL_TYPES})
    atlas = Atlas.from_sets(tmp_path / "atlas", universe, metadata, sets)
    from_atlas = GeneBertData.build(tmp_path / "a", atlas, genome, MOTIFS, width=WIDTH)
    from_cells = GeneBertData.build(tmp_path / "b", source, genome, MOTIFS, width=WIDTH)
    assert from_atlas.cell_types == CELL_TYPES
    a, b = (d.samples("train") for d in (from_atlas, from_cells))
    rows = np.arange(len(a))
    assert (a.region_ids(rows) == b.region_ids(rows)).all()
    assert (from_atlas.codes([0, 5]) == from_cells.codes([0, 5])).all()


def test_regions_off_the_genome_are_refused_or_counted(
    tmp_path: Path, source: Accessibility, genome: Genome, caplog: pytest.LogCaptureFixture
) -> None:
    far = Regions(["chr1", "chr2", "chr99"], [17_990, 10**6, 5], [18_090, 10**6 + 5, 60])
    regions = Regions.concat([source.regions, far])
    opened = np.zeros((5, len(regions)), bool)
    opened[:4, : len(source.regions)] = source.open_regions.toarray()
    opened[4, -3:] = True
    more = Accessibility(regions, [*CELL_TYPES, "far"], csr_array(opened), "peaks")
    with pytest.raises(ModelError, match=r"3 of 303 regions lie outside .*--on-error skip"):
        GeneBertData.build(tmp_path / "o", more, genome, MOTIFS, width=WIDTH)
    assert not list(tmp_path.iterdir())
    data = GeneBertData.build(tmp_path / "o", more, genome, MOTIFS, width=WIDTH, on_error="skip")
    assert "3 regions lie outside of the genome's sequences: left out" in caplog.text
    assert "1 cell types have no open region in the genome and are left out: 'far'" in caplog.text
    assert data.cell_types == CELL_TYPES
    plain = GeneBertData.build(tmp_path / "p", source, genome, MOTIFS, width=WIDTH)
    assert (data.start == plain.start).all()


def test_names_that_the_genome_spells_differently_are_refused(
    tmp_path: Path, source: Accessibility, genome: Genome
) -> None:
    other = Accessibility(
        source.regions.rename_chroms("ensembl"), CELL_TYPES, source.open_regions, "peaks"
    )
    with pytest.raises(ChromosomeNameError, match=r"peaks says .* where the genome says"):
        GeneBertData.build(tmp_path / "o", other, genome, MOTIFS, on_error="skip")


def test_bad_arguments_are_refused(tmp_path: Path, source: Accessibility, genome: Genome) -> None:
    twice = Accessibility(
        Regions.concat([source.regions, source.regions[:2]]),
        ["all"],
        csr_array(np.ones((1, len(source.regions) + 2), bool)),
        "peaks",
    )
    for arguments, message in (
        ((source, genome, ()), "give at least one"),
        ((source, genome, (MOTIFS[0], *MOTIFS)), "1 motifs have the id of another"),
        ((twice, genome, MOTIFS), "2 regions are there twice, such as"),
    ):
        with pytest.raises(ModelError, match=message):
            GeneBertData.build(tmp_path / "o", *arguments)
    for options, message in (
        ({"width": 0}, "width is 0"),
        ({"scores": "mean"}, "choose from max, sum"),
        ({"on_error": "drop"}, "choose from raise, skip"),
    ):
        with pytest.raises(ModelError, match=message):
            GeneBertData.build(tmp_path / "o", source, genome, MOTIFS, **options)  # type: ignore[arg-type]
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "mine.txt").write_text("")
    with pytest.raises(ModelError, match="exists already"):
        GeneBertData.build(tmp_path / "o", source, genome, MOTIFS)
    assert [path.name for path in tmp_path.rglob("*")] == ["o", "mine.txt"]
    with pytest.raises(GenoglotError, match="several cell types are called 'B cell'"):
        Accessibility(source.regions, ["B cell"] * 4, source.open_regions, "peaks")


def test_unknown_samples_are_refused(data: GeneBertData) -> None:
    for arguments, message in (
        (("dev",), "no subset 'dev'"),
        (("train", ["liver"]), "no cell type 'liver'"),
        (("train", ["rare"]), r"no cell type has 10 consecutive open regions .*at most \d"),
        (("train", None, 1), "no two segments"),
    ):
        with pytest.raises(ModelError, match=message):
            data.samples(*arguments)


def test_the_same_data_are_read_again(
    data: GeneBertData, tmp_path: Path, source: Accessibility, genome: Genome
) -> None:
    data.verify()
    again = GeneBertData.open(data.path)
    other = GeneBertData.build(tmp_path / "o", source, genome, MOTIFS, width=WIDTH)
    unpickled = pickle.loads(pickle.dumps(data))
    assert data.digest == again.digest == other.digest == unpickled.digest
    renamed = Accessibility(source.regions, CELL_TYPES, source.open_regions, "./source", "toy")
    moved = GeneBertData.build(tmp_path / "o", renamed, genome, MOTIFS, width=WIDTH, overwrite=True)
    moved.verify()
    assert moved.digest == data.digest and moved.info()["source"] == "./source"
    assert (unpickled.motif_scores([4]) == data.motif_scores([4])).all()
    changed = make_source(seed=3)
    replaced = GeneBertData.build(
        tmp_path / "o", changed, genome, MOTIFS, width=WIDTH, overwrite=True
    )
    assert replaced.digest != data.digest
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_damage_is_found(tmp_path: Path, source: Accessibility, genome: Genome) -> None:
    data = GeneBertData.build(tmp_path / "o", source, genome, MOTIFS, width=WIDTH)
    file = data.path / "codes.npy"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"codes\.npy: the file has changed"):
        GeneBertData.open(data.path).verify()
    file.write_bytes(content[:100])
    with pytest.raises(ModelError, match=r"codes\.npy: missing or damaged"):
        GeneBertData.open(data.path)
    manifest = data.path / "genebert_data.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 9'))
    with pytest.raises(ModelError, match="of format 9"):
        GeneBertData.open(data.path)
    with pytest.raises(ModelError, match="no GeneBERT data set here"):
        GeneBertData.open(tmp_path)


SCAN = """
import pickle, sys
from genoglot.models.dna.genebert_data import GeneBertData
arguments = pickle.load(open(sys.argv[1], "rb"))
GeneBertData.build(sys.argv[2], *arguments, width=300)
"""


class Unfinished(NamedTuple):
    """A build that was killed in the middle of the scan."""

    folder: Path
    done: int
    source: Accessibility
    genome: Genome
    motifs: list[Motif]
    meanwhile: str  # what a second build said while the first one was running

    def copy(self, out: Path) -> Path:
        building = out.with_name(f"{out.name}.building")
        shutil.copytree(self.folder, building)
        return building


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Unfinished:
    """What the scan has written is changed, to what no scan finds: every 100th score is 7."""
    folder, rng = tmp_path_factory.mktemp("unfinished"), np.random.default_rng(0)
    fasta, n = folder / "g.fa", 3_000
    chroms = ["chr1", "chr2", "chr3", "chr4"]
    fasta.write_text(
        "".join(f">{chrom}\n{''.join(rng.choice(list('ACGT'), 90 * n // 4))}\n" for chrom in chroms)
    )
    start = np.tile(np.arange(n // 4) * 90, 4)
    opened = csr_array(np.ones((1, n), bool))
    regions = Regions(np.repeat(chroms, n // 4), start, start + 80)
    source = Accessibility(regions, ["all"], opened, "source")
    genome, motifs = Genome.open(fasta), jaspar()[:100]
    arguments, out, building = folder / "a", folder / "out", folder / "out.building"
    arguments.write_bytes(pickle.dumps((source, genome, motifs)))
    process = subprocess.Popen([sys.executable, "-c", SCAN, arguments, out])
    while process.poll() is None and not (building / "progress.json").exists():
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.005)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(ModelError) as meanwhile:
        GeneBertData.build(out, source, genome, motifs, width=300)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not out.exists()
    done = json.loads((building / "progress.json").read_text())["done"]
    assert 0 < done < n
    scores = np.load(building / "motif_scores.npy", mmap_mode="r+")
    scores[:done:100] = 7
    scores.flush()
    return Unfinished(building, done, source, genome, motifs, str(meanwhile.value))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_build_continues_where_it_was(
    tmp_path: Path, unfinished: Unfinished, overwrite: bool
) -> None:
    """What it wrote is not computed again, also if the killed command replaced another data set."""
    out, data, done = tmp_path / "out", unfinished[2:5], unfinished.done
    building = unfinished.copy(out)
    if overwrite:
        out.mkdir()
        (out / "old.txt").write_text("")
    GeneBertData.build(out, *data, width=300, overwrite=overwrite).verify()
    GeneBertData.build(tmp_path / "whole", *data, width=300)
    resumed, whole = (np.load(tmp_path / name / "motif_scores.npy") for name in ("out", "whole"))
    assert not building.exists() and (resumed[:done:100] == 7).all()
    differs = np.flatnonzero((resumed != whole).any(axis=1))
    assert differs.tolist() == list(range(0, done, 100))
    codes = [np.load(tmp_path / name / "codes.npy") for name in ("out", "whole")]
    assert (codes[0] == codes[1]).all()
    names = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("out", "whole")]
    assert names[0] == names[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def change_base(unfinished: Unfinished, folder: Path) -> Genome:
    fasta = unfinished.folder.with_name("g.fa").read_text()
    (folder / "other.fa").write_text(fasta[:-2] + ("A" if fasta[-2] != "A" else "C") + "\n")
    return Genome.open(folder / "other.fa")


def change_matrix(motifs: list[Motif]) -> list[Motif]:
    """The same ids."""
    return [replace(motifs[0], counts=motifs[0].counts[::-1].copy()), *motifs[1:]]


@pytest.mark.parametrize("part", ["genome", "regions", "motifs", "matrices", "width", "scores"])
def test_an_unfinished_build_of_other_data_is_not_continued(
    tmp_path: Path, unfinished: Unfinished, part: str
) -> None:
    _, _, source, genome, motifs, _ = unfinished
    options: dict[str, Any] = {"width": 300}
    if part == "genome":
        genome = change_base(unfinished, tmp_path)
    elif part == "regions":
        moved = source.regions
        moved = Regions(moved.chrom, moved.start, moved.end - 1)
        source = Accessibility(moved, ["all"], source.open_regions, "source")
    elif part in ("motifs", "matrices"):
        motifs = motifs[1:] if part == "motifs" else change_matrix(motifs)
    else:
        options |= {"width": 299} if part == "width" else {"scores": "sum"}
    out = tmp_path / "out"
    building = unfinished.copy(out)
    before = {path.name: path.read_bytes() for path in building.iterdir()}
    found = f"contains an unfinished build of other data \\({unfinished.done:,} regions are scanned"
    with pytest.raises(ModelError, match=found):
        GeneBertData.build(out, source, genome, motifs, **options)
    assert {path.name: path.read_bytes() for path in building.iterdir()} == before
    if part in ("motifs", "matrices"):
        GeneBertData.build(out, source, genome, motifs, **options, overwrite=True)
        assert not (np.load(out / "motif_scores.npy")[::100] == 7).all(axis=1).any()


def test_a_build_that_is_running_is_not_joined(unfinished: Unfinished) -> None:
    assert "another process builds this data set; wait, or stop it" in unfinished.meanwhile


@pytest.mark.parametrize("name", ["codes.npy", "motif_scores.npy"])
def test_an_unfinished_build_without_its_arrays_begins_again(
    tmp_path: Path, unfinished: Unfinished, name: str
) -> None:
    building = unfinished.copy(tmp_path / "out")
    (building / name).unlink()
    GeneBertData.build(tmp_path / "out", *unfinished[2:5], width=300)
    assert not (np.load(tmp_path / "out" / "motif_scores.npy")[::100] == 7).all(axis=1).any()


def test_motifs_longer_than_the_windows_are_counted(
    tmp_path: Path, source: Accessibility, genome: Genome, caplog: pytest.LogCaptureFixture
) -> None:
    motifs = sorted(jaspar(), key=len)
    motifs = [*motifs[:2], *motifs[-3:]]
    width = len(motifs[2]) - 1
    data = GeneBertData.build(tmp_path / "o", source, genome, motifs, width=width)
    assert f"3 of 5 motifs are longer than the windows of {width} bp" in caplog.text
    assert data.motif_scores([0, 1]).any(axis=0).tolist() == [True, True, False, False, False]
    with pytest.raises(ModelError, match="all motifs are longer than the windows of 4 bp"):
        GeneBertData.build(tmp_path / "p", source, genome, motifs, width=4)
    caplog.clear()
    GeneBertData.build(tmp_path / "q", source, genome, motifs, width=len(motifs[-1]))
    assert "longer" not in caplog.text


def test_info_counts_regions_and_samples(data: GeneBertData) -> None:
    facts = data.info()
    subsets = ("train", "validation", "test")
    assert facts["n_regions"] == sum(facts[f"n_{name}"] for name in (*subsets, "unused"))
    for i, name in enumerate(subsets):
        assert facts[f"n_{name}_samples"] == len(brute_force(data, i, CELL_TYPES, 10))
    assert facts["digest"] == data.digest and facts["split"].startswith("by chromosome: validation")
