"""`NetworkModel`: DNA encoders in a benchmark, with the head or the trees that a task needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from genoglot.bench.features import Inputs
from genoglot.bench.models import BenchModel
from genoglot.bench.recipe import GENEBERT, MLM, NONE, Configuration, TokenizerName
from genoglot.bench.run_data import RunData, training_labels
from genoglot.bench.workspace import Workspace
from genoglot.errors import ModelError, TaskError
from genoglot.models.dna.dilated_cnn import context_of_network
from genoglot.models.dna.genebert import PRESETS, GeneBert, GeneBertSettings
from genoglot.models.dna.gradient_boosting import GradientBoosting, RandomForest, Trees, joined
from genoglot.models.dna.masked_lm import MaskedLanguageModel, MaskedLmSettings
from genoglot.models.dna.motif_matrix_encoder import MotifMatrixSettings
from genoglot.models.dna.new_tokenizer import new_tokenizer
from genoglot.models.dna.nucleotide_model import NucleotideModel
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel, SequenceModelSettings
from genoglot.models.dna.target import NUCLEOTIDES, Target
from genoglot.models.dna.windowed import UpperTransformer, WindowedEncoder, WindowedSettings
from genoglot.registry import create, model_class
from genoglot.sequence import DnaTokenizer
from genoglot.sequence.alphabet import Codes, N
from genoglot.tasks.dataset import CLASSES, Floats, TaskData
from genoglot.tasks.lazy_array import LazyArray
from genoglot.training.losses import Objective

HEADS: dict[str, tuple[Target, Objective]] = {
    "Track7878": ("multi-label", "focal"),
    "Methyl96": ("multi-label", "bce"),  # of fractions
    "GeneExp": ("regression", "huber"),
}
"""Published target and loss, by task, where they are not the default for the labels."""

PRETRAINING: dict[str, Any] = {"preset": "published", "cell_types": None}
"""Settings of a pre-training of GeneBERT that are not those of the model, with their defaults."""

STEP, WINDOW = 200, 1000
"""Longer DNA is read in windows of 1,000 bp: one for each 200 bp, with 400 bp on both sides."""
LONG = 10_000
"""Length in bp from which a transformer reads the vectors of the windows."""


class NetworkModel(BenchModel):
    """An encoder with a head; for variants, trees on its vectors of both alleles."""

    @classmethod
    def axes(cls, model: str) -> dict[str, Any]:  # noqa: D102  (see BenchModel)
        common = {"pretrained": NONE, "frozen": None}
        if model == "kmer-bert":
            return {**common, "pretraining": None}
        if model != "attention":
            return common
        return {"tokenizer": "patch", "positions": "rotary", **common, "mask_rate": 0.3}

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:  # noqa: D102
        _refuse(model, settings, ("seed", "positions", "length"))
        model_class(model, "dna-encoder").settings_class.of(settings, model)

    @classmethod
    def check_run(  # noqa: D102
        cls,
        data: TaskData,
        configuration: Configuration,
        settings: Mapping[str, Any],
        datasets: Mapping[str, TaskData],
    ) -> None:
        if data.paired and configuration.frozen is not None:
            raise ModelError(
                "encoders are never trained on variants, but only the trees on their vectors; give "
                "these tasks a grid without frozen"
            )
        if configuration.tokenizer == "bpe":  # not learned yet
            return
        length = length_read(data, settings)
        _check_length(
            configuration._replace(fraction=1.0, frozen=None, mask_rate=None, pretraining=None),
            json.dumps(settings["model"]),
            settings.get("encoder"),
            _length_of_pretraining(configuration, settings, datasets) or length,
            data.context,
            length,
        )

    def __init__(self, run: RunData, workspace: Workspace) -> None:
        super().__init__(run, workspace)
        self.encoder = self._encoder()
        self._model: SequenceModel | NucleotideModel | None = None
        self._trees: Trees | None = None

    def new(self, length: int, seed: int) -> SequenceEncoder:
        """Make a new encoder for sequences of a length in bp."""
        configuration = self.run.configuration
        tokenizer = None  # the encoder's own
        if configuration.model == "attention":
            tokenizer = self.workspace.tokenizer(cast(TokenizerName, configuration.tokenizer))
        settings = self.run.settings["model"]
        return _new_encoder(
            configuration, settings, tokenizer, length, self.run.data.context, seed=seed
        )

    def fit(self, folder: Path) -> None:  # noqa: D102
        run = self.run
        self.encoder.to(self.workspace.device)
        self.n_parameters = count_parameters(self.encoder)
        if run.train.alternative is not None:
            regression = run.data.target == "regression"
            trees = GradientBoosting if regression else RandomForest
            target: Target = "regression" if regression else "binary"
            self._trees = trees(target, seed=run.seed).fit(
                self._vectors(run.train.inputs), np.asarray(run.train.labels)
            )
            return
        encoder = self.encoder
        if self._frozen:  # then the windows are encoded once, and not in every epoch
            assert isinstance(encoder, WindowedEncoder)
            train, validation = (
                subset._replace(codes=LazyArray(encoder.window_vectors(cast(Codes, subset.codes))))
                for subset in (run.train, run.validation)
            )
            run = replace(run, train=train, validation=validation)
            encoder = UpperTransformer(encoder)
        self._model = train_network(encoder, run, self.workspace, folder)
        self._model.to(self.workspace.device)
        self.n_parameters += count_parameters(self._model.head)

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        if self._trees is not None:
            return self._trees.predict(self._vectors(inputs))
        assert self._model is not None
        if self._frozen:
            assert isinstance(self.encoder, WindowedEncoder)
            self.encoder.to(self.workspace.device)  # a fitted model is on the CPU
            inputs = cast(Codes, self.encoder.window_vectors(cast(Codes, inputs)))
        return self._model.predict(cast(Codes, inputs))

    @property
    def _frozen(self) -> bool:
        """Whether the encoder of the windows is not trained."""
        frozen = isinstance(self.encoder, WindowedEncoder) and self.encoder.settings.frozen
        return frozen and self.run.settings["training"].get("strands", "forward") == "forward"

    def _vectors(self, inputs: Inputs) -> Floats:
        assert isinstance(inputs, tuple)
        reference, alternative = (windowed_vectors(self.encoder, side) for side in inputs)
        return joined(reference, alternative)

    def _encoder(self) -> SequenceEncoder:
        """Make or load the encoder; for long DNA, with a transformer over windows."""
        run = self.run
        pretrained = run.configuration.pretrained
        if "encoder" in run.settings:
            encoder = SequenceEncoder.from_pretrained(cast(str, pretrained))
        elif pretrained == NONE:
            encoder = self.new(length_read(run.data, run.settings), run.seed)
        else:
            makers = {MLM: self._masked, GENEBERT: self._genebert}
            path = makers.get(cast(str, pretrained), self._supervised)()
            encoder = SequenceEncoder.from_pretrained(path)
        if _needs_windows(run.data):
            return WindowedEncoder(encoder, **run.settings["windowed"], seed=run.seed)
        return encoder

    def _masked(self) -> Path:
        """Path of the encoder that was pre-trained on masked DNA of the genome."""
        configuration, settings, shared = self.run.configuration, self.run.settings, self.workspace
        training = MaskedLmSettings.of(
            settings["pretraining"] | {"mask_rate": configuration.mask_rate}, "pretraining"
        )

        def make(path: Path, log_folder: Path) -> None:
            encoder = self.new(training.window, training.seed)
            MaskedLanguageModel(cast(Any, encoder), **training.model_dump()).fit(
                shared.genome, log_folder=log_folder, resume=True, progress=False,
                device=shared.device_options,
            )  # fmt: skip
            encoder.save_pretrained(path)

        metadata = {
            "model": self._model_settings(),
            "pretraining": training.model_dump(),
            "genome": shared.genome.digest,
        }
        names = (configuration.tokenizer, configuration.positions, configuration.mask_rate)
        return shared.cached("-".join(map(str, ("mlm", *names))), metadata, make)

    def _genebert(self) -> Path:
        """Path of the GeneBERT that was pre-trained on accessible regions, with the run's seed."""
        shared = self.workspace
        given = {"seed": self.run.seed} | self.run.settings["genebert"]
        settings = dict(given)
        preset, cell_types = (settings.pop(name, PRETRAINING[name]) for name in PRETRAINING)

        def make(path: Path, log_folder: Path) -> None:
            encoder = self.new(WINDOW, given["seed"])
            model = GeneBert.from_preset(
                preset, shared.genebert, encoder=cast(Any, encoder), **settings
            )
            model.fit(
                shared.genebert, cell_types=cell_types, log_folder=log_folder, resume=True,
                progress=False, device=shared.device_options,
            )  # fmt: skip
            model.save_pretrained(path)

        metadata = {
            "model": self._model_settings(),
            "genebert": given,
            "accessible": shared.genebert.digest,
        }
        return shared.cached(GENEBERT, metadata, make)

    def _supervised(self) -> Path:
        """Path of the encoder that was trained on another task, from scratch."""
        configuration, settings = self.run.configuration, self.run.settings
        name = cast(str, configuration.pretrained)
        data = self.workspace.datasets[name]
        if data.target in CLASSES or data.paired:
            raise TaskError(
                f"{name}: encoders are not pre-trained on classes or variants; use Track7878"
            )
        training = {**settings["training"], "frozen": False}  # here the encoder is trained
        source = RunData.select(
            data, settings["source"]["split"], configuration._replace(fraction=1.0),
            {**settings, "measured": None, "training": training}, seed=0,
        )  # fmt: skip

        def make(path: Path, log_folder: Path) -> None:
            encoder = self.new(data.length, 0)
            train_network(encoder, source, self.workspace, log_folder).save_pretrained(path)

        metadata = {
            "model": self._model_settings(),
            "training": training,
            "bases": settings["bases"],
            "source": settings["source"],
            "genome": settings.get("genome"),  # of byte pairs
        }
        return self.workspace.cached(f"{name}-{configuration.model}", metadata, make)

    def _model_settings(self) -> list[Any]:
        model, tokenizer, positions, *_ = self.run.configuration
        return [model, tokenizer, positions, self.run.settings["model"]]


