"""Cohorts: VCF and phenotypes are matched by name, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import Genome, to_text
from genoglot.sequence.vcf import Locus
from genoglot.tasks.cohort import Cohort

DNA = "ACGTTGCAACGGTTAACCATGCATTGACCA"
CALLS = {
    "ada": ("0|1", "1|1"),
    "bo": ("0|0", ".|1"),
    "cy": ("1|2", "0|0"),
    "di": ("0/1", "0/1"),
}


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "g.fa").write_text(f">chr1\n{DNA}\n")
    return Genome.open(tmp_path / "g.fa")


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    head = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT"
    lines = ["##fileformat=VCFv4.3", f"{head} {' '.join(CALLS)}"]
    first, second = zip(*CALLS.values(), strict=True)
    lines.append(f"chr1 3 . G T,GA . . . GT {' '.join(first)}")
    lines.append(f"chr1 9 . A *,C . . . GT {' '.join(call.replace('1', '2') for call in second)}")
    path = tmp_path / "a.vcf"
    path.write_text("\n".join(line.replace(" ", "\t") for line in lines) + "\n")
    return path


def read(vcf: Path, genome: Genome, table: str, **options: object) -> Cohort:
    path = vcf.with_name("people.csv")
    path.write_text(table)
    return Cohort.read(vcf, path, Locus("chr1", 0, 30), genome, **options)  # type: ignore[arg-type]


def test_people_are_matched_by_name_and_the_others_counted(vcf: Path, genome: Genome) -> None:
    cohort = read(vcf, genome, "person,case,age\nzoe,1,9\ncy,0,40\nada,1,50\ndi,NA,3\n")
    assert cohort.people == ("ada", "cy")
    assert cohort.case.tolist() == [1, 0]
    assert cohort.covariates.tolist() == [[50], [40]]
    assert cohort.notes["people_without_phenotype"] == 1  # bo
    assert cohort.notes["people_without_genotypes"] == 1  # zoe
    assert cohort.notes["people_without_status"] == 1  # di
    second = int(cohort.haplotypes.copies[1, 1])
    assert to_text(cohort.haplotypes.sequence(second)) == "ACGATTGCAACGGTTAACCATGCATTGACCA"


def test_dosages_count_each_alternative_allele(vcf: Path, genome: Genome) -> None:
    table = "person,case\nada,1\nbo,0\ncy,1\ndi,0\n"
    dosages = read(vcf, genome, table).dosages()
    wanted = [[1, 0, 2], [0, 0, np.nan], [1, 1, 0], [1, 0, 1]]
    np.testing.assert_array_equal(dosages, wanted)  # `*` has no column


@pytest.mark.parametrize(
    ("values", "options", "wanted"),
    [
        ("1 0 1 0", {}, [1, 0, 1, 0]),
        ("2 1 1 2", {}, [1, 0, 0, 1]),
        ("Case control CONTROL case", {}, [1, 0, 0, 1]),
        ("2 1 1 -9", {"coding": "1/2"}, [1, 0, 0]),
        ("2 1 0 2", {"coding": "1/2"}, [1, 0, 1]),
        ("1 0 . 1", {}, [1, 0, 1]),
    ],
)
def test_codings_of_the_status(
    vcf: Path, genome: Genome, values: str, options: dict[str, str], wanted: list[int]
) -> None:
    rows = [f"{name}\t{value}" for name, value in zip(CALLS, values.split(), strict=True)]
    cohort = read(vcf, genome, "\n".join(["person\tcase", *rows]), **options)
    assert cohort.case.tolist() == wanted


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("person,case\nada,2\nbo,0\n", {}, r"may mean several things; declare the coding"),
        ("person,case\nada,-9\nbo,1\n", {}, r"may mean several things"),
        ("person,case\nada,1\nbo,ill\n", {}, r"people.csv: .*may mean several things"),
        ("person,case\nada,case\nbo,ill\n", {}, r"people.csv:3: case is 'ill'; give case or"),
        ("person,case\nada,2\nbo,1\n", {"coding": "0/1"}, r"people.csv:2: case is '2'"),
        ("person,case\nada,1\nada,0\n", {}, r"people.csv:3: 'ada' occurs twice"),
        ("person,case\nx,1\ny,0\n", {}, r"no person of it is in .*it has 'x', 'y', and the VCF"),
        ("name,case\nada,1\n", {}, r"people.csv:1: the header has no column 'person'"),
        ("person,case\nada,1\n", {"covariates": ["age"]}, r"no column 'age'; it has 'person'"),
        ("person,case\nada,1\n", {"group": "family"}, r"no column 'family'"),
        ("person,case\nada,1\n", {"covariates": ["case"]}, r"'case' cannot be a covariate"),
        ("person,case\nada,NA\n", {}, r"no person with a status"),
        ("person,case,age\nada,1,inf\n", {}, r"people.csv:2: age is 'inf'"),
    ],
)
def test_bad_tables_are_refused(
    vcf: Path, genome: Genome, table: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(GenoglotError, match=message):
        read(vcf, genome, table, **options)


def test_a_locus_without_variants_is_refused(vcf: Path, genome: Genome) -> None:
    table = vcf.with_name("people.csv")
    table.write_text("person,case\nada,1\nbo,0\n")
    with pytest.raises(GenoglotError, match=r"a\.vcf: no variant in chr1:11-20; choose a locus"):
        Cohort.read(vcf, table, Locus("chr1", 10, 20), genome)


def test_names_of_people_are_text(vcf: Path, genome: Genome) -> None:
    """007 and 7 are two people."""
    vcf.write_text(vcf.read_text().replace("ada\tbo", "007\t7"))
    cohort = read(vcf, genome, "person,case\n7,1\n007,0\n")
    assert cohort.people == ("007", "7")
    assert cohort.case.tolist() == [0, 1]


def test_covariates_of_text_and_groups(vcf: Path, genome: Genome) -> None:
    table = (
        "person,case,sex,site,family,age\nada,1,f,x,A,NA\nbo,0,m,y,A,2\ncy,1,f,z,,3\ndi,0,,x,B,4\n"
    )
    cohort = read(vcf, genome, table, group="family")
    assert cohort.covariate_names == ("sex=m", "site=y", "site=z", "age")
    wanted = [[0, 0, 0, np.nan], [1, 1, 0, 2], [0, 0, 1, 3], [np.nan, 0, 0, 4]]
    np.testing.assert_array_equal(cohort.covariates, wanted)
    assert cohort.groups is not None
    assert len(set(cohort.groups)) == 3
    assert cohort.groups[0] == cohort.groups[1]
    chosen = read(vcf, genome, table, group="family", covariates=["age"])
    assert chosen.covariate_names == ("age",)


def test_a_column_of_identifiers_is_not_taken_for_a_covariate(vcf: Path, genome: Genome) -> None:
    rows = "".join(f"p{i},0,id{i}\n" for i in range(20))
    with pytest.raises(GenoglotError, match="'barcode' is text with"):
        people = " ".join(f"p{i}" for i in range(20)).replace(" ", "\t")
        head = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".replace(" ", "\t")
        vcf.write_text(
            f"{head}\t{people}\n"
            + "\t".join(["chr1", "3", ".", "G", "T", *"...", "GT"])
            + "\t0|0" * 20
            + "\n"
        )
        read(vcf, genome, "person,case,barcode\n" + rows)
