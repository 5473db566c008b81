"""DNA by regions, beside slices of Python strings."""

import gzip
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoglot.errors import ChromosomeNameError, GenoglotError, SequenceError
from genoglot.files import bgzip
from genoglot.regions import Regions
from genoglot.sequence import Genome, reverse_complement, to_text


def random_dna(rng, n):
    return "".join(rng.choice(list("ACGTNacgt"), n))


CHROMS = {
    name: random_dna(np.random.default_rng(i), size)
    for i, (name, size) in enumerate([("chr1", 997), ("chr2", 60), ("chr3", 1), ("chrX", 300)])
}
TEXT = "".join(
    f">{name} x\n" + "".join(f"{dna[i : i + 60]}\n" for i in range(0, len(dna), 60))
    for name, dna in CHROMS.items()
)


@pytest.fixture(scope="module")
def genomes(tmp_path_factory):
    """The same genome from every kind of file, in memory and packed."""
    folder = tmp_path_factory.mktemp("genomes")
    plain, one_line = folder / "a.fa", folder / "b.fa"
    plain.write_text(TEXT)
    one_line.write_text("".join(f">{name}\r\n{dna}\r\n" for name, dna in CHROMS.items()))
    zipped, blocked = folder / "a.fa.gz", folder / "a.fa.bgz"
    zipped.write_bytes(gzip.compress(TEXT.encode()))
    blocked.write_bytes(bgzip(TEXT.encode()))
    halves = TEXT.partition(">chr3")
    parts = [folder / "1.fa", folder / "2.fa"]
    parts[0].write_text(halves[0])
    parts[1].write_text(halves[1] + halves[2])
    opened = [Genome.open(path) for path in (plain, one_line, zipped, blocked, parts)]
    opened.append(Genome.open(zipped, packed=folder / "a.genome"))
    opened.append(Genome.open(folder / "a.genome"))
    return opened


OTHER = {name: reverse_complement(dna) for name, dna in CHROMS.items()}


def sliced(chrom, start, end):
    return cut(CHROMS[chrom], start, end)


def cut(dna, start, end):
    return "".join(dna[i] if 0 <= i < len(dna) else "N" for i in range(start, end))


def around(dna, start, end, width):
    """Window around a region of the plus strand."""
    begin = (start + end) // 2 - width // 2
    return cut(dna, begin, begin + width)


def test_every_kind_of_file_gives_the_same_genome(genomes):
    for genome in genomes:
        assert genome.names == tuple(CHROMS)
        assert genome.chrom_sizes == {name: len(dna) for name, dna in CHROMS.items()}
        assert genome.digest == genomes[0].digest
        assert genome == genomes[0]
        assert len(genome) == 4
        assert genome.n_bases == sum(map(len, CHROMS.values()))
        assert "chr2" in genome
        assert list(genome) == list(CHROMS)
        for name, dna in CHROMS.items():
            assert genome.sequence(name, 0, len(dna), soft_mask=True) == dna
            assert genome.sequence(name, 0, len(dna)) == dna.upper()


WHERE = st.tuples(
    st.sampled_from(list(CHROMS)),
    st.integers(0, 1200),
    st.integers(0, 90),
    st.sampled_from("+-."),
)


@settings(max_examples=100)
@given(st.data(), st.lists(WHERE, max_size=12), st.integers(0, 130))
def test_windows_are_slices_of_the_chromosome(genomes, data, where, width):
    genome = data.draw(st.sampled_from(genomes))
    chrom, start, length, strand = zip(*where, strict=True) if where else ([], [], [], [])
    end = np.array(start, int) + np.array(length, int)
    regions = Regions(chrom, start, end, {"strand": np.array(strand, object)})
    codes = genome.fetch(regions, width)
    forward = genome.fetch(regions, width, stranded=False)
    assert codes.shape == (len(regions), width)
    assert codes.dtype == np.uint8
    for i, name in enumerate(chrom):
        begin = (start[i] + end[i]) // 2 - width // 2
        letters = around(CHROMS[name], start[i], end[i], width)
        assert to_text(forward[i]) == letters.upper()
        assert genome.sequence(name, begin, begin + width, soft_mask=True) == letters
        if strand[i] == "-":  # the same window of the other strand, which is a text of its own
            size = len(CHROMS[name])
            letters = around(OTHER[name], size - end[i], size - start[i], width)
        assert to_text(codes[i]) == letters.upper()