def length_read(data: TaskData, settings: Mapping[str, Any]) -> int:
    """Return the length in bp of what an encoder reads at once: a sequence, or a window of it.

    Parameters
    ----------
    data
        The dataset.
    settings
        Settings of the run.
    """
    if data.paired:
        return min(data.length, WINDOW)
    if not _needs_windows(data):
        return data.length
    windows = WindowedSettings.of(settings["windowed"], "windowed")
    return windows.window + 2 * windows.context


def _needs_windows(data: TaskData) -> bool:
    return data.length > LONG and data.target != NUCLEOTIDES


def _new_encoder(
    configuration: Configuration, settings: Mapping[str, Any], tokenizer: DnaTokenizer | None,
    length: int, context: int, *, seed: int,
) -> SequenceEncoder:  # fmt: skip
    settings = dict(settings)
    if configuration.model == "attention":
        settings.setdefault("max_length", max(length, 1024))
        settings["positions"] = configuration.positions
    if configuration.model == "kmer-bert":
        settings.setdefault("max_length", max(length, 512))
    if configuration.model == "cnn-fc":
        settings["length"] = length
    if configuration.model == "dilated-cnn":
        settings.setdefault("context", context_of_network(context))
    encoder: SequenceEncoder = create(configuration.model, tokenizer, **settings, seed=seed)
    return encoder


