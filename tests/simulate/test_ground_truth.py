"""The truth: motifs stand in the DNA, openness follows its rule, and the files follow both."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from scipy.stats import poisson

from genoglot.simulate import World
from genoglot.simulate.peaks import call_peaks

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def relative_score(matrix: np.ndarray, site: str) -> float:
    """0 for the worst site of a matrix, 1 for the best; base by base."""
    total = worst = best = 0.0
    for row, base in zip(matrix, site, strict=True):
        bits = [math.log2(p / 0.25) for p in row]
        total += bits["ACGT".index(base)]
        worst, best = worst + min(bits), best + max(bits)
    return (total - worst) / (best - worst)


def test_motif_instances_stand_in_the_genome_with_the_recorded_score(
    world: World, genome: dict[str, str]
) -> None:
    matrices = load_file(world.path / "truth" / "motifs.safetensors")
    instances = world.ground_truth("motif_instances")
    rng = np.random.default_rng(0)
    for row in instances.sample(400, seed=1).iter_rows(named=True):
        site = genome[row["chrom"]][row["start"] : row["end"]]
        if row["strand"] == "-":
            site = site.translate(COMPLEMENT)[::-1]
        matrix = matrices[row["tf"]]
        assert relative_score(matrix, site) == pytest.approx(row["score"], abs=1e-4)
        sequence = genome["chr1"]
        at = rng.integers(0, len(sequence) - len(site), 20)
        elsewhere = [relative_score(matrix, sequence[i : i + len(site)]) for i in at]
        assert row["score"] > np.mean(elsewhere) + 0.15
    assert instances["score"].mean() > 0.9


def test_matrices_are_those_of_jaspar_2018(world: World) -> None:
    from pyjaspar import jaspardb

    database = jaspardb(release="JASPAR2018")
    matrices = load_file(world.path / "truth" / "motifs.safetensors")
    for name, matrix_id in (
        world.ground_truth("factors").select("name", "matrix").head(5).iter_rows()
    ):
        motif = database.fetch_motif_by_id(matrix_id)
        assert motif.name.upper() == name
        frequencies = np.array([motif.counts[base] for base in "ACGT"]).T
        frequencies = frequencies / frequencies.sum(1, keepdims=True)
        np.testing.assert_allclose(matrices[name], frequencies, atol=0.01)


def test_sites_lie_inside_their_element_without_overlap(world: World) -> None:
    elements = world.ground_truth("elements")
    sites = world.ground_truth("motif_instances").with_columns(pl.col("chrom").cast(pl.String))
    places = elements.select(
        pl.col("id").alias("element"), pl.col("start").alias("low"), pl.col("end").alias("high")
    )
    joined = sites.join(places, on="element")
    assert (joined["start"] >= joined["low"]).all() and (joined["end"] <= joined["high"]).all()
    for (_,), group in sites.group_by("chrom"):
        ordered = group.sort("start")
        assert (ordered["start"][1:] >= ordered["end"][:-1]).all()
    assert sites.select("element", "tf").is_duplicated().sum() == 0


def test_core_promoter_boxes_lie_at_their_usual_distance(world: World) -> None:
    genes = world.ground_truth("genes").select(
        pl.col("promoter").alias("element"), "tss", pl.col("strand").alias("gene_strand")
    )
    boxes = (
        world.ground_truth("motif_instances")
        .filter(pl.col("tf") == "TBP")
        .join(genes.cast({"element": pl.Int32}), on="element")
    )
    forward = boxes.filter(pl.col("gene_strand") == "+")
    backward = boxes.filter(pl.col("gene_strand") == "-")
    distance = np.r_[forward["tss"] - forward["start"], backward["end"] - 1 - backward["tss"]]
    assert len(distance) > 50
    assert distance.min() >= 30 and distance.max() <= 33
    assert (boxes["strand"].cast(pl.String) == boxes["gene_strand"]).all()


def test_openness_follows_its_rule(world: World) -> None:
    """The rule of docs/world.md, element by element."""
    elements, sites = world.ground_truth("elements"), world.ground_truth("motif_instances")
    family = dict(world.ground_truth("factors").select("name", "family").iter_rows())
    expression = {
        row["biosample"]: row for row in world.ground_truth("expression").iter_rows(named=True)
    }
    level = expression["pediatric lung, pneumonia"]
    opened = world.openness("pediatric lung, pneumonia")
    for row in elements.sample(200, seed=2).iter_rows(named=True):
        inverse = []
        for site in sites.filter(pl.col("element") == row["id"]).iter_rows(named=True):
            relatives = [tf for tf in family if family[tf] == family[site["tf"]]]
            best = max(level[tf] * (1 if tf == site["tf"] else 0.25) for tf in relatives)
            strength = 1 / (1 + math.exp(-(site["score"] - 0.85) / 0.04))
            inverse.append(1 / max(best * strength, 0.02))
        drive = len(inverse) / sum(inverse) if inverse else 0
        odds = row["baseline"] + row["gain"] * drive
        assert opened[row["id"]] == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-4)


def test_tissue_and_condition_act_together_not_by_sum(world: World) -> None:
    """Enhancers that need a lung factor and an inflammation factor open in inflamed lung only."""
    sites = world.ground_truth("motif_instances").with_columns(pl.col("tf").cast(pl.String))
    elements = world.ground_truth("elements")
    inflamed = sites.filter(pl.col("tf").is_in(["NFKB1", "STAT3", "IRF1"]))["element"]
    lung = (
        elements.filter((pl.col("program") == "lung") & (pl.col("kind") == "enhancer"))
        .filter(pl.col("id").is_in(inflamed.to_list()))["id"]
        .to_numpy()
    )
    assert len(lung) > 10
    both = world.openness("pediatric lung, pneumonia")[lung].mean()
    tissue = world.openness("lung")[lung].mean()
    condition = world.openness("pediatric liver, hepatitis")[lung].mean()
    assert both > 0.5
    assert tissue + condition < 0.5 * both


def test_expected_is_the_frequency_with_which_elements_are_found(
    world: World, presence: np.ndarray
) -> None:
    expected = world.expected_rows(world.sheet)
    assert expected.shape == presence.shape and expected.dtype == np.float32
    assert expected.min() >= 0 and expected.max() <= 1
    assert presence.mean() == pytest.approx(expected.mean(), rel=0.05)
    edges = np.quantile(expected[expected > 0.02], np.linspace(0, 1, 11))
    for low, high in itertools.pairwise(edges):
        inside = (expected >= low) & (expected < high)
        assert presence[inside].mean() == pytest.approx(expected[inside].mean(), abs=0.04)


def test_expected_rows_agree_with_expected_and_none_is_an_empty_target(world: World) -> None:
    rows = world.sheet.head(6)
    got = world.expected_rows(rows)
    for i, row in enumerate(rows.iter_rows(named=True)):
        one = world.expected(row["assay"], row["target"] or None, row["biosample"])
        np.testing.assert_array_equal(got[i], one)
    nulls = rows.with_columns(pl.col("target").replace("", None))
    np.testing.assert_array_equal(world.expected_rows(nulls), got)


def test_replicates_share_their_experiments_truth(world: World, presence: np.ndarray) -> None:
    """Where the outcome is a coin toss, replicates agree and other experiments would not."""
    expected = world.expected_rows(world.sheet)
    groups = world.sheet.with_row_index("row").group_by("experiment").agg("row")
    together = alone = tosses = 0
    for rows in groups["row"]:
        if len(rows) < 2:
            continue
        a, b = rows[0], rows[1]
        open_question = (expected[a] > 0.3) & (expected[a] < 0.7)
        tosses += open_question.sum()
        together += (presence[a] & presence[b])[open_question].sum()
        alone += (expected[a] ** 2)[open_question].sum()
    assert tosses > 1000
    assert together > 1.4 * alone


@pytest.fixture(scope="module")
def peaks(world: World, beds: list[list[list[str]]]) -> list[pl.DataFrame]:
    """Per file: element (-1: none), hidden chance, score, signal, p and q of each peak."""
    elements = world.ground_truth("elements").with_columns(pl.col("chrom").cast(pl.String))
    expected = world.expected_rows(world.sheet)
    bounds = {
        name: tuple(rows[column].to_numpy() for column in ("id", "start", "end"))
        for (name,), rows in elements.partition_by("chrom", as_dict=True).items()
    }
    found = []
    for row, bed in enumerate(beds):
        element = []
        for chrom, start, end, *_ in bed:
            ids, starts, ends = bounds[chrom]
            middle = (int(start) + int(end)) // 2
            place = max(int(np.searchsorted(starts, middle, "right")) - 1, 0)
            element.append(int(ids[place]) if starts[place] <= middle < ends[place] else -1)
        columns = {"score": 4, "signal": 6, "p": 7, "q": 8}
        frame = pl.DataFrame({name: [float(p[i]) for p in bed] for name, i in columns.items()})
        chance = np.where(np.array(element) < 0, 0, expected[row][element])
        found.append(frame.with_columns(element=np.array(element), chance=chance))
    return found


def rank_correlation(frame: pl.DataFrame, a: str, b: str) -> float:
    return float(frame.select(pl.corr(a, b, method="spearman")).item())


def test_strong_peaks_are_true_peaks(peaks: list[pl.DataFrame]) -> None:
    """Score and signal of a peak say how likely the element is, and spurious ones are weak."""
    for name in ("score", "signal", "p", "q"):
        assert np.mean([rank_correlation(frame, "chance", name) for frame in peaks]) > 0.4


def test_a_signal_does_not_give_the_hidden_probability_away(peaks: list[pl.DataFrame]) -> None:
    """Among peaks of true elements it is one noisy and skewed measurement of it."""
    true = [frame.filter(pl.col("chance") > 0.05) for frame in peaks]
    assert 0.2 < np.mean([rank_correlation(f, "chance", "signal") for f in true]) < 0.6
    for frame in true:
        signal = frame["signal"].to_numpy()
        assert signal.min() > 1
        assert np.mean(signal) > 1.1 * np.median(signal)


def test_replicates_agree_on_strength_and_differ(peaks: list[pl.DataFrame], world: World) -> None:
    together = []
    for (_,), rows in world.sheet.with_row_index("row").group_by("experiment"):
        if len(rows) > 1:
            a, b = (peaks[row].filter(pl.col("element") >= 0) for row in rows["row"][:2])
            both = a.unique("element").join(b.unique("element"), on="element")
            assert (both["signal"] != both["signal_right"]).mean() > 0.5
            together.append(rank_correlation(both, "signal", "signal_right"))
    assert 0.6 < np.mean(together) < 0.9


def test_p_is_of_the_reads_and_q_its_false_discovery_rate(
    peaks: list[pl.DataFrame], world: World
) -> None:
    for frame in peaks[:20]:
        ordered = frame.sort("signal")
        for name in ("p", "q", "score"):  # all rise together
            assert (ordered[name].diff().drop_nulls() >= -1e-4).all()
        assert (frame["p"] >= 2.99).all() and (frame["q"] <= frame["p"]).all()
        assert (frame["score"] == (10 * frame["q"]).floor().clip(0, 1000)).mean() > 0.99
        # Benjamini and Hochberg, written out: the least of p * tested / rank from here on.
        p = np.sort(frame["p"].to_numpy())[::-1]
        adjusted = p - np.log10(len(world) / np.arange(1, len(p) + 1))
        q = [max(0.0, adjusted[i:].max()) for i in range(len(p))]
        np.testing.assert_allclose(np.sort(frame["q"].to_numpy())[::-1], q, atol=1e-4)


@pytest.mark.parametrize("enrichment", [3.0, 12.0])
def test_p_is_the_tail_of_a_poisson_distribution(enrichment: float) -> None:
    called = call_peaks(np.full(2000, enrichment), 1000, np.random.default_rng(3))
    # signal = (reads + 1) / (background + 1), and reads are whole numbers: the least step is one.
    background = 1 / np.diff(np.unique(called.signal)).min() - 1
    reads = np.rint(called.signal * (background + 1) - 1)
    np.testing.assert_allclose(called.p, -np.log10(poisson.sf(reads - 1, background)), rtol=0.05)


def test_p_of_a_huge_peak_is_finite() -> None:
    called = call_peaks(np.array([1e4]), 1000, np.random.default_rng(0))
    assert np.isfinite(called.p).all() and called.p[0] > 1e4
    assert called.score[0] == 1000


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    ranked = truth[np.argsort(-score, kind="stable")]
    places = np.flatnonzero(ranked)
    return float(((np.arange(len(places)) + 1) / (places + 1)).mean())


def test_knowing_the_truth_beats_popularity_by_far(world: World, presence: np.ndarray) -> None:
    expected = world.expected_rows(world.sheet)
    popularity = presence.mean(0)
    oracle = np.mean([average_precision(p, e) for p, e in zip(presence, expected, strict=True)])
    popular = np.mean([average_precision(p, popularity) for p in presence])
    assert 0.65 < oracle < 0.95
    assert popular < oracle - 0.25


def test_bound_regions_hold_the_motif(world: World, presence: np.ndarray) -> None:
    sites = world.ground_truth("motif_instances").with_columns(pl.col("tf").cast(pl.String))
    rows = world.sheet.with_row_index("row").filter(pl.col("assay") == "TF ChIP-seq")
    for row, target in rows.select("row", "target").head(20).iter_rows():
        holding = np.zeros(len(world), bool)
        holding[sites.filter(pl.col("tf") == target)["element"].to_numpy()] = True
        assert holding[presence[row]].mean() > 2 * holding.mean()


def test_a_gene_is_linked_to_its_promoter_and_enhancers_around(world: World) -> None:
    genes, links = world.ground_truth("genes"), world.ground_truth("links")
    kind = world.ground_truth("elements")["kind"].cast(pl.String)
    own = links.filter(pl.col("distance") == 0)
    assert own["element"].to_list() == genes["promoter"].to_list()
    others = links.filter(pl.col("distance") != 0)
    assert set(kind.gather(others["element"])) == {"enhancer"}
    np.testing.assert_allclose(
        others["weight"], np.exp(-np.abs(others["distance"].to_numpy()) / 20_000)
    )
    middle = (
        world.ground_truth("elements").select((pl.col("start") + pl.col("end")) // 2).to_series()
    )
    sign = genes["strand"].replace_strict({"+": 1, "-": -1}).gather(others["gene"])
    assert (
        (middle.gather(others["element"]) - genes["tss"].gather(others["gene"])) * sign
        == others["distance"]
    ).all()
