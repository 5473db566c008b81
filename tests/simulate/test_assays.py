"""What public archives would hold of the world agrees with its truth."""

import gzip
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.simulate import World
from genoglot.simulate.assays import tissue_id


@pytest.fixture(scope="module")
def assays(world: World) -> Path:
    return world.path / "assays"


def test_promoters_are_those_of_the_truth_in_both_formats(world: World, assays: Path) -> None:
    promoters = world.ground_truth("elements").filter(pl.col("kind") == "promoter")
    bed = [line.split("\t") for line in (assays / "promoters.bed").read_text().splitlines()]
    fps = (assays / "promoters.fps").read_text().splitlines()
    assert len(bed) == len(fps) == len(promoters)
    genes = {
        f"{row['gene_name']}_1": row for row in world.ground_truth("genes").iter_rows(named=True)
    }
    found = 0
    for row, line in zip(bed, fps, strict=True):
        plus = row[5] == "+"
        tss = int(row[6]) if plus else int(row[7]) - 1
        assert int(row[2]) - int(row[1]) == 60
        assert (tss - int(row[1]), int(row[2]) - tss) == ((49, 11) if plus else (10, 50))
        assert line[5:25].strip() == row[3] and line[33:51].strip() == row[0]
        assert line[52] == row[5] and int(line[53:63]) == tss + 1 and line[63] == ";"
        if gene := genes.get(row[3]):
            assert (gene["chrom"], gene["tss"], gene["strand"]) == (row[0], tss, row[5])
            found += 1
    assert found == len(genes)


def test_methylation_is_low_where_it_is_open(
    world: World, assays: Path, genome: dict[str, str]
) -> None:
    truth = world.ground_truth("methylation")
    elements = world.ground_truth("elements")
    samples = truth.columns[2:]
    assert samples == [tissue_id(name) for name in world.regulation.biosamples[:4]]
    for chrom, at in truth.select("chrom", "start").rows()[::50]:
        assert genome[chrom][at : at + 2] == "CG"
    first = {name: elements["chrom"].cast(pl.String).index_of(name) or 0 for name in genome}
    ends = {
        name: elements.filter(pl.col("chrom").cast(pl.String) == name)["end"].to_numpy()
        for name in genome
    }
    starts = elements["start"].to_numpy()
    element = np.full(len(truth), -1)
    for i, (chrom, at) in enumerate(truth.select("chrom", "start").rows()):
        near = int(np.searchsorted(ends[chrom], at, "right"))
        if near < len(ends[chrom]) and starts[first[chrom] + near] <= at:
            element[i] = first[chrom] + near
    sites = truth.with_columns(id=element).filter(pl.col("id") >= 0)
    opened = world.openness(world.regulation.biosamples[0])[sites["id"].to_numpy()]
    level = sites[samples[0]].to_numpy()
    promoter = (elements["kind"] == "promoter").to_numpy()[sites["id"].to_numpy()]
    assert level[opened > 0.9].mean() < 0.2 < 0.6 < level[(opened < 0.1) & ~promoter].mean()
    assert level[promoter].mean() < 0.25
    with gzip.open(assays / f"{samples[0]}.bedMethyl.gz", "rt") as file:
        rows = [line.rstrip().split("\t") for line in file]
    assert {len(row) for row in rows} == {11}
    measured = {(row[0], int(row[1]) - (row[5] == "-")): [0.0, 0.0] for row in rows}
    for row in rows:
        both = measured[row[0], int(row[1]) - (row[5] == "-")]
        both[0] += int(row[9])
        both[1] += int(row[9]) * int(row[10]) / 100
    true = dict(zip(truth.select("chrom", "start").rows(), truth[samples[0]], strict=True))
    assert measured.keys() <= true.keys() and len(measured) > 0.95 * len(true)
    deep = [key for key, (reads, _) in measured.items() if reads >= 30]
    error = [measured[key][1] / measured[key][0] - true[key] for key in deep]
    assert abs(np.mean(error)) < 0.01 and np.std(error) < 0.1


def test_expression_follows_the_openness_of_linked_elements(world: World, assays: Path) -> None:
    genes, links = world.ground_truth("genes"), world.ground_truth("links")
    anno = pl.read_csv(assays / "geneanno.csv")
    rpkm = pl.read_csv(assays / "geneanno.exp.csv")
    assert anno["id"].to_list() == genes["gene_id"].to_list()
    assert (anno["CAGE_representative_TSS"] - 1).to_list() == genes["tss"].to_list()
    assert rpkm.height == len(genes) and rpkm.width == 1 + len(world.regulation.biosamples)
    activity = world.ground_truth("elements")["activity"].to_numpy()
    for name in world.regulation.biosamples[:3]:
        opened = world.openness(name)
        drive = np.zeros(len(genes))
        for row in links.iter_rows(named=True):
            own = row["distance"] == 0
            weight = 5 if own else 2 * row["weight"] * activity[row["element"]]
            drive[row["gene"]] += weight * opened[row["element"]]
        told = rpkm[tissue_id(name)].to_numpy()
        expressed = told > 0
        error = np.log(told[expressed]) + 3 - drive[expressed]
        assert abs(error.mean()) < 0.1 and error.std() == pytest.approx(0.3, abs=0.06)