def test_the_base_of_a_tss_is_at_one_place_on_both_strands(genomes):
    at = np.array([100, 400, 401])
    for width in (1, 2, 3, 40, 41):
        for strand in "+-":
            tss = Regions(["chr1"] * 3, at, at + 1, {"strand": [strand] * 3})
            base = genomes[0].fetch(tss, width)[:, width // 2]
            assert (base == genomes[0].fetch(tss)[:, 0]).all()
    # A window that is as long as its region is the region.
    for length in (6, 7):
        even = Regions(["chr1"] * 3, at, at + length, {"strand": ["+", "-", "-"]})
        assert (genomes[0].fetch(even, length) == genomes[0].fetch(even)).all()


def test_strands_in_any_spelling(genomes):
    def fetched(strand):
        return genomes[0].fetch(Regions(["chr1"] * 2, [9, 20], [19, 30], {"strand": strand}))

    for strand in ([1, -1], ["1", "-1"], ["forward", "reverse"], [None, "minus"]):
        assert (fetched(strand) == fetched(["+", "-"])).all()
    with pytest.raises(GenoglotError, match="the strand of row 2 is 'left'"):
        fetched(["+", "left"])


def test_regions_of_one_length_need_no_width(genomes):
    regions = Regions(["chr1", "chrX", "chr2"], [5, 290, 0], [25, 310, 20])
    texts = [to_text(row) for row in genomes[0].fetch(regions)]
    assert texts == [
        sliced(c, s, s + 20).upper() for c, s in zip(regions.chrom, regions.start, strict=True)
    ]
    with pytest.raises(SequenceError, match="1 to 20 bp long; give a width"):
        genomes[0].fetch(Regions(["chr1", "chr1"], [1, 1], [2, 21]))
    assert genomes[0].fetch(Regions([], [], [])).shape == (0, 0)
    assert genomes[0].fetch(Regions([], [], []), width=7).shape == (0, 7)


def test_many_windows_are_those_fetched_one_by_one(genomes):
    start = np.arange(2000) % 800 - 20  # 400,000 bases: several blocks
    regions = Regions(["chr1"] * 2000, np.maximum(start, 0), start + 200)
    codes = genomes[0].fetch(regions, 200)
    for i in (0, 19, 20, 1309, 1311, 1999):
        assert (genomes[0].fetch(regions[[i]], 200) == codes[i]).all()


def test_threads_and_other_processes_see_the_same(genomes):
    regions = Regions(["chr1"] * 300, np.arange(300), np.arange(300) + 30)
    for genome in genomes:
        expected = genome.fetch(regions)
        copy = pickle.loads(pickle.dumps(genome))
        assert (copy.fetch(regions) == expected).all()
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(genome.fetch, [regions] * 8):
                assert (found == expected).all()
    assert len(pickle.dumps(genomes[-1])) < 1000


def test_windows_of_a_genome_keep_its_coordinates(tmp_path):
    path = tmp_path / "windows.fa"
    path.write_text(">22:101-110\nACGTACGTAC\n>z\nGGGGCCCC\n>MT\nAAAA\n")
    named = Genome.open(path, record_positions="names")
    assert named.chrom_sizes == {"22": 110, "z": 8, "MT": 4}
    assert named.sequence("22", 98, 104) == "NNACGT"
    assert named.sequence("22", 108, 113) == "ACNNN"
    given_ = Genome.open(
        path, record_positions={"z": ("20", 1000), "22:101-110": ("22", 100)}, alias="ucsc"
    )
    assert given_.chrom_sizes == {"chr22": 110, "chr20": 1008, "chrM": 4}
    assert to_text(given_.fetch(Regions(["chr20"], [1003], [1006]))[0]) == "GCC"
    assert to_text(given_.fetch(Regions(["chr20"], [0], [3]))[0]) == "NNN"
    assert given_.extents.loci == ["chr22:101-110", "chr20:1001-1008", "chrM:1-4"]
    assert named.digest != given_.digest
    with pytest.raises(ChromosomeNameError, match="a position is given for the record 'y'"):
        Genome.open(path, record_positions={"y": ("20", 0)})
    with pytest.raises(ChromosomeNameError, match="'22:101-110' and 'z' are both chromosome '22'"):
        Genome.open(path, record_positions={"z": ("22", 0), "22:101-110": ("22", 100)})
    with pytest.raises(GenoglotError, match="record_positions is 'name'"):
        Genome.open(path, record_positions="name")


WINDOW = "ACGTACGTAC"


@pytest.mark.parametrize(
    "name", ["22:101-110", "22:100-110", "p::22:100-110", "a::b::22:100-110(+)", "22:100-110(.)"]
)
def test_names_of_samtools_and_bedtools_tell_the_same_window(tmp_path, name):
    path = tmp_path / "windows.fa"
    path.write_text(f">{name}\n{WINDOW}\n>MT\nAAAA\n")
    genome = Genome.open(path, record_positions="names", alias="ucsc")
    assert genome.extents.loci == ["chr22:101-110", "chrM:1-4"]
    assert genome.sequence("chr22", 99, 103) == "NACG"


def test_a_window_that_begins_at_0_and_one_of_1_bp(tmp_path):
    for name, length, locus in [
        ("2:0-10", 10, "2:1-10"),
        ("2:1-10", 10, "2:1-10"),
        ("2:5-5", 1, "2:5-5"),
        ("2:5-6", 1, "2:6-6"),
    ]:
        path = tmp_path / "one.fa"
        path.write_text(f">{name}\n{WINDOW[:length]}\n")
        assert Genome.open(path, record_positions="names").extents.loci == [locus]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["22:101-120"], "'22:101-120' has 10 bp, but its name means 19 bp .* or 20 bp"),
        (["22:0-9"], "'22:0-9' has 10 bp"),
        (["22:110-101"], "has 10 bp"),
        (["22:100-110(-)"], "is on the minus strand"),
        (["22:101-110", "21:100-110"], "'21:100-110' counts from 0, that of '22:101-110' from 1"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, names, says):
    path = tmp_path / "windows.fa"
    path.write_text("".join(f">{name}\n{WINDOW}\n" for name in names))
    with pytest.raises(SequenceError, match=says) as raised:
        Genome.open(path, record_positions="names")
    assert str(raised.value).startswith(f"{path}: ")
    assert len(Genome.open(path)) == len(names)  # without places they are records as any
    where = {name: (f"chr{i}", 7) for i, name in enumerate(names)}
    assert Genome.open(path, record_positions=where).extents.start.tolist() == [7] * len(names)


