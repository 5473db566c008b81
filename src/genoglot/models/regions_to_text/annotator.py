"""`Annotator`: from a region set to assay, target, biosample and descriptions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from genoglot.atlas import Atlas
from genoglot.errors import ModelError, UniverseError
from genoglot.models.regions_to_text.annotation import Annotation, Answer, Neighbor
from genoglot.models.regions_to_text.calibration import (
    Calibration,
    HeldOut,
    Probabilities,
    probabilities,
    softmax,
)
from genoglot.models.regions_to_text.descriptions import DescriptionModel
from genoglot.models.regions_to_text.labels import FIELDS, Labels, all_known, label_table
from genoglot.models.regions_to_text.likelihood import Floats, Likelihood, Numbers, Profiles
from genoglot.models.regions_to_text.similarity import jaccard_with, pairwise_jaccard
from genoglot.models.universe_model import SetRows, UniverseModel
from genoglot.pretrained import Pretrained
from genoglot.saved import Arrays, Saved
from genoglot.settings import Settings

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from genoglot.training.device import DeviceOptions

log = logging.getLogger("genoglot")

SETS = "sets.parquet"
FOLDS = 5  # of training sets, where they are held out to calibrate on


class AnnotatorSettings(Settings):
    """Settings of an `Annotator`.

    Attributes
    ----------
    max_error
        Maximum proportion of wrong answers among the accepted ones, on the held-out sets.
    unfamiliar
        Proportion of the held-out sets that is refused as similar to no labeled set.
    min_calibration_sets
        Number of validation sets below which training sets are held out to calibrate on, too.
    max_calibration_sets
        Maximum number of validation sets, and of training sets, to calibrate on; of more, so many
        are drawn.
    seed
        Seed of everything random.
    """

    max_error: float = Field(0.1, ge=0, le=1)
    unfamiliar: float = Field(0.01, ge=0, le=1)
    min_calibration_sets: PositiveInt = 100
    max_calibration_sets: int = Field(2000, ge=FOLDS)
    seed: NonNegativeInt = 0


class Annotator(UniverseModel):
    """Predicts assay, target and biosample of a region set, and ranks descriptions of it.

    Each pair of a factor (assay and target) and a biosample has a likelihood, given the regions
    (`Likelihood`). The score of a factor is that of its best pair, and likewise for a biosample.
    Regions are not independent, so that likelihoods are far too certain: scores become
    probabilities by one temperature per field, fitted to held-out sets (`Calibration`).

    A description matches by the probability that it and the set are about the same factor and the
    same biosample. What a description is about is predicted from its words (`DescriptionModel`).

    A set that is similar to no labeled set gets no answer, nor does one whose most probable label
    is less probable than the threshold of its field.

    Parameters
    ----------
    **settings
        Fields of `AnnotatorSettings`.

    Examples
    --------
    >>> Annotator(max_error=0.05).settings.max_error
    0.05
    """

    model_type = "annotator"
    settings_class = AnnotatorSettings
    settings: AnnotatorSettings

    labels: Labels
    likelihood: Likelihood
    calibration: Calibration
    calibrated_on: str
    descriptions: DescriptionModel
    table: pl.DataFrame  # id, description, assay, target, biosample of the labeled sets
    presence: csr_array  # (sets, universe), of the labeled sets

    def fit(
        self,
        atlas: Atlas,
        rows: SetRows | None = None,
        *,
        validation: SetRows | None = None,
        patience: int | None = None,
        log_folder: str | Path | None = None,
        resume: bool = False,
        progress: bool | None = None,
        device: str | DeviceOptions = "auto",
    ) -> Self:
        """Fit to labeled region sets.

        An annotator is computed in closed form, on the CPU: `patience` and the arguments after it,
        which other models have, have no effect.

        Parameters
        ----------
        atlas
            The labeled region sets.
        rows
            Indices of the training sets; by default all. Sets without any region are left out. So
            are, with a warning, sets without an assay, target or biosample that others have.
        validation
            Indices of the sets to calibrate on. If there are fewer than `min_calibration_sets`,
            or none, experiment groups are held out within `rows`, too, in five folds; in the end,
            all of `rows` are learned from.

        Raises
        ------
        ModelError
            If there are no labels to learn, or too few groups to calibrate on.
        """
        chosen = self._usable(atlas, rows)
        metadata = atlas.metadata[chosen]
        self.universe = atlas.universe
        self.labels = Labels.of(metadata)
        if max(map(len, self.labels.names.values())) < 2:
            raise ModelError(
                f"{atlas.path}: all sets have the same assay, target and biosample, so there is "
                "nothing to distinguish; fill these columns of the sample sheet"
            )
        self.presence = atlas.presence(chosen)
        self.table = label_table(metadata).with_columns(metadata.select("id", "description"))
        factor, biosample = self.labels.numbers(metadata)
        group = metadata["group"].to_numpy()
        self.likelihood = self._likelihood(self.presence, factor, biosample)
        held_out = [] if validation is None else self._validation(atlas, np.asarray(validation))
        self.calibrated_on = f"{len(held_out)} sets of the validation part"
        if len(held_out) < self.settings.min_calibration_sets:
            folds = self._cross_validation(group, factor, biosample)
            described = f"{len(folds)} training sets, their groups held out in turn"
            self.calibrated_on = f"{self.calibrated_on} and {described}" if held_out else described
            held_out += folds
        log.info("calibrated on %s", self.calibrated_on)
        self.calibration = Calibration.fit(
            held_out,
            self.labels,
            lambda: self._cross_validation(group, factor, biosample),
            max_error=self.settings.max_error,
            unfamiliar=self.settings.unfamiliar,
        )
        self.descriptions = DescriptionModel.fit(
            atlas.descriptions(chosen),
            factor,
            biosample,
            self.labels.counts,
            seed=self.settings.seed,
        )
        return self

    def _usable(self, atlas: Atlas, rows: SetRows | None) -> Numbers:
        """Leave out sets without regions, and those without labels that others have."""
        chosen = np.arange(len(atlas)) if rows is None else np.asarray(rows, np.int64)
        chosen = chosen[atlas.metadata["n_tokens"].to_numpy()[chosen] > 0]
        known = all_known(atlas.metadata)[chosen]
        if not known.all():
            log.warning(
                "%d of %d sets have no assay, target or biosample, which others have, and are not "
                "learned from",
                *((~known).sum(), len(chosen)),
            )
        if not known.any():
            raise ModelError("no region set to learn from; give an atlas or a split with some")
        return chosen[known]

    def _likelihood(self, presence: csr_array, factor: Numbers, biosample: Numbers) -> Likelihood:
        return Likelihood.fit(presence, factor, biosample, labels=self.labels.counts)

    def _validation(self, atlas: Atlas, rows: NDArray[Any]) -> list[HeldOut]:
        """Score the validation sets."""
        usable = (atlas.metadata["n_tokens"].to_numpy() > 0) & all_known(atlas.metadata)
        rows = rows.astype(np.int64)
        rows = self._draw(rows[usable[rows]], self.settings.max_calibration_sets)
        jaccard = pairwise_jaccard(atlas.presence(rows), self.presence).max(1, initial=0)
        truth = self.labels.truth(atlas.metadata[rows])
        return [
            HeldOut(self.likelihood.profiles(ids), labels, similarity)
            for ids, labels, similarity in zip(atlas.tokens_of(rows), truth, jaccard, strict=True)
        ]

    def _cross_validation(
        self, group: NDArray[Any], factor: Numbers, biosample: Numbers
    ) -> list[HeldOut]:
        """Score training sets by likelihoods that were fitted without their groups."""
        truth = self.labels.truth(self.table)
        names, code = np.unique(group, return_inverse=True)
        if len(names) < 2:
            raise ModelError(
                "all sets are of one experiment group, so that none can be held out to calibrate "
                "on; give more, or a split with a validation part"
            )
        folds = min(FOLDS, len(names))
        rng = np.random.default_rng(self.settings.seed)
        fold = (rng.permutation(len(names)) % folds)[code]
        found = []
        for k in range(folds):
            training, rows = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            rows = self._draw(rows, self.settings.max_calibration_sets // folds)
            sets, others = self.presence[rows], self.presence[training]
            likelihood = self._likelihood(others, factor[training], biosample[training])
            jaccard = pairwise_jaccard(sets, others).max(1)
            for i, row in enumerate(rows):
                ids = sets.indices[sets.indptr[i] : sets.indptr[i + 1]]
                found.append(HeldOut(likelihood.profiles(ids), truth[row], jaccard[i]))
        return found

    def _draw(self, rows: Numbers, maximum: int) -> Numbers:
        if len(rows) <= maximum:
            return rows
        rng = np.random.default_rng(self.settings.seed)
        return np.sort(rng.choice(rows, maximum, replace=False))

    def probabilities(self, ids: ArrayLike) -> dict[str, Probabilities]:
        """Compute calibrated probabilities of each field's labels.

        Parameters
        ----------
        ids
            Sorted, unique universe ids of the set.

        Returns
        -------
        dict of str to array
            float64 (labels,) for each field, in the order of `labels.names`.
        """
        return self._probabilities(self.likelihood.profiles(np.asarray(ids, np.int32)))

    def _probabilities(self, profiles: Profiles) -> dict[str, Probabilities]:
        temperature = self.calibration.temperature
        return {
            field: probabilities(profiles, self.labels, field, temperature[field])
            for field in FIELDS
        }

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> Floats:
        """Compute how well each text describes each region set.

        Parameters
        ----------
        sets
            Sorted, unique universe ids of each set.
        texts
            Any descriptions, also other ones than those of training sets.

        Returns
        -------
        array
            float32 (sets, texts), between 0 and 1.
        """
        weights = self.descriptions.weights(texts)
        return np.stack(
            [
                self._match(self.likelihood.profiles(np.asarray(ids, np.int32)), weights)
                for ids in sets
            ]
        )

    def _match(self, profiles: Profiles, weights: Floats) -> Floats:
        factors = self.labels.counts.factors
        factor = softmax(profiles.factor / self.calibration.temperature["target"])
        biosample = self._probabilities(profiles)["biosample"]
        match = (weights[:, :factors] @ factor) * (weights[:, factors:] @ biosample)
        return np.asarray(match, np.float32)

    def annotate(self, ids: ArrayLike, *, top: int = 5) -> Annotation:
        """Predict what a region set is.

        Parameters
        ----------
        ids
            Universe ids of the set, as `Universe.encode` returns them.
        top
            Maximum number of labels of each field, of descriptions and of labeled sets.

        Raises
        ------
        UniverseError
            If there are no ids, or some are outside the universe.
        """
        tokens = np.unique(np.asarray(ids, np.int32))
        if not len(tokens):
            raise UniverseError(
                "no region of the universe is in the set, so there is nothing to annotate"
            )
        if tokens[0] < 0 or tokens[-1] >= len(self.universe):
            raise UniverseError(
                f"ids {tokens[0]} to {tokens[-1]}, but the universe has {len(self.universe)} "
                "regions; encode the set with the model's own universe"
            )
        jaccard = jaccard_with(tokens, self.presence)
        familiar = bool(jaccard.max() >= self.calibration.min_jaccard)
        profiles = self.likelihood.profiles(tokens)
        answers = [
            self._answer(field, p, familiar, top)
            for field, p in self._probabilities(profiles).items()
        ]
        match = self._match(profiles, self.descriptions.training_weights)
        described = [(self.descriptions.texts[i], float(match[i])) for i in _best(match, top)]
        nearest = [
            Neighbor(**self.table.row(i, named=True), jaccard=float(jaccard[i]))
            for i in _best(jaccard, top)
        ]
        return Annotation(len(tokens), familiar, tuple(answers), tuple(described), tuple(nearest))

    def _answer(self, field: str, p: Probabilities, familiar: bool, top: int) -> Answer:
        best = _best(p, top)
        return Answer(
            field,
            tuple(self.labels.names[field][i] for i in best),
            tuple(float(p[i]) for i in best),
            familiar and bool(p[best[0]] >= self.calibration.threshold[field]),
        )

    def _parts(self) -> dict[str, Pretrained]:
        features = self.descriptions.features
        return {"tfidf": features.tfidf, "minilm": features.minilm}

    def _metadata(self) -> dict[str, Any]:
        return {
            **super()._metadata(),
            "factors": self.labels.factors,
            "biosamples": self.labels.biosamples,
            "texts": self.descriptions.texts,
            "calibration": self.calibration._asdict(),
            "calibrated_on": self.calibrated_on,
        }

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        self.table.write_parquet(folder / SETS)

    def _arrays(self) -> Arrays:
        return {
            "indices": self.presence.indices.astype(np.int32),
            "indptr": self.presence.indptr.astype(np.int64),
            **self.descriptions.arrays(),
            **self.likelihood._asdict(),
        }

    @classmethod
    def _load(cls, saved: Saved) -> Self:
        from scipy.sparse import csr_array

        self, config, arrays = super()._load(saved), saved.config, saved.arrays
        try:
            self.table = pl.read_parquet((saved.folder / SETS).absolute(), glob=False)
        except pl.exceptions.PolarsError as error:
            raise ValueError(error) from error
        self.labels = Labels(config["factors"], config["biosamples"])
        self.calibration = Calibration(**config["calibration"])
        self.calibrated_on = config["calibrated_on"]
        self.likelihood = Likelihood(*(arrays[name] for name in Likelihood._fields))
        self.descriptions = DescriptionModel.load(saved)
        ones = np.ones(len(arrays["indices"]), np.float32)
        shape = (len(arrays["indptr"]) - 1, len(self.universe))
        self.presence = csr_array((ones, arrays["indices"], arrays["indptr"]), shape=shape)
        return self


def _best(values: NDArray[Any], n: int) -> list[int]:
    """Return the indices of the `n` highest values, highest first."""
    order: list[int] = np.argsort(-values, kind="stable")[:n].tolist()
    return order
