"""`genoglot bench risk`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from genoglot.cli.options import Device, GenomeFiles, Overwrite, Seed, with_groups
from genoglot.cli.session import check_out
from genoglot.errors import GenoglotError

log = logging.getLogger("genoglot")


@with_groups
def risk(
    vcf: Annotated[
        Path,
        typer.Argument(
            help="VCF file with the people's genotypes, plain or gzip.", show_default=False
        ),
    ],
    phenotypes: Annotated[
        Path,
        typer.Argument(
            help="CSV or TSV with a row per person: name, disease status, covariates.",
            show_default=False,
        ),
    ],
    locus: Annotated[
        str,
        typer.Option(
            help="Part of the genome to read, such as chr10:43,572,000-43,625,000.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the results.", show_default=False)
    ],
    genome: GenomeFiles,
    encoder: Annotated[
        Path | None,
        typer.Option(
            help="Saved encoder of DNA, which reads both haplotypes.",
            show_default="only the baselines",
        ),
    ] = None,
    window: Annotated[
        int, typer.Option(min=16, help="Maximum length of the windows of the encoder, bp.")
    ] = 500,
    person: Annotated[
        str, typer.Option("--person", help="Column with the names of the samples.")
    ] = "person",
    case: Annotated[str, typer.Option("--case", help="Column with the disease status.")] = "case",
    coding: Annotated[
        Literal["auto", "0/1", "1/2"],
        typer.Option(
            help="Meaning of the status: 0/1 (1 is a case), or 1/2 as in PLINK (2 is a case; 0 and "
            "-9 are missing); auto reads case and control, and 0/1 or 1/2 if it is clear."
        ),
    ] = "auto",
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that is a covariate. Can be repeated.", show_default="all other columns"
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column with families or populations, which are never divided between training "
            "and test.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of parts of the cross-validation.")] = 5,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Estimate the disease risk of each person of a cohort from both haplotypes of a locus.

    Nested cross-validation of an encoder's vectors, beside a constant, covariates, the number of
    alternative alleles and the genotypes. OUT has risk.csv, a row per person; metrics.csv, with
    intervals; and notes.json, with what was counted.
    """
    from rich.console import Console

    from genoglot.bench.risk import estimate_risk
    from genoglot.files import atomic_path, write_manifest
    from genoglot.models.dna.sequence_encoder import SequenceEncoder
    from genoglot.sequence.vcf import Locus
    from genoglot.tasks.cohort import Cohort
    from genoglot.training.device import choose_device

    dna = genome.open()
    if dna is None:
        raise GenoglotError("--genome is missing; give the genome that the variants were called on")
    check_out(out, [vcf, phenotypes, encoder, *dna.files], overwrite=overwrite)
    where = choose_device(device)
    model = None if encoder is None else SequenceEncoder.from_pretrained(encoder).to(where)
    cohort = Cohort.read(
        vcf,
        phenotypes,
        Locus.parse(locus),
        dna,
        person=person,
        case=case,
        coding=coding,
        covariates=covariate,
        group=group,
    )
    log.info(
        "%d people, %d cases; %d variants, %d distinct haplotypes; covariates: %s",
        *(len(cohort), cohort.case.sum(), len(cohort.genotypes.variants)),
        *(len(cohort.haplotypes), ", ".join(cohort.covariate_names) or "none"),
    )
    result = estimate_risk(cohort, model, window=window, folds=folds, seed=seed)
    with atomic_path(out, directory=True, overwrite=overwrite) as folder:
        result.risk.write_csv(folder / "risk.csv")
        result.metrics.write_csv(folder / "metrics.csv")
        write_manifest(folder / "notes.json", dict(cohort.notes))
    Console().print(result.table())
