"""`genoglot genebert build`, `info` and `map`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genoglot.cli.options import (
    AsJson,
    Device,
    GenomeFiles,
    MotifSource,
    Overwrite,
    Seed,
    with_groups,
)
from genoglot.cli.output import print_facts, print_json, print_tsv
from genoglot.cli.session import advise
from genoglot.errors import GenoglotError

if TYPE_CHECKING:
    from genoglot.atlas.accessibility import Accessibility

log = logging.getLogger("genoglot")

app = typer.Typer(
    no_args_is_help=True,
    help="Build and inspect the data that GeneBERT is pre-trained on, and map its samples.",
)


@dataclass(frozen=True)
class CellMatrix:
    """How a peak x cell matrix is read."""

    barcodes: Annotated[
        Path | None,
        typer.Option(
            help="For MatrixMarket: names of the cells, in the order of the matrix; one on each "
            "line, or a table (CSV or TSV) with a header.",
            show_default=False,
        ),
    ] = None
    peaks: Annotated[
        Path | None,
        typer.Option(
            help="For MatrixMarket: the peaks, in the order of the matrix; BED, or names such as "
            "chr1:100-600.",
            show_default=False,
        ),
    ] = None
    cell_types: Annotated[
        Path | None,
        typer.Option(
            help="Table (CSV or TSV, with a header) with the cell type of each cell. An h5ad file "
            "has its own.",
            show_default=False,
        ),
    ] = None
    barcode_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the names of the cells.",
            show_default="the only one with barcodes of the matrix",
        ),
    ] = None
    cell_type_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the cell types, of --cell-types or of obs in an h5ad file.",
            show_default="the only one with a name such as cell_type",
        ),
    ] = None
    all_cells: Annotated[
        bool, typer.Option("--all-cells", help="Add up all cells, as if they were of one type.")
    ] = False
    min_count: Annotated[
        float,
        typer.Option(
            min=0,
            help="Minimum sum of counts over the cells of a type for a region to be open in it.",
            show_default="any count",
        ),
    ] = 0


@app.command("build")
@with_groups
def build(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of an atlas; or a peak x cell matrix: folder or .h5 of 10x, .h5ad, "
            ".mtx or .mtx.gz.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the new data set.", show_default=False)
    ],
    genome: GenomeFiles,
    assembly: Annotated[
        str,
        typer.Option(
            help="Name of the genome's assembly, such as hg38. If SOURCE names one, it must be the "
            "same.",
            show_default=False,
        ),
    ] = "",
    width: Annotated[
        int, typer.Option(min=1, help="Number of bases around the center of each region.")
    ] = 500,
    scores: Annotated[
        Literal["max", "sum"],
        typer.Option(help="Score of a motif in a region: that of the best site, or of all sites."),
    ] = "max",
    validation: Annotated[
        list[str] | None,
        typer.Option(
            help="Chromosome to validate on. Can be repeated.",
            show_default="about a tenth of the regions",
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            help="Chromosome to test on. Can be repeated.",
            show_default="about a tenth of the regions",
        ),
    ] = None,
    on_error: Annotated[
        Literal["raise", "skip"],
        typer.Option(
            help="What to do with cells without a cell type, cell types without a region, and "
            "regions that are not in the genome: refuse the data (raise), or leave them out (skip) "
            "and report how many were left out."
        ),
    ] = "raise",
    overwrite: Overwrite = False,
    *,
    matrix: CellMatrix,
    motifs: MotifSource,
) -> None:
    """Build the data set that `genoglot pretrain genebert` learns from.

    It holds the regions that are open in the cell types, their DNA, and a score of each motif in
    each region. The region sets of an atlas count as cell types. Cells of a matrix are
    added up by cell type: give a table of them.

        genoglot genebert build matrix.mtx.gz --barcodes barcodes.tsv --peaks peaks.bed
        --cell-types cells.csv --genome hg38.fa -o data

    An interrupted build continues where it was, if the same command is given again.
    """
    from genoglot.files import check_apart
    from genoglot.models.dna.genebert_build import SUBSETS
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.regions.assembly import same_assembly

    dna = genome.open()
    if dna is None:
        raise GenoglotError("give the genome of the regions with --genome")
    tables = (matrix.barcodes, matrix.peaks, matrix.cell_types, motifs.motifs)
    check_apart(out, [source, *tables, *dna.files])
    accessible = _read(source, matrix, on_error)
    if not same_assembly(accessible.genome, assembly):
        raise GenoglotError(
            f"{source}: is of the assembly {accessible.genome!r}, not {assembly!r}; give the "
            "genome that it is of (--genome, --assembly)"
        )
    accessible = replace(accessible, genome=accessible.genome or assembly)
    advise(lambda: "give the same command again to continue")
    data = GeneBertData.build(
        out,
        accessible,
        dna,
        motifs.read(),
        width=width,
        scores=scores,
        validation=validation or (),
        test=test or (),
        on_error=on_error,
        overwrite=overwrite,
    )
    facts = data.info()
    log.info(
        "%s: %s regions, %d cell types, %d motifs; split %s",
        *(out, f"{data.n_regions:,}", len(data.cell_types), len(data.motifs), facts["split"]),
    )
    for subset in SUBSETS:
        log.info(
            "%s: %s regions, %s samples of 10 regions",
            *(subset, f"{facts[f'n_{subset}']:,}", f"{facts[f'n_{subset}_samples']:,}"),
        )


@app.command("info")
def info(
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.", show_default=False)],
    as_json: AsJson = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read all data and compare them with the digests.")
    ] = False,
) -> None:
    """Show the content of a data set: regions, cell types, motifs, split, samples."""
    from genoglot.models.dna.genebert_data import GeneBertData

    data = GeneBertData.open(folder)
    if check:
        data.verify()
    (print_json if as_json else print_facts)(data.info())


@app.command("map")
def map_command(
    model: Annotated[
        Path,
        typer.Argument(
            help="Model that was trained with all losses, as genoglot pretrain genebert saves it.",
            show_default=False,
        ),
    ],
    data: Annotated[Path, typer.Argument(help="Folder of the data set.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="Picture to write, .png or .svg.", show_default=False),
    ],
    unimodal: Annotated[
        Path | None,
        typer.Option(
            help="Model that was trained without the matching loss, to show beside the other one.",
            show_default=False,
        ),
    ] = None,
    subset: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Subset of the regions.")
    ] = "test",
    cell_type: Annotated[
        list[str] | None,
        typer.Option(
            help="Cell type to show. Can be repeated.", show_default="all, or 10 drawn of them"
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=4, help="Maximum number of samples.")] = 500,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Map samples by cell type, with and without their motif scores (t-SNE).

    The picture has one map for each kind of vectors: of DNA, of DNA and motif scores, and of motif
    scores without a model. How well these separate the cell types is printed: the silhouette score
    of the vectors, its 95 % interval, and the score if cell types are permuted.
    """
    from genoglot.models.dna.genebert import GeneBert
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.reports.sample_maps import check_map, map_samples, write_map
    from genoglot.training.device import choose_device

    check_map(out)
    chosen = choose_device(device)
    loaded = GeneBert.from_pretrained(model).to(chosen)
    other = None if unimodal is None else GeneBert.from_pretrained(unimodal).to(chosen)
    opened = GeneBertData.open(data)
    drawn, maps = map_samples(
        loaded, opened, unimodal=other, subset=subset, cell_types=cell_type, n=samples, seed=seed
    )
    write_map(out, drawn, maps)
    print_tsv(
        ("vectors", "silhouette", "low", "high", "permuted"),
        ((one.name, *one.silhouette, one.chance) for one in maps),
    )
    log.info(
        "%s: %d samples of %d cell types",
        *(out, len(drawn.cell_type), len(set(drawn.cell_type.tolist()))),
    )


def _read(source: Path, matrix: CellMatrix, on_error: Literal["raise", "skip"]) -> Accessibility:
    """Read an atlas or a peak x cell matrix."""
    from dataclasses import asdict

    from genoglot.atlas import Atlas
    from genoglot.atlas.accessibility import Accessibility
    from genoglot.atlas.cell_matrix import read_cell_matrix
    from genoglot.atlas.format import MANIFEST

    if not (source / MANIFEST).exists():
        return read_cell_matrix(source, **asdict(matrix), on_error=on_error)
    for option, value in asdict(matrix).items():
        if value:
            raise GenoglotError(
                f"{source}: --{option.replace('_', '-')} is for a peak x cell matrix, but this is "
                "an atlas; leave it out"
            )
    return Accessibility.of(Atlas.open(source))