def _length_of_pretraining(
    configuration: Configuration, settings: Mapping[str, Any], datasets: Mapping[str, TaskData]
) -> int | None:
    """Return the length in bp that a pre-trained encoder is made for; None if there is none."""
    pretrained = configuration.pretrained
    if pretrained == MLM:
        return MaskedLmSettings.of(settings["pretraining"], "pretraining").window
    if pretrained == GENEBERT:
        return WINDOW
    return datasets[cast(str, pretrained)].length if "source" in settings else None


@lru_cache
def _check_length(
    configuration: Configuration, settings: str, digest: str | None, made_for: int, context: int,
    length: int,
) -> None:  # fmt: skip
    """Refuse a length that an encoder, which has a digest if it is a saved one, cannot read."""
    if digest:
        encoder = SequenceEncoder.from_pretrained(cast(str, configuration.pretrained))
    else:
        tokenizer = None
        if configuration.model == "attention":
            tokenizer = new_tokenizer(cast(str, configuration.tokenizer))
        with torch.device("meta"):  # without weights
            encoder = _new_encoder(
                configuration, json.loads(settings), tokenizer, made_for, context, seed=0
            )
    encoder.check_length(length, "a sequence of the task")


def train_network(
    encoder: SequenceEncoder, run: RunData, workspace: Workspace, folder: Path
) -> SequenceModel | NucleotideModel:
    """Train an encoder with a head.

    Parameters
    ----------
    encoder
        The encoder.
    run
        Examples and settings.
    workspace
        Devices.
    folder
        Folder for the logs and checkpoints.

    Returns
    -------
    SequenceModel or NucleotideModel
        The model with the weights of the epoch that is best on the validation examples.
    """
    data = run.data
    model: SequenceModel | NucleotideModel
    training = {"names": data.outputs, "seed": run.seed, **run.settings["training"]}
    if data.target == NUCLEOTIDES:
        model = NucleotideModel(encoder, **training)
    else:
        target, objective = HEADS.get(data.task, (data.target, None))
        model = SequenceModel(encoder, target=target, objective=objective, **training)
    model.fit(
        cast(Codes, run.train.codes),
        training_labels(data, run.train),
        validation=(cast(Codes, run.validation.codes), training_labels(data, run.validation)),
        choose_by=run.score,
        log_folder=folder,
        resume=True,
        progress=False,
        device=workspace.device_options,
    )
    return model


