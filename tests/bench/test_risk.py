"""Nested cross-validation finds what is there, and nothing where there is nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genoglot.bench.risk import RiskResult, embed_haplotypes, estimate_risk
from genoglot.errors import GenoglotError
from genoglot.models.dna.attention import AttentionEncoder
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.sequence import Genome, KmerTokenizer
from genoglot.sequence.vcf import Locus
from genoglot.simulate import World
from genoglot.simulate.cohort import simulate_cohort
from genoglot.tasks.cohort import Cohort

LENGTH = 2_000


@pytest.fixture(scope="module")
def encoder() -> SequenceEncoder:
    return AttentionEncoder(KmerTokenizer(4), dim=16, heads=2, layers=1, seed=1).eval()


def make_cohort(
    folder: Path, alleles: np.ndarray, case: np.ndarray, columns: dict[str, list[str]] | None = None
) -> Cohort:
    """Write and read a cohort: alleles (variants, people, 1 or 2) of single-base variants."""
    rng = np.random.default_rng(5)
    dna = rng.choice(list("ACGT"), LENGTH)
    (folder / "g.fa").write_text(f">chr1\n{''.join(dna)}\n")
    people = [f"p{i}" for i in range(alleles.shape[1])]
    lines = ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(people)]
    step = LENGTH // len(alleles)
    for i, row in enumerate(alleles):
        ref = dna[i * step]
        alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
        calls = "\t".join("|".join(map(str, person)) for person in row.tolist())
        lines.append(f"chr1\t{i * step + 1}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t{calls}")
    (folder / "a.vcf").write_text("\n".join(lines) + "\n")
    table = pl.DataFrame({"person": people, "case": case, **(columns or {})})
    table.write_csv(folder / "people.csv")
    group = "family" if columns and "family" in columns else None
    return Cohort.read(
        folder / "a.vcf",
        folder / "people.csv",
        Locus("chr1", 0, LENGTH),
        Genome.open(folder / "g.fa"),
        group=group,
    )


def value(result: RiskResult, model: str, metric: str = "AUROC") -> tuple[float, float, float]:
    row = result.metrics.filter(model=model, metric=metric)
    assert len(row) == 1
    return tuple(row.row(0)[2:])  # type: ignore[return-value]


def test_a_planted_effect_is_found_by_genotypes_and_embedding(
    tmp_path: Path, encoder: SequenceEncoder
) -> None:
    rng = np.random.default_rng(0)
    alleles = (rng.random((12, 150, 2)) < 0.3).astype(int)
    dosage = alleles.sum(axis=2)
    # Two variants with opposite effects: the number of alternative alleles says nothing.
    liability = 2.0 * dosage[3] - 2.0 * dosage[8] + rng.normal(0, 0.4, 150)
    case = (liability > np.median(liability)).astype(int)
    cohort = make_cohort(tmp_path, alleles, case)
    result = estimate_risk(cohort, encoder, window=250, draws=200)
    assert value(result, "genotypes")[0] > 0.85
    assert value(result, "embedding")[0] > 0.75
    assert value(result, "burden")[0] < 0.7
    assert value(result, "genotypes", "MCC")[1] > 0.25
    assert result.risk["person"].to_list() == list(cohort.people)
    assert result.risk["fold"].value_counts()["count"].to_list() == [30] * 5


def test_the_same_seed_gives_the_same_result(tmp_path: Path, encoder: SequenceEncoder) -> None:
    rng = np.random.default_rng(7)
    alleles = (rng.random((6, 40, 2)) < 0.3).astype(int)
    cohort = make_cohort(tmp_path, alleles, np.arange(40) % 2)
    one, other, third = (estimate_risk(cohort, encoder, draws=100, seed=s) for s in (1, 1, 2))
    assert one.risk.equals(other.risk)
    assert one.metrics.equals(other.metrics)
    assert not one.risk["fold"].equals(third.risk["fold"])


def test_a_constant_has_the_metrics_of_a_collapsed_classifier(tmp_path: Path) -> None:
    alleles = np.zeros((4, 103, 2), int)
    case = (np.arange(103) < 47).astype(int)
    result = estimate_risk(make_cohort(tmp_path, alleles, case), draws=200)
    for model in ("constant", "covariates", "burden", "genotypes"):  # nothing differs
        auroc, low, high = value(result, model)
        assert auroc == 0.5
        assert low < 0.5 < high
        assert value(result, model, "MCC")[0] == 0
        assert value(result, model, "recall (macro)")[0] == 0.5
        assert value(result, model, "precision (macro)")[0] == pytest.approx(56 / 103 / 2)


@pytest.mark.parametrize(("people", "cases"), [(61, 31), (61, 30), (60, 30), (102, 51)])
def test_a_constant_predicts_one_class_if_half_of_the_people_are_cases(
    tmp_path: Path, people: int, cases: int
) -> None:
    case = (np.arange(people) < cases).astype(int)
    cohort = make_cohort(tmp_path, np.zeros((4, people, 2), int), case)
    result = estimate_risk(cohort, draws=20)
    most = max(cases, people - cases) / people
    for model in ("constant", "genotypes"):
        assert value(result, model)[0] == 0.5
        assert value(result, model, "MCC")[0] == 0
        assert value(result, model, "recall (macro)")[0] == 0.5
        assert value(result, model, "precision (macro)")[0] == pytest.approx(most / 2)


@pytest.mark.slow
def test_more_features_than_people_and_no_effect(tmp_path: Path, encoder: SequenceEncoder) -> None:
    """Fitting, or choosing the penalty, on the people who are measured would be far above 0.5."""
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        alleles = (rng.random((200, 60, 2)) < 0.4).astype(int)
        case = rng.permutation(60) % 2
        cohort = make_cohort(tmp_path, alleles, case)
        result = estimate_risk(cohort, encoder, window=100, draws=200, seed=seed)
        for model in ("genotypes", "embedding"):
            found.append(value(result, model))
    assert abs(np.mean([auroc for auroc, _, _ in found]) - 0.5) < 0.1
    assert sum(low <= 0.5 <= high for _, low, high in found) >= 5


def test_families_are_not_divided(tmp_path: Path) -> None:
    """Families have the same haplotypes and the same status, but no variant has an effect."""
    rng = np.random.default_rng(2)
    family = np.repeat(np.arange(40), 5)
    alleles = (rng.random((60, 40, 2)) < 0.4).astype(int)[:, family]
    case = (rng.permutation(40) % 2)[family]
    names = [f"f{i}" for i in family]
    cohort = make_cohort(tmp_path, alleles, case, {"family": names})
    _, low, high = value(estimate_risk(cohort, draws=200), "genotypes")
    assert low < 0.5 < high
    divided = estimate_risk(replace(cohort, groups=None), draws=200)
    assert value(divided, "genotypes")[0] > 0.9  # what the groups prevent


def test_covariates_are_available_to_all_models(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    case = rng.permutation(120) % 2
    alleles = (rng.random((20, 120, 2)) < 0.3).astype(int)
    age = [f"{50 + 10 * c + rng.normal(0, 5):.1f}" for c in case]
    result = estimate_risk(make_cohort(tmp_path, alleles, case, {"age": age}), draws=200)
    for model in ("covariates", "burden", "rare burden", "genotypes"):
        assert value(result, model)[0] > 0.85


def test_haploid_people_have_one_copy(tmp_path: Path) -> None:
    """2 % of haploid people have each allele, which is not rare; of two copies it would be 1 %."""
    case = np.arange(200) % 2
    alleles = np.zeros((12, 200, 1), int)
    for variant, carriers in enumerate(np.flatnonzero(case)[:48].reshape(12, 4)):
        alleles[variant, carriers] = 1
    result = estimate_risk(make_cohort(tmp_path, alleles, case), draws=200)
    assert value(result, "burden")[0] > 0.65
    assert value(result, "rare burden")[0] == 0.5


def test_a_person_has_no_influence_on_the_risk_of_others_in_the_fold(
    tmp_path: Path, encoder: SequenceEncoder
) -> None:
    """Standardization and rare alleles come from training people only."""
    rng = np.random.default_rng(4)
    frequency = np.append(rng.uniform(0.004, 0.4, 19), 0.5)[:, None, None]
    alleles = (rng.random((20, 60, 2)) < frequency).astype(int)
    case = (alleles[-1].sum(axis=1) + rng.normal(0, 0.3, 60) > 1).astype(int)
    before = estimate_risk(make_cohort(tmp_path, alleles, case), encoder, draws=100).risk
    changed = alleles.copy()
    changed[:, 0] = 1 - changed[:, 0]
    after = estimate_risk(make_cohort(tmp_path, changed, case), encoder, draws=100).risk
    same = (before["fold"] == before["fold"][0]) & (pl.arange(60, eager=True) > 0)
    for model in before.columns[3:]:
        np.testing.assert_allclose(
            before.filter(same)[model], after.filter(same)[model], atol=1e-3, err_msg=model
        )
    assert before["genotypes"][0] != after["genotypes"][0]  # so that genotypes are read at all


def test_embedding_does_not_depend_on_the_order_of_haplotypes(
    tmp_path: Path, encoder: SequenceEncoder
) -> None:
    rng = np.random.default_rng(6)
    alleles = (rng.random((10, 8, 2)) < 0.4).astype(int)
    case = np.arange(8) % 2
    one = embed_haplotypes(make_cohort(tmp_path, alleles, case), encoder, window=300)
    other = embed_haplotypes(make_cohort(tmp_path, alleles[..., ::-1], case), encoder, window=300)
    np.testing.assert_allclose(one, other, atol=1e-5)
    # All windows differ between people, and each is encoded as the encoder encodes its DNA.
    assert one.shape == (8, 7 * 2 * encoder.dim)
    haplotypes = make_cohort(tmp_path, alleles, case).haplotypes
    first, second = (haplotypes.sequence(int(i))[None, :285] for i in haplotypes.copies[0])
    vectors = encoder.embed(np.concatenate([first, second]), strands="both")
    np.testing.assert_allclose(one[0, :16], vectors.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(one[0, 16:32], np.abs(vectors[0] - vectors[1]), atol=1e-5)


def test_too_few_people_or_groups(tmp_path: Path) -> None:
    alleles = np.zeros((4, 12, 2), int)
    case = (np.arange(12) < 3).astype(int)
    with pytest.raises(GenoglotError, match=r"3 cases for a cross-validation with 5 parts"):
        estimate_risk(make_cohort(tmp_path, alleles, case))
    family = {"family": ["a"] * 3 + ["b"] * 9}
    with pytest.raises(GenoglotError, match=r"1 groups of cases for a cross-validation with 2"):
        estimate_risk(make_cohort(tmp_path, alleles, case, family), folds=2)


def test_simulated_cohort(tmp_path: Path, world: World) -> None:
    locus = Locus.parse("chr1:200,001-240,000")
    path = simulate_cohort(world, tmp_path / "cohort", locus, people=200, heritability=0.6, seed=1)
    again = simulate_cohort(world, tmp_path / "again", locus, people=200, heritability=0.6, seed=1)
    for name in ("cohort.vcf.gz", "phenotypes.csv", "effects.csv"):
        assert (path / name).read_bytes() == (again / name).read_bytes()
    genome = Genome.open(world.genome_path)
    cohort = Cohort.read(path / "cohort.vcf.gz", path / "phenotypes.csv", locus, genome)
    assert len(cohort) == 200
    assert cohort.case.sum() == 100
    assert cohort.covariate_names == ("sex=male", "age")
    effects = pl.read_csv(path / "effects.csv")
    assert len(cohort.genotypes.variants) == len(effects)
    # Alleles of cases have more of the true effect, and neighbors are in linkage disequilibrium.
    genetic = cohort.dosages() @ effects["effect"].to_numpy()
    assert genetic[cohort.case == 1].mean() > genetic[cohort.case == 0].mean()
    carried = cohort.genotypes.alleles.transpose(0, 1, 2).reshape(len(effects), -1)
    common = effects["frequency"].to_numpy() > 0.05
    r2 = np.corrcoef(carried[common]) ** 2
    near, far = np.diag(r2, 1).mean(), np.diag(r2, len(r2) // 2).mean()
    assert near > 1.2 * far
    none = simulate_cohort(world, tmp_path / "none", locus, people=200, heritability=0.0)
    cohort = Cohort.read(none / "cohort.vcf.gz", none / "phenotypes.csv", locus, genome)
    _, low, high = value(estimate_risk(cohort, draws=200), "genotypes")
    covariates = value(estimate_risk(cohort, draws=200), "covariates")[0]
    assert low < covariates < high
