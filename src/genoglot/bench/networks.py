"""`Network`: encoders of DNA in a bench, with the head or the trees that a task needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from genoglot.bench.cache import Workshop
from genoglot.bench.contender import Contender, Problem
from genoglot.bench.features import Inputs
from genoglot.bench.recipe import MLM, NONE, Tokens
from genoglot.errors import ModelError, TaskError
from genoglot.models.dna.gradient_boosting import GradientBoosting, RandomForest, Trees, joined
from genoglot.models.dna.masked_lm import MaskedLanguageModel, MaskedLmSettings
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.models.dna.sequence_model import SequenceModel, SequenceModelSettings
from genoglot.models.dna.target import Target
from genoglot.models.dna.windowed import UpperTransformer, WindowedEncoder
from genoglot.registry import create, model_class
from genoglot.sequence import DnaTokenizer, OneHotTokenizer
from genoglot.sequence.alphabet import Codes, N
from genoglot.tasks.dataset import Examples, Floats, TaskData
from genoglot.tasks.lazy_array import LazyArray
from genoglot.training.losses import Objective

HEADS: dict[str, tuple[Target, Objective]] = {
    "Track7878": ("multi-label", "focal"),
    "Methyl96": ("multi-label", "bce"),  # of fractions
    "GeneExp": ("regression", "huber"),
}
"""Tasks whose head or objective is not that of their target: as published."""

PIECE, WINDOW = 200, 1000
"""Longer DNA is read in pieces of 200 bp, each with 400 bp on both sides."""
LONG = 10_000
"""bp, from which pieces go through an upper transformer."""


class Network(Contender):
    """An encoder with a head; of variants, trees on its vectors of both alleles."""

    @classmethod
    def axes(cls, model: str) -> dict[str, Any]:  # noqa: D102  (see Contender)
        if model != "attention":
            return {"pretrained": NONE}
        return {"tokenizer": "patch", "positions": "rotary", "pretrained": NONE, "mask_rate": 0.3}

    @classmethod
    def check(cls, model: str, settings: Mapping[str, Any]) -> None:  # noqa: D102
        _refuse(model, settings, ("seed", "positions", "length"))
        model_class(model, "dna-encoder").settings_class.of(settings, model)

    def __init__(self, problem: Problem, workshop: Workshop) -> None:
        super().__init__(problem, workshop)
        self.encoder = self._encoder()
        self._model: SequenceModel | None = None
        self._trees: Trees | None = None

    def new(self, length: int, seed: int) -> SequenceEncoder:
        """Make a new encoder for sequences of a length; another kind of network has its own."""
        choice, settings = self.problem.choice, dict(self.problem.settings["model"])
        if choice.model == "attention":
            tokenizer: DnaTokenizer = self.workshop.tokenizer(cast(Tokens, choice.tokenizer))
            settings.setdefault("max_length", max(length, 1024))
            settings["positions"] = choice.positions
        else:
            tokenizer = OneHotTokenizer()
        if choice.model == "cnn-fc":
            settings["length"] = length
        encoder: SequenceEncoder = create(choice.model, tokenizer, **settings, seed=seed)
        return encoder

    def fit(self, folder: Path) -> None:  # noqa: D102
        p = self.problem
        self.encoder.to(self.workshop.device)
        self.n_parameters = count_parameters(self.encoder)
        if p.train.alternative is not None:
            kind = GradientBoosting if p.data.target == "regression" else RandomForest
            target: Target = "regression" if p.data.target == "regression" else "binary"
            self._trees = kind(target, seed=p.seed).fit(
                self._vectors(p.train.inputs), np.asarray(p.train.labels)
            )
            return
        if self._in_advance:
            assert isinstance(self.encoder, WindowedEncoder)
            train, validation = (
                part._replace(codes=LazyArray(self.encoder.window_vectors(cast(Codes, part.codes))))
                for part in (p.train, p.validation)
            )
            p = replace(p, train=train, validation=validation)
            self._model = fitted(UpperTransformer(self.encoder), p, self.workshop, folder)
        else:
            self._model = fitted(self.encoder, p, self.workshop, folder)
        self._model.to(self.workshop.device)
        self.n_parameters += count_parameters(self._model.head)

    def predict(self, inputs: Inputs) -> Floats:  # noqa: D102
        if self._trees is not None:
            return self._trees.predict(self._vectors(inputs))
        assert self._model is not None
        if self._in_advance:
            assert isinstance(self.encoder, WindowedEncoder)
            self.encoder.to(self.workshop.device)  # a fitted model is on the CPU
            inputs = cast(Codes, self.encoder.window_vectors(cast(Codes, inputs)))
        return self._model.predict(cast(Codes, inputs))

    @property
    def _in_advance(self) -> bool:
        """Whether pieces of DNA are encoded once, not in every pass."""
        strands = self.problem.settings["training"].get("strands", "forward")
        encoder = self.encoder
        frozen = isinstance(encoder, WindowedEncoder) and encoder.settings.frozen
        return frozen and strands == "forward"

    def _vectors(self, inputs: Inputs) -> Floats:
        assert isinstance(inputs, tuple)
        reference, alternative = (piece_vectors(self.encoder, side) for side in inputs)
        return joined(reference, alternative)

    def _encoder(self) -> SequenceEncoder:
        """Make or load the encoder; above a certain length, with pieces."""
        problem = self.problem
        pretrained, length = problem.choice.pretrained, problem.data.length
        if pretrained == MLM:
            encoder = SequenceEncoder.from_pretrained(self._masked())
        elif pretrained != NONE:
            encoder = SequenceEncoder.from_pretrained(self._supervised())
        else:
            of_variants = problem.train.alternative is not None
            wide = length > (WINDOW if of_variants else LONG)
            encoder = self.new(WINDOW if wide else length, problem.seed)
        if length > LONG:
            return WindowedEncoder(encoder, **problem.settings["windowed"], seed=problem.seed)
        return encoder

    def _masked(self) -> Path:
        """Where the encoder is that filled in masked DNA of the genome."""
        choice, settings, shop = self.problem.choice, self.problem.settings, self.workshop
        training = MaskedLmSettings.of(
            settings["pretraining"] | {"mask_rate": choice.mask_rate}, "pretraining"
        )

        def make(path: Path, log_folder: Path) -> None:
            encoder = self.new(training.window, training.seed)
            MaskedLanguageModel(cast(Any, encoder), **training.model_dump()).fit(
                shop.genome, log_folder=log_folder, resume=True, progress=False,
                device=shop.device_options or "auto",
            )  # fmt: skip
            encoder.save_pretrained(path)

        about = {
            "model": [choice.model, choice.tokenizer, choice.positions, settings["model"]],
            "pretraining": training.model_dump(),
            "genome": shop.genome.digest,
        }
        name = f"mlm-{choice.tokenizer}-{choice.positions}-{choice.mask_rate}"
        return shop.kept(name, about, make)

    def _supervised(self) -> Path:
        """Where the encoder is that was trained on another task, from scratch."""
        choice, settings = self.problem.choice, self.problem.settings
        name = cast(str, choice.pretrained)
        data = self.workshop.datasets[name]
        if data.target == "multi-class" or data.paired:
            raise TaskError(f"{name}: classes and variants are no source; pre-train on Track7878")
        source = Problem.of(
            data, settings["source"]["split"], choice._replace(fraction=1.0),
            {**settings, "measured": None}, seed=0,
        )  # fmt: skip

        def make(path: Path, log_folder: Path) -> None:
            encoder = self.new(data.length, 0)
            fitted(encoder, source, self.workshop, log_folder).save_pretrained(path)

        about = {
            "model": [choice.model, choice.tokenizer, choice.positions, settings["model"]],
            "training": settings["training"],
            "bases": settings["bases"],
            "source": settings["source"],
            "genome": settings.get("genome"),  # of byte pairs
        }
        return self.workshop.kept(f"{name}-{choice.model}", about, make)


def fitted(
    encoder: SequenceEncoder, problem: Problem, workshop: Workshop, folder: Path
) -> SequenceModel:
    """Train an encoder with a head, and keep the weights that are best on validation data."""
    data = problem.data
    classes = data.target == "multi-class"
    target, objective = _head(data)
    names = data.outputs
    model = SequenceModel(
        encoder, target=target, objective=objective, names=names, seed=problem.seed,
        **problem.settings["training"],
    )  # fmt: skip

    def labels(part: Examples) -> Any:
        found = np.asarray(part.labels)
        return found[:, 0].astype(np.int64) if classes else found

    def score(truth: Any, predictions: Floats) -> float:
        return problem.score(truth, predictions)

    model.fit(
        cast(Codes, problem.train.codes),
        labels(problem.train),
        validation=(cast(Codes, problem.validation.codes), labels(problem.validation)),
        choose_by=score,
        log_folder=folder,
        resume=True,
        progress=False,
        device=workshop.device_options or "auto",
    )
    return model


def piece_vectors(encoder: SequenceEncoder, codes: Codes | LazyArray) -> Floats:
    """Vectors of sequences; of those above 1,000 bp, those of all pieces side by side.

    Parameters
    ----------
    encoder
        The encoder.
    codes
        uint8 (n, length).

    Returns
    -------
    float32 (n, pieces * dim)
    """
    length = codes.shape[1]
    if length <= WINDOW:
        return encoder.embed(cast(Codes, codes))
    missing = -(length - WINDOW) % PIECE
    rows = []
    for i in range(0, len(codes), 256):
        block = np.pad(codes[i : i + 256], ((0, 0), (0, missing)), constant_values=N)
        windows = np.lib.stride_tricks.sliding_window_view(block, WINDOW, axis=1)[:, ::PIECE]
        flat = np.ascontiguousarray(windows).reshape(-1, WINDOW)
        rows.append(encoder.embed(flat).reshape(len(block), -1))
    return np.concatenate(rows)


def _head(data: TaskData) -> tuple[Target, Objective | None]:
    if data.task in HEADS:
        return HEADS[data.task]
    return data.target, None


def count_parameters(module: Any) -> int:
    """Count the numbers that a torch module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def check_training(training: Mapping[str, Any], pretraining: Mapping[str, Any]) -> None:
    """Refuse settings that `SequenceModel` or `pretrain` do not have, or that a bench decides."""
    _refuse("training", training, ("seed", "target", "objective"))
    _refuse("pretraining", pretraining, ("mask_rate",))
    SequenceModelSettings.of(training, "training")
    MaskedLmSettings.of(pretraining, "pretraining")


def _refuse(where: str, settings: Mapping[str, Any], decided: Sequence[str]) -> None:
    for key in decided:
        if key in settings:
            raise ModelError(f"{where}: {key} is not set here; the task, grid or seeds tell it")
