"""`genoglot pretrain mlm` and `genebert`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genoglot.cli.options import Devices, GenomeAlias, Origin, Training, with_groups
from genoglot.cli.session import is_first_process, merge_settings, open_genome, trainer_errors
from genoglot.registry import names

if TYPE_CHECKING:
    Tokenizer = str
else:
    Tokenizer = Literal[names("tokenizer")]  # a type checker cannot evaluate it

log = logging.getLogger("genoglot")

app = typer.Typer(no_args_is_help=True, help="Pre-train an encoder of DNA.")

MaxSteps = Annotated[
    int | None,
    typer.Option(min=1, help="Number of optimizer steps.", show_default="depends on the preset"),
]


@app.command("mlm")
@with_groups
def mlm(
    fasta: Annotated[
        list[Path],
        typer.Argument(help="FASTA files of the genome, plain or gzip.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the new encoder.", show_default=False)
    ],
    origin: Origin = None,
    alias: GenomeAlias = None,
    preset: Annotated[
        Literal["published", "small"],
        typer.Option(help="Published size and schedule, or a small one for a few CPU cores."),
    ] = "published",
    tokenizer: Annotated[Tokenizer, typer.Option(help="Tokenizer of the DNA.")] = "patch",
    k: Annotated[
        int | None,
        typer.Option(
            min=1, max=8, help="Number of bases of a token.", show_default="patch: 4, kmer: 5"
        ),
    ] = None,
    positions: Annotated[
        Literal["rotary", "relative", "absolute"], typer.Option(help="Position encoding.")
    ] = "rotary",
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of passes over the genome.", show_default="depends on the preset"
        ),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of optimizer steps, instead of epochs.", show_default=False
        ),
    ] = None,
    devices: Devices = 1,
    *,
    training: Training,
) -> None:
    """Pre-train an encoder of DNA on a genome, by predicting masked tokens.

    The encoder is saved at the end; logs (CSV, TensorBoard) and the checkpoint are in OUT.training.
    --set takes the settings of the encoder (dim, layers, ...) and of the training (mask_rate, span,
    window, batch_size, learning_rate, ...), and num_nodes, strategy and precision as in
    lightning.Trainer.
    """
    from genoglot.models.dna.masked_lm import MaskedLanguageModel

    settings, arguments = training.begin(out, *fasta, devices=devices)
    own = {"positions": positions, "epochs": epochs, "max_steps": max_steps, "seed": training.seed}
    settings = merge_settings(settings, **own)
    genome = open_genome(fasta, origin, alias, named=False)
    model = MaskedLanguageModel.from_preset(preset, genome, tokenizer, k=k, **settings)
    with trainer_errors():
        model.fit(genome, **arguments)
    if is_first_process():
        model.encoder.save_pretrained(out, overwrite=training.overwrite)
        log.info("%s: %s encoder trained on %s bases", out, tokenizer, f"{genome.n_bases:,}")


@app.command("genebert")
@with_groups
def genebert(
    data: Annotated[
        Path,
        typer.Argument(
            help="Data set of accessible regions, as genoglot genebert build writes it.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the new model.", show_default=False)
    ],
    preset: Annotated[
        Literal["published", "small", "tiny"],
        typer.Option(
            help="Published size and schedule, which need large GPUs; one for a few CPU cores; or "
            "one to try."
        ),
    ] = "small",
    k: Annotated[
        int | None,
        typer.Option(
            min=1, max=8, help="Number of bases of a token of a new encoder.", show_default="6"
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Encoder of DNA to begin with, a folder or a hub id: DNABERT, or a saved k-mer "
            "BERT.",
            show_default="a new one",
        ),
    ] = None,
    region_weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of the region encoder to begin with, such as those of ImageNet, a folder "
            "or a hub id.",
            show_default="new ones",
        ),
    ] = None,
    cell_type: Annotated[
        list[str] | None,
        typer.Option(
            help="Cell type to train on. Can be repeated.", show_default="all of the data set"
        ),
    ] = None,
    max_steps: MaxSteps = None,
    devices: Devices = 1,
    *,
    training: Training,
) -> None:
    """Pre-train an encoder of DNA together with an encoder of motif scores (GeneBERT).

    The model is saved at the end; genoglot embed uses its encoder of DNA.
    Logs (CSV, TensorBoard) and the checkpoint are in OUT.training. --set takes the settings of the
    training (masked_weight, next_segment_weight, matching_weight, region_bases, batch_size,
    learning_rate, ...), of the encoder (dim, layers, ...) and, with region_ before the name, of the
    region encoder (region_backbone, region_image, ...), and num_nodes, strategy and precision as in
    lightning.Trainer.
    """
    from genoglot.models.dna.genebert import GeneBert
    from genoglot.models.dna.genebert_data import GeneBertData

    settings, arguments = training.begin(out, data, encoder, region_weights, devices=devices)
    settings = merge_settings(settings, max_steps=max_steps, seed=training.seed)
    opened = GeneBertData.open(data)
    model = GeneBert.from_preset(
        preset, opened, k=k, encoder=encoder, region_weights=region_weights, **settings
    )
    with trainer_errors():
        model.fit(opened, cell_types=cell_type, **arguments)
    if is_first_process():
        model.save_pretrained(out, overwrite=training.overwrite)
        log.info("%s: trained on %s", out, opened)