def windowed_vectors(encoder: SequenceEncoder, codes: Codes | LazyArray) -> Floats:
    """Encode sequences; those above 1,000 bp by the vectors of all windows side by side.

    Parameters
    ----------
    encoder
        The encoder.
    codes
        Sequences, uint8 (n, length).

    Returns
    -------
    float32 array
        Vectors, (n, windows * dim).
    """
    length = codes.shape[1]
    if length <= WINDOW:
        return encoder.embed(cast(Codes, codes))
    missing = -(length - WINDOW) % STEP
    rows = []
    for i in range(0, len(codes), 256):
        block = np.pad(codes[i : i + 256], ((0, 0), (0, missing)), constant_values=N)
        windows = np.lib.stride_tricks.sliding_window_view(block, WINDOW, axis=1)[:, ::STEP]
        flat = np.ascontiguousarray(windows).reshape(-1, WINDOW)
        rows.append(encoder.embed(flat).reshape(len(block), -1))
    return np.concatenate(rows)


def count_parameters(module: Any) -> int:
    """Count the trained numbers of a torch module."""
    return sum(parameter.numel() for parameter in module.parameters())


def check_training(training: Mapping[str, Any], pretraining: Mapping[str, Any]) -> None:
    """Refuse settings that training or pre-training does not have, or that a grid or task sets.

    Raises
    ------
    ModelError
        If there is such a setting.
    """
    _refuse("training", training, ("seed", "target", "objective"))
    _refuse("pretraining", pretraining, ("mask_rate",))
    SequenceModelSettings.of(training, "training")
    MaskedLmSettings.of(pretraining, "pretraining")


def check_genebert(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that a GeneBERT does not have.

    Parameters
    ----------
    name
        Name of the pre-training.
    settings
        Fields of `GeneBertSettings`; with the prefix `region_`, of `MotifMatrixSettings`; `preset`
        and `cell_types`.

    Raises
    ------
    ModelError
        If there is such a setting, or no such preset.
    """
    where = f"genebert {name}"
    _refuse(where, settings, ("region_seed", "region_n_regions"))
    own = {key: value for key, value in settings.items() if key not in PRETRAINING}
    region = [key for key in own if key.startswith("region_") and key != "region_bases"]
    regions = {key.removeprefix("region_"): own.pop(key) for key in region}
    GeneBertSettings.of(own, where)
    MotifMatrixSettings.of(regions, f"{where}: region")
    if (preset := settings.get("preset", PRETRAINING["preset"])) not in PRESETS:
        raise ModelError(f"{where}: no preset {preset!r}; choose from {', '.join(PRESETS)}")


def _refuse(where: str, settings: Mapping[str, Any], decided: Sequence[str]) -> None:
    for key in decided:
        if key in settings:
            raise ModelError(f"{where}: {key} is not set here, but by the task, grid or seeds")