def test_windows_of_one_chromosome_keep_their_own_names(tmp_path, caplog):
    path = tmp_path / "getfasta.fa"
    names = ["22:0-10", "22:100-110", "p::21:5-15(-)"]
    path.write_text("".join(f">{name}\n{WINDOW}\n" for name in names))
    genome = Genome.open(path, record_positions="names")
    assert genome.chrom_sizes == dict.fromkeys(names, 10)
    assert f"{path}: 2 records are windows of chromosome 22, but a genome has one" in caplog.text
    found = genome.fetch(Regions(["22:100-110"], [2], [6]))
    assert to_text(found[0]) == WINDOW[2:6]


def test_other_spellings_of_chromosomes_are_one_clear_error(genomes, tmp_path):
    for said, alias in (("1", "ensembl"), ("Chr1", None)):
        with pytest.raises(ChromosomeNameError, match=f"says '{said}' .* says 'chr1'") as raised:
            genomes[0].fetch(Regions(["chr2", said], [0, 0], [5, 5]))
        advice = f'alias="{alias}" (--alias {alias})' if alias else "rename the chromosomes"
        assert advice in str(raised.value)
    with pytest.raises(ChromosomeNameError, match="no chromosome 'chr9'; it has 'chr1', 'chr2'"):
        genomes[0].sequence("chr9", 0, 5)
    path = tmp_path / "a.fa"
    path.write_text(TEXT)
    renamed = Genome.open(path, alias="ensembl")
    assert renamed.sequence("1", 0, 9) == genomes[0].sequence("chr1", 0, 9)


