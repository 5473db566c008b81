"""`Annotator`: from a region set back to words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genoglot.atlas import Atlas
from genoglot.errors import ModelError, UniverseError
from genoglot.models.pretrained import CONFIG, Arrays, OverUniverse
from genoglot.models.regions_to_text.annotation import (
    FIELDS,
    Annotation,
    Answer,
    Labels,
    Neighbor,
    all_known,
    label_table,
)
from genoglot.models.regions_to_text.calibration import acceptance_threshold, best_temperature
from genoglot.models.regions_to_text.likelihood import Evidence
from genoglot.models.text_to_regions.baselines import ridge_weights
from genoglot.regions import jaccard_index
from genoglot.text import MiniLM, Tfidf, load_text_encoder

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from genoglot.models.text_to_regions.retrieval import TextFeatures

log = logging.getLogger("genoglot")

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]
Rows = Sequence[int] | NDArray[Any]
Probabilities = NDArray[np.float64]

LABELS, SETS = "labels.json", "sets.parquet"
FOLDS = 5  # within training, where no validation part is given
ENOUGH = 100  # sets to calibrate on; of a smaller validation part, groups of training join it
MOST_CALIBRATED = 2000  # sets to calibrate on
TEXT_PENALTY = 0.1  # of the ridge regression from text to labels
WORDS = 256  # dimensions kept of the descriptions' TF-IDF vectors
UNLIKELY = 1e-3  # least that a text is taken to say of a label


class Annotator(OverUniverse):
    """Names assay, target and biosample of a region set, and ranks descriptions of it.

    Each pair of a factor (assay and target) and a biosample has a likelihood, by the log-odds of
    the regions (`Evidence`); the best pair of a factor tells its score, and likewise of a
    biosample. Regions are not independent, so that likelihoods are far too sure: scores become
    probabilities by one temperature per field, fitted to sets kept aside.

    A description matches by the probability that it and the set speak of the same factor and of
    the same biosample. What a text speaks of is told by ridge regression from its vector, so that
    descriptions of what no training set is of can be ranked too: see `rank`.

    A set that resembles no labelled set gets no answer, nor does one whose best label is less
    probable than the threshold of its field.

    Parameters
    ----------
    max_error
        Share of wrong answers that the thresholds let through, on the sets kept aside.
    unfamiliar
        Share of the sets kept aside that is refused as resembling none.
    seed
        Seed of everything random.

    Examples
    --------
    >>> annotator = Annotator(max_error=0.05)
    >>> annotator.kind
    'annotator'
    """

    kind = "annotator"

    labels: Labels
    evidence: Evidence
    temperature: dict[str, float]
    threshold: dict[str, float]
    least_jaccard: float
    calibrated_on: str
    text_map: Floats  # (dim + 1, factors + biosamples): what a text says of labels; last, the mean
    _saved_features: tuple[Path, Floats]
    texts: list[str]  # distinct descriptions of the labelled sets
    vectors: Floats  # (texts, dim)
    table: pl.DataFrame  # id, description, assay, target, biosample of the labelled sets
    presence: csr_array  # (sets, universe), of the labelled sets

    def __init__(self, *, max_error: float = 0.1, unfamiliar: float = 0.01, seed: int = 0) -> None:
        self.max_error, self.unfamiliar, self.seed = max_error, unfamiliar, seed

    def fit(
        self, atlas: Atlas, rows: Rows | None = None, *, validation: Rows | None = None
    ) -> Self:
        """Learn from labelled sets.

        Parameters
        ----------
        atlas, rows
            What to learn from; by default all sets of the atlas. Sets without any region are left
            out, and so are those, with a notice, that lack an assay, target or biosample which
            others have: "not known" is no label.
        validation
            Rows to calibrate on: temperatures and thresholds. If they are fewer than 100, or none,
            experiment groups are held out within `rows`, too, in five folds; in the end all `rows`
            are learned from.

        Raises
        ------
        ModelError
            If there are no labels to learn, or too few groups to calibrate on.
        """
        chosen = np.arange(len(atlas)) if rows is None else np.asarray(rows, np.int64)
        chosen = chosen[atlas.metadata["n_tokens"].to_numpy()[chosen] > 0]
        known = all_known(atlas.metadata)[chosen]
        if not known.all():
            log.warning(
                "%d of %d sets lack an assay, target or biosample that others have and are not "
                "learned from",
                *((~known).sum(), len(chosen)),
            )
        chosen = chosen[known]
        about = atlas.metadata[chosen]
        if not len(chosen):
            raise ModelError("no region set to learn from; give an atlas or a split with some")
        self.universe = atlas.universe
        self.labels = Labels.of(about)
        if max(map(len, self.labels.names.values())) < 2:
            raise ModelError(
                f"{atlas.path}: all sets have the same assay, target and biosample, so there is "
                "nothing to tell apart; fill these columns of the sample sheet"
            )
        self.presence = atlas.presence(chosen)
        self.table = label_table(about).with_columns(about.select("id", "description"))
        factor, biosample = self.labels.codes(about)
        group = about["group"].to_numpy()
        self.evidence = self._evidence(self.presence, factor, biosample)
        aside = [] if validation is None else self._aside(atlas, np.asarray(validation, np.int64))
        self.calibrated_on = f"{len(aside)} sets of the validation part"
        if len(aside) < ENOUGH:
            left_out = self._left_out(group, factor, biosample)
            told = f"{len(left_out)} training sets, their groups held out in turn"
            self.calibrated_on = f"{self.calibrated_on} and {told}" if aside else told
            aside += left_out
        self._calibrate(aside, spare=lambda: self._left_out(group, factor, biosample))
        self._fit_text(atlas.descriptions(chosen), factor, biosample)
        return self

    def _evidence(
        self, presence: csr_array, factor: NDArray[np.int64], biosample: NDArray[np.int64]
    ) -> Evidence:
        return Evidence.fit(presence, factor, biosample, sizes=self.labels.size)

    def _aside(self, atlas: Atlas, rows: NDArray[Any]) -> list[_Aside]:
        """Score the sets of a validation part."""
        usable = (atlas.metadata["n_tokens"].to_numpy() > 0) & all_known(atlas.metadata)
        rows = self._draw(rows[usable[rows]])
        presence = atlas.presence(rows)
        likeness = jaccard(presence, self.presence).max(1, initial=0)
        truth = self.labels.truth(atlas.metadata[rows])
        return [
            _Aside(_profiles(self.evidence, ids), true, like)
            for ids, true, like in zip(atlas.tokens_of(rows), truth, likeness, strict=True)
        ]

    def _left_out(
        self, group: NDArray[Any], factor: NDArray[np.int64], biosample: NDArray[np.int64]
    ) -> list[_Aside]:
        """Training sets, each seen by evidence that was fitted without its group."""
        truth = self.labels.truth(self.table)
        names, code = np.unique(group, return_inverse=True)
        if len(names) < 2:
            raise ModelError(
                "all sets are of one experiment group, so that none can be held out to calibrate "
                "on; give more, or a split with a validation part"
            )
        folds = min(FOLDS, len(names))
        fold = (np.random.default_rng(self.seed).permutation(len(names)) % folds)[code]
        aside = []
        for k in range(folds):
            kept, out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            out = self._draw(out, MOST_CALIBRATED // folds)
            held, others = self.presence[out], self.presence[kept]
            evidence = self._evidence(others, factor[kept], biosample[kept])
            likeness = jaccard(held, others).max(1)
            for i, row in enumerate(out):
                ids = held.indices[held.indptr[i] : held.indptr[i + 1]]
                profiles = _profiles(evidence, ids)
                aside.append(_Aside(profiles, truth[row], likeness[i]))
        return aside

    def _draw(self, rows: NDArray[Any], most: int = MOST_CALIBRATED) -> NDArray[Any]:
        if len(rows) <= most:
            return rows
        return np.sort(np.random.default_rng(self.seed).choice(rows, most, replace=False))

    def _calibrate(self, aside: list[_Aside], spare: Callable[[], list[_Aside]]) -> None:
        """Fit temperatures and thresholds to sets that the evidence has not seen.

        Where none of them has a label that can be answered, as in a split by biosample, the
        temperature is fitted to the `spare` ones.
        """
        self.temperature, self.threshold = {}, {}
        for field in FIELDS:
            true = np.array([one.truth[field] for one in aside])
            if (true >= 0).any():
                self.temperature[field] = self._fit_temperature(aside, field)
            else:
                self.temperature[field] = self._fit_temperature(spare(), field)
            p = [self._field(one.profiles, field, self.temperature[field]) for one in aside]
            right = np.array([one.argmax() for one in p]) == true
            sure = np.array([one.max() for one in p])
            self.threshold[field] = acceptance_threshold(sure, right, max_error=self.max_error)
        self.least_jaccard = float(np.quantile([one.jaccard for one in aside], self.unfamiliar))

    def _fit_temperature(self, aside: list[_Aside], field: str) -> float:
        labeled = [(one.profiles, one.truth[field]) for one in aside if one.truth[field] >= 0]

        def loss(temperature: float) -> float:
            p = [self._field(profiles, field, temperature)[label] for profiles, label in labeled]
            return float(-np.log(np.maximum(p, 1e-12)).mean())

        return best_temperature(loss) if labeled else 1.0

    def _fit_text(
        self, descriptions: list[str], factor: NDArray[np.int64], biosample: NDArray[np.int64]
    ) -> None:
        """Learn what a text says of factor and biosample."""
        from genoglot.models.text_to_regions.retrieval import TextFeatures

        self.texts = list(dict.fromkeys(descriptions))
        self.features = TextFeatures.fit(self.texts, dim=WORDS, seed=self.seed)
        self.vectors = self.features.encode(self.texts).numpy()
        place = {text: i for i, text in enumerate(self.texts)}
        x = self.vectors[[place[text] for text in descriptions]]
        y = np.zeros((len(x), sum(self.labels.size)), np.float32)
        y[np.arange(len(x)), factor] = 1
        y[np.arange(len(x)), self.labels.size.factors + biosample] = 1
        coefficients = ridge_weights(x - x.mean(0), TEXT_PENALTY) @ (y - y.mean(0))
        base = y.mean(0) - x.mean(0) @ coefficients
        self.text_map = np.concatenate([coefficients, base[None]]).astype(np.float32)

    def probabilities(self, ids: ArrayLike) -> dict[str, Probabilities]:
        """Calibrated probabilities of each field's labels, in the order of `labels.names`.

        Parameters
        ----------
        ids
            Sorted, unique universe ids of the set.
        """
        profiles = _profiles(self.evidence, np.asarray(ids, np.int32))
        return {field: self._field(profiles, field, self.temperature[field]) for field in FIELDS}

    def _field(self, profiles: Profiles, field: str, temperature: float) -> Probabilities:
        if field == "biosample":
            return _softmax(_standardized(profiles[1]) / temperature)
        # The best factor of a label speaks for it: a sum would favor assays of many targets.
        best = np.full(len(self.labels.names[field]), -np.inf)
        np.maximum.at(best, self.labels.numbers(field), profiles[0])
        return _softmax(best / temperature)

    def rank(self, sets: Sequence[ArrayLike], texts: Sequence[str]) -> Floats:
        """Tell how well each text matches each region set: (sets, texts), between 0 and 1.

        Parameters
        ----------
        sets
            Sorted, unique universe ids of each.
        texts
            Any descriptions; they need not be of training sets.
        """
        said = self._said(self.features.encode(texts).numpy())
        profiles = [_profiles(self.evidence, np.asarray(ids, np.int32)) for ids in sets]
        return np.stack([self._match(one, said) for one in profiles])

    def _said(self, vectors: Floats) -> Floats:
        told = vectors @ self.text_map[:-1] + self.text_map[-1]
        return np.asarray(told.clip(UNLIKELY, 1), np.float32)

    @cached_property
    def _said_by_training(self) -> Floats:
        return self._said(self.vectors)

    def _match(self, profiles: Profiles, said: Floats) -> Floats:
        factors = self.labels.size.factors
        factor = _softmax(profiles[0] / self.temperature["target"])
        biosample = self._field(profiles, "biosample", self.temperature["biosample"])
        match = (said[:, :factors] @ factor) * (said[:, factors:] @ biosample)
        return np.asarray(match, np.float32)

    def annotate(self, ids: ArrayLike, *, top: int = 5) -> Annotation:
        """Say what a region set is.

        Parameters
        ----------
        ids
            Sorted, unique universe ids of the set, as of `Universe.encode`.
        top
            How many labels, descriptions and labelled sets to name.

        Raises
        ------
        UniverseError
            If there are no ids, or some outside the universe.
        """
        tokens = np.unique(np.asarray(ids, np.int32))
        if not len(tokens):
            raise UniverseError("no region of the universe is in the set; there is nothing to say")
        if tokens[0] < 0 or tokens[-1] >= len(self.universe):
            raise UniverseError(
                f"ids {tokens[0]} to {tokens[-1]}, but the universe has {len(self.universe)} "
                "regions; encode the set with the model's own universe"
            )
        likeness = jaccard_of(tokens, self.presence)
        familiar = bool(likeness.max() >= self.least_jaccard)
        answers = [
            self._answer(field, p, familiar, top) for field, p in self.probabilities(tokens).items()
        ]
        match = self._match(_profiles(self.evidence, tokens), self._said_by_training)
        described = [(self.texts[i], float(match[i])) for i in _best(match, top)]
        nearest = [
            Neighbor(**self.table.row(i, named=True), jaccard=float(likeness[i]))
            for i in _best(likeness, top)
        ]
        return Annotation(len(tokens), familiar, tuple(answers), tuple(described), tuple(nearest))

    def _answer(self, field: str, p: Probabilities, familiar: bool, top: int) -> Answer:
        best = _best(p, top)
        return Answer(
            field,
            tuple(self.labels.names[field][i] for i in best),
            tuple(float(p[i]) for i in best),
            familiar and bool(p[best[0]] >= self.threshold[field]),
        )

    def _settings(self) -> dict[str, Any]:
        return {"max_error": self.max_error, "unfamiliar": self.unfamiliar, "seed": self.seed}

    def _save(self, folder: Path) -> Arrays:
        self.features.tfidf.save(folder / "tfidf")
        self.features.minilm.save(folder / "minilm")
        self.table.write_parquet(folder / SETS)
        told = {
            "factors": self.labels.factors, "biosamples": self.labels.biosamples,
            "texts": self.texts, "temperature": self.temperature, "threshold": self.threshold,
            "least_jaccard": self.least_jaccard, "calibrated_on": self.calibrated_on,
        }  # fmt: skip
        (folder / LABELS).write_text(json.dumps(told, indent=1) + "\n")
        return {
            "directions": self.features.directions,
            "text_map": self.text_map,
            "vectors": self.vectors,
            "indices": self.presence.indices.astype(np.int32),
            "indptr": self.presence.indptr.astype(np.int64),
            **self.evidence._asdict(),
        }

    @classmethod
    def _load(cls, folder: Path, settings: dict[str, Any], arrays: Arrays) -> Self:
        from scipy.sparse import csr_array

        self = cls(**settings)
        try:
            told = json.loads((folder / LABELS).read_text())
            self.table = pl.read_parquet((folder / SETS).absolute(), glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise ValueError(error) from error
        self.labels = Labels(told["factors"], told["biosamples"])
        self.texts, self.calibrated_on = told["texts"], told["calibrated_on"]
        self.temperature, self.threshold = told["temperature"], told["threshold"]
        self.least_jaccard = told["least_jaccard"]
        self.evidence = Evidence(*(arrays[name] for name in Evidence._fields))
        self.text_map, self.vectors = arrays["text_map"], arrays["vectors"]
        self._saved_features = folder, arrays["directions"]
        ones = np.ones(len(arrays["indices"]), np.float32)
        size = json.loads((folder / CONFIG).read_text())["universe"]["size"]
        shape = (len(arrays["indptr"]) - 1, size)
        self.presence = csr_array((ones, arrays["indices"], arrays["indptr"]), shape=shape)
        return self

    @cached_property
    def features(self) -> TextFeatures:
        """The text encoders, which only other descriptions than those of training need."""
        from genoglot.models.text_to_regions.retrieval import TextFeatures

        folder, directions = self._saved_features
        tfidf, minilm = load_text_encoder(folder / "tfidf"), load_text_encoder(folder / "minilm")
        assert isinstance(tfidf, Tfidf) and isinstance(minilm, MiniLM)
        return TextFeatures(tfidf, minilm, directions)


Profiles = tuple[NDArray[np.float64], NDArray[np.float64]]


def _profiles(evidence: Evidence, ids: Ids) -> Profiles:
    """Score of each factor with its best biosample, and the other way round."""
    score = evidence.score(ids)
    return score.max(1), score.max(0)


def _standardized(profile: Probabilities) -> Probabilities:
    """Score in standard deviations among the biosamples.

    How far apart biosamples are depends on the factor: all are near for one that binds everywhere.
    """
    seen = profile[np.isfinite(profile)]
    standardized: Probabilities = (profile - seen.mean()) / max(float(seen.std()), 1e-9)
    return standardized


class _Aside(NamedTuple):
    """A set that the evidence has not seen."""

    profiles: Profiles
    truth: dict[str, int]  # per field, as of `Labels.truth`
    jaccard: float  # with the labelled set that it resembles most


def jaccard(sets: csr_array, others: csr_array) -> Floats:
    """Jaccard index of every pair: (sets, others), from two sparse arrays of 0 and 1."""
    shared = (sets @ others.T).toarray().astype(np.float32)
    n_sets, n_others = (np.diff(x.indptr).astype(np.float32) for x in (sets, others))
    indices: Floats = jaccard_index(shared, n_sets[:, None], n_others)
    return indices


def jaccard_of(ids: Ids, others: csr_array) -> Floats:
    """Jaccard index of one set of ids with each of others: (others,)."""
    from scipy.sparse import csr_array

    ones, shape = np.ones(len(ids), np.float32), (1, others.shape[1])
    indices: Floats = jaccard(csr_array((ones, ids, [0, len(ids)]), shape=shape), others)[0]
    return indices


def _best(values: NDArray[Any], n: int) -> list[int]:
    order: list[int] = np.argsort(-values, kind="stable")[:n].tolist()
    return order


def _softmax(x: Probabilities) -> Probabilities:
    p: Probabilities = np.exp(x - x.max())
    p /= p.sum()
    return p
