"""GeneBERT: DNA and motif scores of regulatory regions, pre-trained together (Mo et al. 2021)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from genoglot.errors import ModelError
from genoglot.models.dna.genebert_batches import GeneBertBatches, Ints
from genoglot.models.dna.kmer_bert import SIZES, KmerBert, KmerBertSettings, load_kmer_bert
from genoglot.models.dna.masking import IGNORED, Masker
from genoglot.models.dna.motif_matrix_encoder import MotifMatrixEncoder, MotifMatrixSettings
from genoglot.models.dna.sequence_encoder import ENCODER, Encoding, inference, to_numpy
from genoglot.nn.seed import torch_seed
from genoglot.nn.state import load_state_arrays, state_arrays
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings
from genoglot.training.examples import Batch, Draw, Examples
from genoglot.training.identity import saved_digest
from genoglot.training.losses import Loss, Losses, cross_entropy, info_nce
from genoglot.training.schedule import Decay, Schedule

if TYPE_CHECKING:
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.models.dna.genebert_samples import Samples
    from genoglot.training.device import DeviceOptions

REGION_ENCODER = "region_encoder"  # subfolder and attribute
_NO_COMMON_SPACE = "this model was trained without the matching loss: it has no common space"
LARGEST_SCALE = 100.0  # of the similarities, as in CLIP (Radford et al. 2021)


class GeneBertSettings(Settings):
    """Settings of a `GeneBert` and of its training; the defaults are the published ones.

    Attributes
    ----------
    masked_weight, next_segment_weight, matching_weight
        Weight of each loss in their sum. A loss of weight 0 is not computed, and what only this
        loss would train is not made.
    region_bases
        Number of bases in the center of each region that are read.
    n_regions
        Number of regions of a sample, in two segments.
    mask_rate, last_mask_rate
        Fraction of the k-mers that are masked, at first and in the last sixth of the steps.
    span
        Number of neighboring k-mers that are masked together: see `Masker`.
    match
        What has a vector in the common space of DNA and matrices: `"samples"`, as published, or
        each of the `"regions"` of a sample. Then a DNA and a matrix are as similar as their regions
        are, in order, which is learned in far fewer steps. This needs the backbone `"patches"`.
    joint_dim
        Width of these vectors.
    temperature
        Temperature of the matching loss at the beginning. It is learned.
    batch_size
        Number of samples in a training step, over all processes.
    max_steps
        Number of optimizer steps.
    learning_rate, warm_up, decay, weight_decay
        See `genoglot.training.schedule.Schedule`.
    checkpoint_every
        Number of steps after which a checkpoint is written.
    seed
        Seed of weights, masks, segments, order and dropout.
    """

    masked_weight: float = Field(1.0, ge=0)
    next_segment_weight: float = Field(1.0, ge=0)
    matching_weight: float = Field(0.5, ge=0)
    region_bases: int = Field(50, ge=1)
    n_regions: int = Field(10, ge=2)
    mask_rate: float = Field(0.15, gt=0, lt=1)
    last_mask_rate: float = Field(0.2, gt=0, lt=1)
    span: int | None = Field(None, ge=1)
    match: Literal["samples", "regions"] = "samples"
    joint_dim: int = Field(256, ge=1)
    temperature: float = Field(0.07, gt=0)
    batch_size: int = Field(2000, ge=1)
    max_steps: int = Field(120_000, ge=1)
    learning_rate: float = Field(4e-4, gt=0)
    warm_up: int = Field(10_000, ge=0)
    decay: Decay = "linear"
    weight_decay: float = Field(0.01, ge=0)
    checkpoint_every: int = Field(1000, ge=1)
    seed: int = Field(0, ge=0)


class Preset(NamedTuple):
    """Settings that go together: of the encoder of DNA, of that of matrices, of the training."""

    encoder: dict[str, Any]
    region_encoder: dict[str, Any]
    training: dict[str, Any]


PRESETS: dict[str, Preset] = {
    "published": Preset(
        {**SIZES["base"], "attention_dropout": 0.1}, {"backbone": "swin-t", "image": "resize"}, {}
    ),
    "small": Preset(
        SIZES["small"],
        {"dim": 128, "layers": (2,), "heads": (4,)},
        {
            "match": "regions", "joint_dim": 128, "batch_size": 64, "max_steps": 400,
            "learning_rate": 1e-3, "warm_up": 40, "checkpoint_every": 50,
        },
    ),
    "tiny": Preset(
        SIZES["tiny"],
        {"dim": 32, "layers": (1,), "heads": (2,)},
        {
            "match": "regions", "region_bases": 20, "joint_dim": 16, "batch_size": 8,
            "max_steps": 20, "learning_rate": 3e-3, "warm_up": 2, "checkpoint_every": 10,
        },
    ),
}  # fmt: skip
"""The published sizes; small ones for a few CPU cores; and tiny ones, for tests."""


class SampleVectors(NamedTuple):
    """Vectors of samples.

    Attributes
    ----------
    sequence
        Vector of the DNA, of the encoder of DNA, float32 (n, dim of the encoder).
    dna, regions
        Vectors of the DNA and of the matrix in their common space, of length 1, float32
        (n, joint_dim), or (n, n_regions * joint_dim) if regions are matched; None if the model was
        trained without the matching loss.
    """

    sequence: NDArray[np.float32]
    dna: NDArray[np.float32] | None
    regions: NDArray[np.float32] | None


class GeneBert(nn.Module, Pretrained):
    """A k-mer BERT of DNA and an encoder of motif scores, pre-trained by three losses.

    A sample is 10 consecutive regions that are accessible in one cell type. The encoder of DNA
    reads the center of each region, five regions in each of two segments; the region encoder reads
    the matrix of the regions' motif scores. The losses are

    - `masked`: cross-entropy of masked k-mers (masked genome modeling);
    - `next_segment`: whether the second segment follows the first one in that cell type, from the
      vector of [CLS]; in half of the samples it is another one of the cell type;
    - `matching`: symmetric InfoNCE over all pairs of DNA and matrix in a batch, with a learned
      temperature. Equation 3 of Mo et al. 2021, as printed, has neither the exponential function
      nor a temperature and sums all true pairs into one ratio, which is not a usable loss; this is
      InfoNCE as in CLIP (Radford et al. 2021), in both directions.

    k-mers are masked in spans (see `Masker`), always by [MASK], so that no k-mer that can be seen
    contains a base of a predicted one. The matrix is that of the regions that are read, so that
    each DNA has its matrix also if its second segment is another one.

    Parameters
    ----------
    encoder
        Encoder of DNA.
    region_encoder
        Encoder of matrices; None if `matching_weight` is 0.
    **settings
        Fields of `GeneBertSettings`; the others have their defaults.

    Raises
    ------
    ModelError
        If a setting is unknown or not valid, the regions of a sample are too long for the encoder,
        or the region encoder is missing, reads other numbers of regions, or has no vectors of
        regions if these are matched.
    """

    model_type = "genebert"
    settings_class = GeneBertSettings
    settings: GeneBertSettings

    def __init__(
        self, encoder: KmerBert, region_encoder: MotifMatrixEncoder | None = None, **settings: Any
    ) -> None:
        super().__init__()
        Pretrained.__init__(self, **settings)
        s = self.settings
        if (region_encoder is None) != (s.matching_weight == 0):
            raise ModelError(
                "a region encoder is needed if matching_weight is not 0, and only then"
            )
        if region_encoder is not None and region_encoder.settings.n_regions != s.n_regions:
            raise ModelError(
                f"samples have {s.n_regions} regions, but the region encoder reads "
                f"{region_encoder.settings.n_regions}; make them equal"
            )
        backbone = None if region_encoder is None else region_encoder.settings.backbone
        if s.match == "regions" and backbone not in (None, "patches"):
            raise ModelError(
                f"{backbone} has no vectors of regions; set match to samples, or the backbone of "
                "the region encoder to patches"
            )
        if not s.masked_weight + s.next_segment_weight + s.matching_weight:
            raise ModelError("all losses have weight 0; give one of them a weight")
        self.encoder, self.region_encoder = encoder, region_encoder
        self._check_length()
        with torch_seed(s.seed):
            self.masked_head = MaskedHead(encoder) if s.masked_weight else None
            self.next_segment = nn.Linear(encoder.dim, 2) if s.next_segment_weight else None
            if region_encoder is not None:
                self.project_dna = nn.Linear(encoder.dim, s.joint_dim)
                self.project_region = nn.Linear(region_encoder.dim, s.joint_dim)
                self.log_scale = nn.Parameter(torch.tensor([-math.log(s.temperature)]))

    def forward(self, batch: Batch) -> Losses:
        """Return the losses whose weight is not 0, in nats.

        Parameters
        ----------
        batch
            As `GeneBertBatches.draw` makes it.
        """
        s, losses = self.settings, {}
        encoding = self.encoder({name: batch[name] for name in ("inputs", "second")})
        if self.masked_head is not None:
            masked = self.masked_head(encoding.tokens, batch["targets"], self.encoder.token_table)
            losses["masked"] = masked._replace(weight=s.masked_weight)
        if self.next_segment is not None:
            follows = cross_entropy(self.next_segment(encoding.sequence), batch["follows"])
            losses["next_segment"] = follows._replace(weight=s.next_segment_weight)
        if self.region_encoder is not None:
            dna, region = self.dna_vectors(encoding), self.region_vectors(batch["matrix"])
            with torch.no_grad():  # not in the graph: from the limit, the scale can fall again
                self.log_scale.clamp_(max=math.log(LARGEST_SCALE))
            matching = info_nce(dna, region, self.log_scale.exp())
            losses["matching"] = matching._replace(weight=s.matching_weight)
        return losses

    def dna_vectors(self, encoding: Encoding) -> Tensor:
        """Return the vectors of encoded DNA in the common space, as in `SampleVectors`."""
        if self.region_encoder is None:
            raise ModelError(_NO_COMMON_SPACE)
        vectors = encoding.sequence
        if self.settings.match == "regions":
            tokens = encoding.tokens
            vectors = tokens.view(len(tokens), self.settings.n_regions, -1, tokens.shape[2]).mean(2)
        return F.normalize(self.project_dna(vectors).flatten(1), dim=1)

    def region_vectors(self, matrix: Tensor) -> Tensor:
        """Encode matrices, (batch, regions, motifs), in the common space, as in `SampleVectors`."""
        if self.region_encoder is None:
            raise ModelError(_NO_COMMON_SPACE)
        of_regions = self.settings.match == "regions"
        encode = self.region_encoder.embed_regions if of_regions else self.region_encoder
        return F.normalize(self.project_region(encode(matrix)).flatten(1), dim=1)

    @classmethod
    def from_preset(
        cls,
        preset: str,
        data: GeneBertData,
        *,
        k: int | None = None,
        encoder: str | Path | KmerBert | None = None,
        region_weights: str | Path | None = None,
        **settings: Any,
    ) -> Self:
        """Make a model for a data set.

        Parameters
        ----------
        preset
            Name of a preset in `PRESETS`.
        data
            The data set, whose motifs the region encoder reads.
        k
            Number of bases of a token of a new encoder, by default 6.
        encoder
            Encoder to begin with, or its folder or hub id: DNABERT, or a saved model with a k-mer
            BERT. By default a new one.
        region_weights
            Folder or hub id of published weights of the region encoder, such as those of ImageNet:
            see `MotifMatrixEncoder.load_backbone`. By default it is new.
        **settings
            Fields of `GeneBertSettings`, of `KmerBertSettings`, and, with the prefix `region_`, of
            `MotifMatrixSettings`; others have the values of the preset. With another
            `region_backbone` than that of the preset, its size is the published one, and with one
            for images, samples are matched by default. `seed` and `n_regions` are for all.

        Returns
        -------
        GeneBert
            The model.

        Raises
        ------
        ModelError
            If there is no such preset, or a setting is unknown or not valid.
        """
        if preset not in PRESETS:
            raise ModelError(f"no preset {preset!r}; choose from {', '.join(PRESETS)}")
        of_encoder, of_region, of_training = _split_settings(settings, encoder is None)
        read = PRESETS[preset]
        if encoder is None:
            encoder = KmerBert.from_size("base", k=k or 6, **{**read.encoder, **of_encoder})
        elif k is not None:
            raise ModelError("k is that of the encoder to begin with; leave it out")
        elif not isinstance(encoder, KmerBert):
            encoder = load_kmer_bert(encoder)
        of_preset, regions_of_preset = read.training, read.region_encoder
        backbone = regions_of_preset.get("backbone", "patches")
        if of_region.get("backbone", backbone) != backbone:
            size = ("dim", "layers", "heads")
            regions_of_preset = {k: v for k, v in regions_of_preset.items() if k not in size}
        of_region = regions_of_preset | of_region
        if of_region.get("backbone", "patches") != "patches":
            of_preset = of_preset | {"match": "samples"}
        training = GeneBertSettings.of({**of_preset, **of_training}, "genebert")
        regions = None
        if training.matching_weight:
            both = {"n_regions": training.n_regions, "seed": training.seed}
            try:
                regions = MotifMatrixEncoder(data.motifs, data.families, **{**of_region, **both})
            except ModelError as error:
                raise ModelError(
                    f"region encoder: {error} (its settings begin with region_)"
                ) from None
            if region_weights is not None:
                regions.load_backbone(region_weights)
        elif region_weights is not None:
            raise ModelError("matching_weight is 0, so that region weights would not be used")
        return cls(encoder, regions, **training.model_dump())

    def fit(
        self,
        data: GeneBertData,
        *,
        cell_types: list[str] | None = None,
        log_folder: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        device: str | DeviceOptions = "auto",
    ) -> Self:
        """Train on the training subset of a data set.

        Parameters
        ----------
        data
            The data set.
        cell_types
            Names of the cell types to train on; by default all.
        log_folder
            Where `loss.csv`, TensorBoard's log and the checkpoint are written; by default nowhere.
        resume
            Continue from the checkpoint in `log_folder`, if there is one: the result is that of a
            training that was never interrupted.
        progress
            Show a progress bar; by default in a terminal.
        device
            Device to train on, by default a GPU if there is one. Several processes have the loss
            curve of one with the same `batch_size`, except for what dropout draws: each DNA is
            matched with the matrices of all processes.

        Raises
        ------
        ModelError
            If there is no sample, the data set does not fit the model, or the checkpoint is of
            another training.
        """
        from genoglot.training.loop import train

        s = self.settings
        samples = data.samples("train", cell_types, s.n_regions)
        batches = self.batches(data, samples)
        masker, last_masker = (
            Masker(self.encoder.tokenizer, rate=rate, span=s.span)
            for rate in (s.mask_rate, s.last_mask_rate)
        )

        def make_batch(draw: Draw) -> Batch:
            late = 6 * draw.step >= 5 * s.max_steps
            return batches.draw(
                draw,
                (last_masker if late else masker) if s.masked_weight else None,
                segments=s.next_segment_weight > 0,
                matrix=s.matching_weight > 0,
            )

        regions = self.region_encoder
        train(
            self,
            Examples(len(samples), s.batch_size, make_batch),
            Schedule(s.max_steps, s.learning_rate, s.warm_up, s.decay, s.weight_decay),
            seed=s.seed,
            round_steps=s.checkpoint_every,
            folder=Path(log_folder) if log_folder is not None else None,
            resume=resume,
            identity={
                "settings": s.model_dump(),
                "encoder": self.encoder.description(),
                "tokenizer": saved_digest(self.encoder.tokenizer),
                "region_encoder": None if regions is None else regions.description(),
                "data": data.digest,
                "cell_types": cell_types,
            },
            progress=progress,
            device=device,
        )
        return self

    def batches(self, data: GeneBertData, samples: Samples) -> GeneBertBatches:
        """Make what reads samples of a data set, and refuse data that do not fit the model."""
        s = self.settings
        if s.region_bases > data.width:
            raise ModelError(
                f"{data.path}: has {data.width} bp of each region, but {s.region_bases} are read; "
                "set a smaller region_bases, or build the data set with a larger width"
            )
        if self.region_encoder is not None and self.region_encoder.motifs != tuple(data.motifs):
            raise ModelError(
                f"{data.path}: its {len(data.motifs)} motifs are not the "
                f"{len(self.region_encoder.motifs)} that the model reads; build the data set with "
                "the same motifs"
            )
        return GeneBertBatches(
            data, samples, self.encoder.tokenizer, bases=s.region_bases, seed=s.seed
        )

    def embed_samples(
        self, data: GeneBertData, samples: Samples, rows: Ints, *, batch_size: int = 64
    ) -> SampleVectors:
        """Encode samples: their DNA, and their matrices.

        Parameters
        ----------
        data
            The data set.
        samples
            Its samples, from `data.samples`.
        rows
            Samples to encode, int64 (n,).
        batch_size
            Number of samples that are encoded at a time.

        Returns
        -------
        SampleVectors
            Vectors of the DNA and of the matrices. That of the same sample is close, if the model
            has learned to match them.
        """
        batches, device = self.batches(data, samples), next(self.parameters()).device
        found: list[list[Tensor]] = [[], [], []]
        with inference(self):
            for i in range(0, len(rows), batch_size):
                batch = batches.read(np.asarray(rows[i : i + batch_size]))
                batch = {name: tensor.to(device) for name, tensor in batch.items()}
                matrix = batch.pop("matrix")
                encoding = self.encoder(batch)
                found[0].append(encoding.sequence)
                if self.region_encoder is not None:
                    found[1].append(self.dna_vectors(encoding))
                    found[2].append(self.region_vectors(matrix))
        sequence = to_numpy(found[0], self.encoder.dim)
        if self.region_encoder is None:
            return SampleVectors(sequence, None, None)
        s = self.settings
        width = s.joint_dim * (s.n_regions if s.match == "regions" else 1)
        dna, regions = (to_numpy(part, width) for part in found[1:])
        return SampleVectors(sequence, dna, regions)

    def description(self) -> dict[str, Any]:
        """Return `model_type` and `settings`, and the descriptions of both encoders."""
        parts = {name: part.description() for name, part in self._parts().items()}
        return {**super().description(), **parts}

    def _check_length(self) -> None:
        """Refuse settings with which a sample is longer than the encoder reads."""
        s, k = self.settings, self.encoder.tokenizer.k
        if s.region_bases < k:
            raise ModelError(f"region_bases is {s.region_bases}, less than the {k} of a k-mer")
        tokens = s.n_regions * (s.region_bases - k + 1) + 3
        maximum = self.encoder.settings.max_length
        if tokens > maximum:
            most = (maximum - 3) // s.n_regions + k - 1
            raise ModelError(
                f"{s.n_regions} regions of {s.region_bases} bp are {tokens:,} tokens, but the "
                f"encoder reads up to {maximum:,}; set region_bases to {most} or less, or a larger "
                "max_length"
            )

    def _arrays(self) -> Arrays:
        parts = tuple(f"{name}." for name in self._parts())
        arrays = state_arrays(self)
        return {name: array for name, array in arrays.items() if not name.startswith(parts)}

    def _parts(self) -> dict[str, Pretrained]:
        parts: dict[str, Pretrained] = {ENCODER: self.encoder}
        return (
            parts if self.region_encoder is None else parts | {REGION_ENCODER: self.region_encoder}
        )

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        regions = None
        if (folder := saved.folder / REGION_ENCODER).exists():
            regions = MotifMatrixEncoder.from_pretrained(folder)
        model = cls(KmerBert.from_pretrained(saved.folder / ENCODER), regions, **saved.settings)
        arrays = dict(saved.arrays)
        for name, part in model._parts().items():
            arrays |= state_arrays(cast(nn.Module, part), f"{name}.")
        load_state_arrays(model, arrays)
        return model.eval()


class MaskedHead(nn.Module):
    """Predicts masked k-mers: they are scored by their own vectors in the encoder's table."""

    def __init__(self, encoder: KmerBert) -> None:
        super().__init__()
        self.transform = nn.Sequential(
            nn.Linear(encoder.dim, encoder.dim), nn.GELU(), nn.LayerNorm(encoder.dim)
        )
        self.bias = nn.Parameter(torch.zeros(encoder.tokenizer.vocab_size))

    def forward(self, tokens: Tensor, targets: Tensor, table: Tensor) -> Loss:
        """Compute the cross-entropy of the targets that are not `IGNORED`."""
        predicted = targets != IGNORED
        scores = F.linear(self.transform(tokens[predicted]), table, self.bias)
        total = F.cross_entropy(scores, targets[predicted], reduction="sum")
        count = predicted.sum()
        return Loss(total / count.float().clamp(min=1), count)


def _split_settings(
    settings: dict[str, Any], new_encoder: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Split settings into those of the encoder, of the region encoder and of the training."""
    region = {f"region_{name}" for name in MotifMatrixSettings.model_fields}
    region -= {"region_seed", "region_n_regions"}
    encoder = set(KmerBertSettings.model_fields) if new_encoder else set()
    training = set(GeneBertSettings.model_fields)
    if unknown := settings.keys() - encoder - region - training:
        known = ", ".join(sorted(encoder | region | training))
        raise ModelError(f"genebert has no setting {min(unknown)!r} (it has: {known})")
    return (
        {name: value for name, value in settings.items() if name in encoder},
        {name.removeprefix("region_"): value for name, value in settings.items() if name in region},
        {name: value for name, value in settings.items() if name in training},
    )
