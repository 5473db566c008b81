"""`genoglot motifs`: hits and scores of real files are right, counted, or refused in one line."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.regions import Regions
from genoglot.sequence import Genome, reverse_complement
from genoglot.sequence.motif_hits import HitFinder, genome_frequencies
from genoglot.sequence.motifs import MotifScanner, jaspar

Here = Callable[..., str]

JASPAR = ">X1\tTATAbox\nA [0 9 0 9 9 9]\nC [0 0 0 0 0 0]\nG [0 0 0 0 0 0]\nT [9 0 9 0 0 0]\n"
TATA = "TATAAA"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("motifs")
    rng = np.random.default_rng(0)
    one, two = ("".join(rng.choice(list("ACGT"), 4000)) for _ in range(2))
    two = f"{two[:1000]}{'N' * 500}{two[1500:]}"
    fasta = f">chr1\n{one}\n>chr2\n{two}\n"
    (folder / "genome.fa").write_text(fasta)
    (folder / "genome.fa.gz").write_bytes(gzip.compress(fasta.encode()))
    (folder / "ensembl.fa").write_text(fasta.replace("chr", ""))
    (folder / "planted.fa").write_text(f">a\nCCCCC{TATA}CC\n>b\nCC{reverse_complement(TATA)}C\n")
    (folder / "tata.jaspar").write_text(JASPAR)
    (folder / "some.bed").write_text(
        "track name=x\nchr2\t20\t620\ty\t0\t-\nchr1\t10\t510\nchr1\t700\t720\n"
    )
    (folder / "off.bed").write_text("chr1\t10\t510\nchr1\t9000000\t9000101\nchr9\t5\t45\n")
    (folder / "edge.bed").write_text("chr1\t3900\t4100\nchr2\t1100\t1300\nchr2\t5\t5\n")
    (folder / "twice.bed").write_text("chr1\t10\t510\nchr1\t400\t600\n")
    return folder


@pytest.fixture(scope="session")
def genome(files: Path) -> Genome:
    return Genome.open(files / "genome.fa")


def test_hits_are_written_as_bed(here: Here, files: Path) -> None:
    here(
        "motifs", "scan", "planted.fa", "--motifs", "tata.jaspar", "--p-value", 1e-3, "-o", "a.bed"
    )
    expected = [("a", 5, 11, "TATAbox", "+", "X1"), ("b", 2, 8, "TATAbox", "-", "X1")]
    hits = Regions.from_bed(files / "a.bed")
    rows = [line.split("\t") for line in (files / "a.bed").read_text().splitlines()]
    assert [(r[0], int(r[1]), int(r[2]), r[3], r[5], r[7]) for r in rows] == expected
    assert len(hits) == 2 and hits.columns["strand"].to_list() == ["+", "-"]
    score = 6 * np.log2((9 + 0.0225) / (9 + 0.09) * 4)
    np.testing.assert_allclose([float(row[4]) for row in rows], score, atol=1e-4)
    np.testing.assert_allclose([float(row[6]) for row in rows], 4.0**-6, rtol=1e-5)


@pytest.mark.parametrize("bed", [(), ("--bed", "some.bed")])
def test_hits_are_those_of_python(here: Here, files: Path, genome: Genome, bed: tuple[str]) -> None:
    said = here("motifs", "scan", "genome.fa.gz", *bed, "-o", "hits.bed.gz", "--p-value", 1e-3)
    regions = Regions.from_bed(files / "some.bed") if bed else genome.extents
    hits = Regions.concat(HitFinder(jaspar(), 1e-3).find(regions, genome))
    lines = gzip.decompress((files / "hits.bed.gz").read_bytes()).decode().splitlines()
    assert f"{len(hits)} hits of 579 motifs in {len(regions)} regions" in said
    found = [(*line.split("\t")[:4], *line.split("\t")[5:6]) for line in lines]
    columns = hits.frame.select("chrom", "start", "end", "name", "strand")
    assert found == [tuple(map(str, row)) for row in columns.rows()] and len(found) > 500


def test_scores_of_regions_and_of_records(here: Here, files: Path, genome: Genome) -> None:
    scan = ("motifs", "scan", "genome.fa", "--bed", "some.bed", "--scores")
    said = here(*scan, "max.parquet")
    assert "max.parquet: scores of 579 motifs in 3 regions" in said
    table = pl.read_parquet(files / "max.parquet")
    ids = [motif.id for motif in jaspar()]
    assert table.columns == ["chrom", "start", "end", "name", "score", "strand", *ids]
    regions = Regions.from_bed(files / "some.bed")
    codes = [genome.fetch(regions[[i]])[0] for i in range(3)]
    scanner = MotifScanner([motif.log_odds for motif in jaspar()])
    expected = np.stack([scanner.max_scores(row[None])[0] for row in codes])
    np.testing.assert_allclose(table.select(ids).to_numpy(), expected, atol=1e-5)
    assert "1 of 3 regions have no site of a motif" in said and np.isneginf(expected[2]).any()
    here(*scan, "sum.npy", "--affinity", "sum", "--name", "ctcf", "--name", "MA0002.2")
    two = [i for i, motif in enumerate(jaspar()) if motif.name in ("CTCF", "RUNX1")]
    sums = np.stack([scanner.sum_scores(row[None])[0, two] for row in codes])
    np.testing.assert_allclose(np.load(files / "sum.npy"), sums, atol=1e-5)
    here("motifs", "scan", "planted.fa", "--motifs", "tata.jaspar", "--scores", "r.parquet")
    records = pl.read_parquet(files / "r.parquet")
    assert records["chrom"].to_list() == ["a", "b"]
    assert records["X1"][0] == pytest.approx(records["X1"][1]) and records["X1"][0] > 11


def test_hits_and_scores_at_once(here: Here, files: Path) -> None:
    few = ("motifs", "scan", "genome.fa", "--bed", "some.bed", "--name", "CTCF", "--p-value", 0.01)
    here(*few, "--scores", "both.npy", "-o", "both.bed")
    scores = [float(line.split("\t")[4]) for line in (files / "both.bed").read_text().splitlines()]
    assert max(scores) == pytest.approx(np.load(files / "both.npy").max(), abs=1e-4)


def test_the_background_of_the_genome(here: Here, files: Path, genome: Genome) -> None:
    scan = ("motifs", "scan", "genome.fa", "--name", "CTCF", "--scores", "g.npy", "--bed")
    here(*scan, "some.bed", "--background", "genome", "--pseudocount", 0.1)
    (motif,) = (one for one in jaspar() if one.name == "CTCF")
    matrix = motif.log_odds_against(genome_frequencies(genome), 0.1)
    codes = genome.fetch(Regions(["chr2"], [20], [620]))
    expected = MotifScanner([matrix]).max_scores(codes)[0]
    np.testing.assert_allclose(np.load(files / "g.npy")[0], expected, atol=1e-5)
    four = ",".join(map(repr, genome_frequencies(genome)))
    before = (files / "g.npy").read_bytes()
    here(*scan, "some.bed", "--background", four, "--pseudocount", 0.1)
    assert (files / "g.npy").read_bytes() == before


def test_a_background_is_the_same_for_both_strands(here: Here, files: Path) -> None:
    (files / "skew.meme").write_text(
        "MEME version 4\nBackground letter frequencies\nA 0.4 C 0.1 G 0.2 T 0.3\nMOTIF x\n"
        "letter-probability matrix:\n" + "0.7 0.1 0.1 0.1\n" * 3 + "0.1 0.2 0.6 0.1\n" * 3
    )
    scan = ("motifs", "scan", "genome.fa", "--motifs", "skew.meme", "--p-value", 0.01, "-o")
    said = here(*scan, "skew.bed", "--background", "motifs")
    assert "averaged over both strands, since both are scanned: 0.3500 for A and T, 0.1500" in said
    assert "averaged" not in here(*scan, "mean.bed", "--background", "0.35,0.15,0.15,0.35")
    averaged = here(*scan, "four.bed", "--background", "0.4,0.1,0.2,0.3")
    assert "averaged over both strands" in averaged
    texts = {(files / name).read_text() for name in ("skew.bed", "mean.bed", "four.bed")}
    assert len(texts) == 1 and texts.pop().count("\n") > 50


def test_a_strand_of_regions_has_no_meaning(here: Here, files: Path) -> None:
    (files / "odd.strand.bed").write_text("a\t0\t13\tx\t0\tforward\n")
    (files / "no.strand.bed").write_text("a\t0\t13\n")
    scan = ("motifs", "scan", "planted.fa", "--motifs", "tata.jaspar", "--p-value", 1e-3, "--bed")
    for name in ("odd", "no"):
        here(*scan, f"{name}.strand.bed", "-o", f"{name}.hits.bed")
    assert (files / "odd.hits.bed").read_bytes() == (files / "no.hits.bed").read_bytes() != b""


def test_standard_input_and_output(files: Path) -> None:
    command = [sys.executable, "-m", "genoglot", "motifs", "scan", "planted.fa", "--bed", "-"]
    done = subprocess.run(
        [*command, "--motifs", "tata.jaspar", "--p-value", "0.001"],
        cwd=files, input="b\t0\t9\n", capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split("\t")[:3] for line in done.stdout.splitlines()] == [["b", "2", "8"]]


def test_what_is_odd_is_counted(here: Here) -> None:
    few = ("--name", "CTCF", "--name", "MA0004.1", "-o", "odd.bed")
    said = here("motifs", "scan", "genome.fa", "--bed", "off.bed", "--on-error", "skip", *few)
    assert "2 of 3 regions lie outside of the genome" in said
    assert "1 of 2 motifs have no hit" in said and "'MA0004.1'" in said
    said = here("motifs", "scan", "genome.fa", "--bed", "edge.bed", *few)
    assert "1 of 3 regions reach past an end of the genome's sequence" in said
    said = here("motifs", "scan", "genome.fa", "--bed", "edge.bed", "--scores", "odd.npy")
    assert "2 of 3 regions have no site of a motif" in said
    said = here("motifs", "scan", "genome.fa", "--bed", "twice.bed", *few)
    assert "regions overlap by 110 bp" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("genome.fa", "--bed", "off.bed"), "2 of 3 regions lie outside of the genome"),
        (("ensembl.fa", "--bed", "some.bed"), "--alias"),
        (("nowhere.fa",), "nowhere.fa: no such file"),
        (("genome.fa", "--bed", "nowhere.bed"), "nowhere.bed: no such file"),
        (("genome.fa", "--motifs", "genome.fa"), "genome.fa:"),
        (("genome.fa", "--motifs", "tata.jaspar", "--release", "JASPAR2018"), "--release is for"),
        (("genome.fa", "--motifs", "tata.jaspar", "--background", "motifs"), "needs a MEME file"),
        (("genome.fa", "--release", "JASPAR1"), "no JASPAR release is called 'JASPAR1'"),
        (("genome.fa", "--tax-group", "cats"), "choose one of:"),
        (("genome.fa", "--collection", "CNE"), "tax_group=None (--tax-group all)"),
        (("genome.fa", "--name", "CTCFX"), "none of the 579 motifs has this name or id"),
        (("genome.fa", "--background", "0.5,0.5"), "give the probabilities of A, C, G and T"),
        (
            ("genome.fa", "--background", "0.3,0.2,0.2,0_0.3"),
            "give uniform, genome, motifs or four",
        ),
        (("genome.fa", "--background", "human"), "give uniform, genome, motifs or four"),
        (("genome.fa", "--pseudocount", -1), "the pseudocount is -1"),
        (("genome.fa", "--p-value", 0), "the p-value is 0"),
        (("genome.fa", "--p-value", 2, "--scores", "x.npy", "-o", "x.bed"), "the p-value is 2"),
        (("genome.fa", "--scores", "x.npy", "-o", "./x.npy"), "are the same file, x.npy; give two"),
        (("genome.fa", "--name", "CTCF", "--scores", "x.npy", "-o", "."), ".: is a directory"),
        (("genome.fa", "--affinity", "sum"), "--affinity is for --scores"),
        (("genome.fa", "--scores", "x.csv"), "give a name that ends with .parquet or .npy"),
        (("genome.fa", "--scores", "x.npy", "--p-value", 0.1), "--p-value is for hits"),
    ],
)
def test_bad_input_leaves_nothing(
    here: Here, files: Path, arguments: tuple[object, ...], says: str
) -> None:
    before = sorted(files.iterdir())
    out = () if {"--scores", "-o"} & set(arguments) else ("-o", "new/bad.bed")
    said = here("motifs", "scan", *arguments, *out, status=2)
    assert says in said and said.count("genoglot: error:") == 1
    assert sorted(files.iterdir()) == before


def test_a_region_that_is_too_long_for_scores(here: Here, files: Path) -> None:
    (files / "long.fa").write_text(">chr1\n" + "ACGT" * 50_000 + "\n")
    said = here("motifs", "scan", "long.fa", "--scores", "long.npy", status=2)
    assert "chr1:1-200000 has 200,000 bp" in said and not (files / "long.npy").exists()


@pytest.mark.parametrize(
    "output",
    [("-o", "stop.bed"), pytest.param(("--scores", "stop.parquet"), marks=pytest.mark.slow)],
)
def test_a_stopped_scan_leaves_nothing(
    tmp_path: Path, output: tuple[str, str], unmeasured: dict[str, str]
) -> None:
    letters = "".join(np.random.default_rng(0).choice(list("ACGT"), 60_000))
    (tmp_path / "genome.fa").write_text(f">chr1\n{letters}\n")
    (tmp_path / "all.bed").write_text("chr1\t0\t60000\n" * 30_000)
    before = sorted(tmp_path.iterdir())
    command = [sys.executable, "-m", "genoglot", "motifs", "scan", "genome.fa", "--bed", "all.bed"]
    process = subprocess.Popen(
        [*command, *output], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=unmeasured
    )
    while not any(path.stat().st_size for path in tmp_path.glob(f".{output[1]}.*/{output[1]}")):
        assert process.poll() is None, process.communicate()[1]
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    process.send_signal(signal.SIGINT)
    lines = process.communicate()[1].splitlines()
    assert process.returncode == 128 + signal.SIGINT, lines
    assert lines[-1] == "genoglot: stopped by SIGINT"
    assert sorted(tmp_path.iterdir()) == before


def test_the_list_of_motifs(run_in: Callable[..., object], files: Path) -> None:
    lines = run_in(files, "motifs", "list").stdout.splitlines()
    assert lines[0].split("\t") == ["id", "name", "width", "information", "family"]
    assert len(lines) == 580 and lines[1].split("\t")[:3] == ["MA0002.2", "RUNX1", "11"]
    fungi = run_in(files, "motifs", "list", "--tax-group", "fungi").stdout.splitlines()
    every = run_in(files, "motifs", "list", "--tax-group", "all").stdout.splitlines()
    assert len(fungi) == 177 and len(every) > 1000
    own = run_in(files, "motifs", "list", "--motifs", "tata.jaspar").stdout.splitlines()[1:]
    assert own[0].split("\t")[:3] == ["X1", "TATAbox", "6"]
    assert 11 < float(own[0].split("\t")[3]) < 12