def strength(score: float) -> float:
    return 1 / (1 + math.exp(-(score - 0.85) / 0.04))


def test_variants_change_openness_as_the_rule_says(world: World, genome: dict[str, str]) -> None:
    """One changed base, put through the rule of docs/world.md again."""
    from safetensors.numpy import load_file

    matrices = load_file(world.path / "truth" / "motifs.safetensors")
    sites = world.ground_truth("motif_instances").with_columns(pl.col("tf").cast(pl.String))
    elements = world.ground_truth("elements")
    family = dict(world.ground_truth("factors").select("name", "family").iter_rows())
    name = world.regulation.biosamples[0]
    level = next(
        row
        for row in world.ground_truth("expression").iter_rows(named=True)
        if row["biosample"] == name
    )
    variants = world.ground_truth("variants").filter(pl.col("tissue") == tissue_id(name))
    elsewhere = variants.filter(pl.col("element") < 0)
    assert len(elsewhere) > 1000 and (elsewhere["effect"] == 0).all()
    chosen = variants.filter(pl.col("element") >= 0)
    for row in (
        chosen.sort(pl.col("effect").abs(), descending=True).head(300)[::10].iter_rows(named=True)
    ):
        text = genome[row["chrom"]]
        assert text[row["position"]] == row["ref"]
        text = text[: row["position"]] + row["alt"] + text[row["position"] + 1 :]
        inverse = []
        for site in sites.filter(pl.col("element") == row["element"]).iter_rows(named=True):
            bases = text[site["start"] : site["end"]]
            if site["strand"] == "-":
                bases = bases.translate(str.maketrans("ACGT", "TGCA"))[::-1]
            odds = np.log2(matrices[site["tf"]] / 0.25)
            total = sum(odds[i]["ACGT".index(base)] for i, base in enumerate(bases))
            worst, best = odds.min(1).sum(), odds.max(1).sum()
            relatives = [tf for tf in family if family[tf] == family[site["tf"]]]
            known = max(level[tf] * (1 if tf == site["tf"] else 0.25) for tf in relatives)
            inverse.append(1 / max(known * strength((total - worst) / (best - worst)), 0.02))
        element = elements.row(row["element"], named=True)
        odds_open = element["baseline"] + element["gain"] * len(inverse) / sum(inverse)
        before = float(world.openness(name)[row["element"]])
        effect = 1 / (1 + math.exp(-odds_open)) - before
        assert row["effect"] == pytest.approx(effect, abs=2e-3)


def test_fine_mapping_tells_causal_variants_from_spurious_ones(world: World, assays: Path) -> None:
    with gzip.open(assays / "finemapping_DAPG.txt.gz", "rb") as file:
        table = pl.read_csv(file.read(), separator="\t")
    truth = world.ground_truth("variants")
    assert len(table) == len(truth)
    effect, pip = truth["effect"].abs().to_numpy(), table["variant_pip"].to_numpy()
    assert (pip[effect >= 0.1] > 0.9).all() and (effect >= 0.1).sum() > 300
    assert (pip[effect <= 0.01] < 0.01).all()
    between = (effect > 0.01) & (effect < 0.1)
    assert ((pip[between] > 0.01) & (pip[between] < 0.9)).all()
    assert set(table["gene_id"]) <= set(world.ground_truth("genes")["gene_id"])
    longer = table["variant_id"].str.split("_").list.get(2).str.len_bytes() > 1
    assert 0.02 < longer.mean() < 0.08


def test_mutagenesis_measures_the_truth_with_the_error_of_its_barcodes(
    world: World, assays: Path, genome: dict[str, str]
) -> None:
    with gzip.open(assays / "saturation_mutagenesis.tsv.gz", "rb") as file:
        table = pl.read_csv(file.read(), separator="\t", null_values="NA")
    assert table["Pos"].null_count() == 2
    table = table.drop_nulls("Pos")
    for row in table[::50].iter_rows(named=True):
        assert genome[f"chr{row['Chrom']}"][row["Pos"] - 1] == row["Ref"] != row["Alt"]
    truth = world.ground_truth("mutagenesis")
    assert truth.select("Pos", "Alt", "Element").equals(table.select("Pos", "Alt", "Element"))
    error = (table["Coefficient"] - truth["effect"]) * table["Barcodes"].sqrt()
    assert abs(error.mean()) < 0.02 and error.std() == pytest.approx(0.8, abs=0.03)
    for (name,), rows in truth.group_by("Element"):
        assert rows["effect"].abs().max() > 0.3, name
    snvs = table.filter(pl.col("Alt") != "-").group_by("Element", "Pos").len()
    assert (snvs["len"] == 3).all()
    twice = sorted(name for name in truth["Element"].unique() if name.endswith(("-A", "-B")))
    pair = [table.filter(pl.col("Element") == name) for name in twice]
    joined = pair[0].join(pair[1], on=["Pos", "Alt"])
    correlation = joined.select(pl.corr("Coefficient", "Coefficient_right", method="spearman"))
    assert 0.1 < correlation.item() < 0.95
