"""`SequenceTrees`: boosted trees on the k-mers, the motifs and the bases of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from genoglot.errors import ModelError
from genoglot.files import atomic_path
from genoglot.models.dna.gradient_boosting import BoostedTrees
from genoglot.models.dna.heads import not_learnable
from genoglot.models.dna.lengths import TrainedLengths, check_maximum
from genoglot.models.dna.predictor import DnaPredictor
from genoglot.models.dna.sequence_encoder import batches
from genoglot.models.dna.target import Target
from genoglot.nn.convolution import MotifConvolution
from genoglot.saved import Arrays, Saved
from genoglot.sequence import DnaTokenizer, OneHotTokenizer, one_hot
from genoglot.sequence.alphabet import Codes, Lengths, N
from genoglot.sequence.kmers import kmer_counts
from genoglot.sequence.motifs import jaspar
from genoglot.settings import Settings

KMERS = (2, 3, 4, 5)
SITE = 0.5  # where a motif's site begins, as a fraction of the way from its worst to its best
WIDEST = 19  # positions of a motif that count
BINS = 64
MAX_LENGTH = 1 << 15  # bp
PATIENCE = 50  # trees without a gain after which none is added

_BASES = 1 << 15  # at a time


class SequenceTreesSettings(Settings):
    """Settings of `SequenceTrees`.

    Attributes
    ----------
    target
        What is predicted: see `SequenceHead`.
    trees
        Maximum number of trees of each output; validation data decide on the number.
    depth, learning_rate
        Depth and learning rate of the trees.
    most
        Maximum number of sequences to learn from; if there are more, so many are drawn.
    seed
        Random seed.
    """

    target: Target = "binary"
    trees: int = Field(1500, ge=1)
    depth: int = Field(6, ge=1)
    learning_rate: float = Field(0.05, gt=0)
    most: int = Field(100_000, ge=1)
    seed: int = Field(0, ge=0)


class SequenceTrees(DnaPredictor):
    """Gradient-boosted trees (XGBoost) on what a sequence holds.

    That is: how often each 2- to 5-mer is there, on either strand; how well the best site of each
    of the 579 motifs of JASPAR 2018 fits, and the sum over its sites; and the base at each
    position.

    Parameters
    ----------
    names
        Of the outputs: labels, values or classes; None if they have none.
    **settings
        Those of `SequenceTreesSettings`.

    Raises
    ------
    ModelError
        If a setting is unknown.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 4, (300, 20)).astype(np.uint8)
    >>> rich = ((codes == 1) | (codes == 2)).sum(1) > 10  # in G and C
    >>> model = SequenceTrees(trees=30).fit(codes, rich, (codes[:100], rich[:100]))
    >>> bool(((model.predict(codes)[:, 0] > 0.5) == rich).mean() > 0.9)
    True
    """

    model_type = "sequence-trees"
    settings_class = SequenceTreesSettings
    settings: SequenceTreesSettings

    def __init__(self, *, names: Sequence[str] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.names = list(names) if names is not None else None
        self._length = self._outputs = 0
        self._boosters: list[BoostedTrees] = []  # one for each output, or one for all classes

    def fit(
        self,
        codes: Codes,
        labels: NDArray[Any],
        validation: tuple[Codes, Any],
        *,
        shortest: int | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Grow trees, as many as are good for the validation data.

        Parameters
        ----------
        codes
            A C G T N = 0 1 2 3 4, uint8 (n, length).
        labels
            float (n, outputs) or, if there is one output, (n,), NaN where a label is missing; for
            classes their numbers, integers (n,), below 0 where it is missing.
        validation
            Codes and labels.
        shortest
            Bases of the shortest sequence, where sequences are filled up with N at their end; by
            default none is.
        folder
            Folder in which the trees of each output are written as soon as they are grown. Trees
            that are there, of an interrupted `fit` to the same data, are not grown again.

        Raises
        ------
        ModelError
            If there is not one row of labels for each sequence, an output has none, or all are the
            same.
        """
        s = self.settings
        not_learnable(np.asarray(labels), s.target, self.names)
        y, y_check = self._columns(codes, labels), self._columns(*validation)
        rows = np.arange(len(codes))
        if len(rows) > s.most:
            rows = np.sort(np.random.default_rng(s.seed).choice(rows, s.most, replace=False))
        self.lengths = TrainedLengths.of(codes, None, shortest)
        self._length = codes.shape[1]
        x, x_check = self._features(codes[rows]), self._features(validation[0])
        y = y[rows]
        self._outputs, self._boosters = y.shape[1], []
        if s.target == "multi-class":
            self._outputs = max(len(self.names or ()), int(np.nanmax(y, initial=0)) + 1, 2)
        for i in range(y.shape[1]):
            file = None if folder is None else folder / f"trees-{i}.ubj"
            if file is not None and file.exists():
                self._boosters.append(BoostedTrees.from_bytes(file.read_bytes(), self._kinds()))
                continue
            self._boosters.append(self._grown(x, y[:, i], x_check, y_check[:, i]))
            if file is not None:
                with atomic_path(file) as temporary:
                    temporary.write_bytes(self._boosters[-1].to_bytes())
        return self

    @property
    def tokenizer(self) -> DnaTokenizer:
        """How it reads DNA: base by base."""
        return OneHotTokenizer()

    def _predict(
        self, codes: Codes, lengths: Lengths | None, batch_size: int
    ) -> NDArray[np.float32]:
        if not self._boosters:
            raise ModelError("the trees are not fitted; fit them to labels")
        predicted = [np.empty((0, self._outputs))]
        for part, some in batches(codes, lengths, batch_size):
            if some is not None:
                part = np.where(np.arange(part.shape[1]) < some[:, None], part, np.uint8(N))
            if self.lengths is not None:
                part, _ = self.lengths.pad(part, None)
            found = self._boosters[0].matrix(self._features(part))
            predicted.append(
                np.column_stack([booster.predict(found) for booster in self._boosters])
            )
        return np.concatenate(predicted).astype(np.float32)

    def _check_maximum(self, length: int, what: str) -> None:
        check_maximum(length, MAX_LENGTH, what)

    def _metadata(self) -> dict[str, Any]:
        return {
            "names": self.names,
            "length": self._length,
            "lengths": self.lengths,
            "outputs": self._outputs,
        }

    def _arrays(self) -> Arrays:
        return {
            f"trees.{i}": np.frombuffer(booster.to_bytes(), np.uint8)
            for i, booster in enumerate(self._boosters)
        }

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        config, arrays = saved.config, saved.arrays
        made = cls(names=config["names"], **saved.settings)
        made._length, made._outputs = config["length"], config["outputs"]
        made.lengths = TrainedLengths(*config["lengths"]) if config["lengths"] else None
        made._boosters = [
            BoostedTrees.from_bytes(arrays[f"trees.{i}"].tobytes(), made._kinds())
            for i in range(len(arrays))
        ]
        return made

    def _grown(self, x: Any, y: Any, x_check: Any, y_check: Any) -> BoostedTrees:
        """Grow the trees of one output, or of all classes."""
        s = self.settings
        there, checked = ~np.isnan(y), ~np.isnan(y_check)
        if not there.any() or not checked.any():
            raise ModelError("an output has no label to learn from, or to validate on; give some")
        classes = {"num_class": self._outputs} if s.target == "multi-class" else {}
        return BoostedTrees.fit(
            x[there], y[there], (x_check[checked], y_check[checked]),
            target=s.target, trees=s.trees, patience=PATIENCE, max_bin=BINS,
            features=self._kinds(), eta=s.learning_rate, max_depth=s.depth, min_child_weight=10,
            subsample=0.7, colsample_bynode=0.05, reg_lambda=2, seed=s.seed,
            nthread=torch.get_num_threads(), **classes,
        )  # fmt: skip

    def _kinds(self) -> dict[str, Any]:
        """Describe the features to XGBoost: bases are categories, the others numbers."""
        numbers = sum(kmer_counts(np.empty((0, 0), np.uint8), k).shape[1] for k in KMERS)
        numbers += 2 * len(jaspar())
        return {
            "feature_types": ["q"] * numbers + ["c"] * self._length,
            "enable_categorical": True,
            "nthread": torch.get_num_threads(),
        }

    def _features(self, codes: Codes) -> NDArray[np.float32]:
        """k-mer counts, best and summed sites of each motif, bases: float32 (n, features)."""
        cores = [torch.from_numpy(motif.core(WIDEST)) for motif in jaspar()]
        scan = MotifConvolution(cores, SITE)
        found = np.empty((len(codes), len(self._kinds()["feature_types"])), np.float32)
        step = max(_BASES // max(codes.shape[1], 1), 1)
        for i in range(0, len(codes), step):
            part = codes[i : i + step]
            dna = one_hot(part) + (part == N)[:, None]  # N is as bad as all four letters together
            dna = np.pad(dna, ((0, 0), (0, 0), (WIDEST // 2,) * 2), constant_values=1)
            with torch.inference_mode():
                sites = scan(torch.from_numpy(dna)).numpy()
            counts = [kmer_counts(part, k) for k in KMERS]
            bases = np.full((len(part), self._length), np.nan, np.float32)
            kept = part[:, : self._length]
            bases[:, : kept.shape[1]] = np.where(kept == N, np.nan, kept)
            found[i : i + step] = np.hstack([*counts, sites.max(2), sites.sum(2), bases])
        return found

    def _columns(self, codes: Codes, labels: Any) -> NDArray[np.float32]:
        """Labels as columns, NaN where one is missing."""
        labels = np.asarray(labels)
        if len(labels) != len(codes):
            raise ModelError(f"{len(codes)} sequences, but labels of {len(labels)}; give one each")
        columns: NDArray[np.float32] = labels.reshape(len(labels), -1).astype(np.float32)
        if self.settings.target == "multi-class":
            columns[columns < 0] = np.nan
        return columns