def test_wrong_requests(genomes):
    with pytest.raises(SequenceError, match="end is before start"):
        genomes[0].sequence("chr1", 5, 4)
    with pytest.raises(SequenceError, match="width is -1"):
        genomes[0].fetch(Regions(["chr1"], [0], [5]), width=-1)
    with pytest.raises(SequenceError, match="no file is given"):
        Genome.open([])


def test_a_large_file_is_packed_once_and_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOGLOT_CACHE", str(tmp_path / "cache"))
    path, text = tmp_path / "a.fa", TEXT + ">large\n" + "ACGTT" * 1_700_000  # above 8 MB
    path.write_text(text)
    first = Genome.open(path)
    [packed] = (tmp_path / "cache" / "genomes").iterdir()
    before = packed.stat().st_ino
    assert Genome.open(path) == first
    assert packed.stat().st_ino == before
    path.write_text(text.replace("chr1", "chr7"))
    os.utime(path, (1, 1))
    second = Genome.open(path)
    assert second.names[0] == "chr7"
    assert first.sequence("chr1", 0, 9) == second.sequence("chr7", 0, 9)
    assert list((tmp_path / "cache" / "genomes").iterdir()) == [packed]
    assert pickle.loads(pickle.dumps(first)) == first  # other names for the same bases
    path.write_text(text.replace("A", "C"))
    Genome.open(path)
    with pytest.raises(SequenceError, match="has changed"):
        pickle.loads(pickle.dumps(first))


def test_a_file_of_the_same_size_and_time_is_noticed(tmp_path):
    path, packed = tmp_path / "a.fa", tmp_path / "a.genome"
    path.write_text(">a\n" + "A" * 400_000)
    Genome.open(path, packed=packed)
    before = packed.stat().st_ino
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    assert Genome.open(path, packed=packed).sequence("a", 100_000, 100_004) == "AAAA"
    assert packed.stat().st_ino == before  # nothing was done again
    for base, written in zip("CGT", (path, tmp_path / "b.fa", tmp_path / "b.fa"), strict=True):
        written.write_text(f">a\n{'A' * 100_000}{base}{'A' * 299_999}")
        os.utime(written, ns=times)
        if written != path:
            written.replace(path)
        assert Genome.open(path, packed=packed).sequence("a", 99_999, 100_002) == f"A{base}A"


def test_a_genome_is_read_from_a_pipe(tmp_path):
    pipe = tmp_path / "pipe.fa"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(pipe.write_text, TEXT)
        assert Genome.open(pipe).chrom_sizes == {name: len(dna) for name, dna in CHROMS.items()}


def test_a_damaged_packed_genome_is_made_again_or_refused(tmp_path):
    path, packed = tmp_path / "a.fa", tmp_path / "a.genome"
    path.write_text(TEXT)
    good = Genome.open(path, packed=packed)
    content = packed.read_bytes()
    for damaged in (content[:100], content[100:], b"", content.replace(b'"names"', b'"nomes"')):
        packed.write_bytes(damaged)
        with pytest.raises(SequenceError):
            Genome.open(packed)
        assert Genome.open(path, packed=packed) == good
    packed.write_bytes(content.replace(b'"format": 1', b'"format": 9'))
    with pytest.raises(SequenceError, match="another version"):
        Genome.open(packed)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(TEXT)
    with pytest.raises(SequenceError, match="cannot be written there") as raised:
        Genome.open(path, packed=path / "a.genome")
    assert "GENOGLOT_CACHE" in str(raised.value)


def test_a_broken_file_leaves_no_packed_genome(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">a\nACGT\n>a\nACGT\n")
    with pytest.raises(SequenceError, match="is not unique"):
        Genome.open(path, packed=tmp_path / "a.genome")
    assert list(tmp_path.iterdir()) == [path]
    twin = tmp_path / "b.fa"
    path.write_text(">a\nACGT\n")
    twin.write_text(">a\nAC\n")
    with pytest.raises(SequenceError, match=r"b\.fa: record 'a' is in an earlier file"):
        Genome.open([path, twin])
