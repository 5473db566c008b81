"""`DescriptionModel`: which labels a description is about, by ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from genoglot.models.regions_to_text.likelihood import Floats, LabelCounts, Numbers
from genoglot.models.text_to_regions.baselines import ridge_weights
from genoglot.saved import Arrays, Saved

if TYPE_CHECKING:
    from genoglot.models.text_to_regions.text_features import TextFeatures

PENALTY = 0.1  # of the ridge regression
TFIDF_DIM = 256  # dimensions to which TF-IDF vectors are reduced
LEAST = 1e-3  # lowest weight of a label, however little a text has to do with it


class DescriptionModel:
    """From the vector of a text to weights of factors and biosamples.

    Texts can be other ones than those of training sets, so that descriptions of what no training
    set contains can be ranked too.

    Parameters
    ----------
    texts
        Distinct descriptions of the training sets.
    vectors
        float32 (texts, dim): their vectors.
    coefficients
        float32 (dim + 1, factors + biosamples): of the ridge regression; the last row is its
        intercept.
    features
        Text encoders; or the saved model that holds them, which are then loaded when a text that
        is not among `texts` is asked for.
    """

    def __init__(
        self,
        texts: list[str],
        vectors: Floats,
        coefficients: Floats,
        features: TextFeatures | Saved,
    ) -> None:
        self.texts, self.vectors, self.coefficients = texts, vectors, coefficients
        self._features = features

    @classmethod
    def fit(
        cls,
        descriptions: Sequence[str],
        factor: Numbers,
        biosample: Numbers,
        counts: LabelCounts,
        *,
        seed: int,
    ) -> Self:
        """Fit text features and the regression to the descriptions of training sets.

        Parameters
        ----------
        descriptions
            One for each set.
        factor, biosample
            int64 (sets,): numbers of each set's labels.
        counts
            Number of factors and of biosamples.
        seed
            Seed of the reduction of TF-IDF vectors.
        """
        from genoglot.models.text_to_regions.text_features import TextFeatures

        texts = list(dict.fromkeys(descriptions))
        features = TextFeatures.fit(texts, dim=TFIDF_DIM, seed=seed)
        vectors = features.encode(texts).numpy()
        row = {text: i for i, text in enumerate(texts)}
        x = vectors[[row[text] for text in descriptions]]
        y = np.zeros((len(x), sum(counts)), np.float32)
        y[np.arange(len(x)), factor] = 1
        y[np.arange(len(x)), counts.factors + biosample] = 1
        coefficients = ridge_weights(x - x.mean(0), PENALTY) @ (y - y.mean(0))
        intercept = y.mean(0) - x.mean(0) @ coefficients
        joined = np.concatenate([coefficients, intercept[None]]).astype(np.float32)
        return cls(texts, vectors, joined, features)

    @cached_property
    def features(self) -> TextFeatures:
        """Encoders of words and meaning."""
        from genoglot.models.text_to_regions.text_features import TextFeatures

        found = self._features
        return TextFeatures.load(found) if isinstance(found, Saved) else found

    @cached_property
    def training_weights(self) -> Floats:
        """Weights of the labels for each of `texts`: float32 (texts, factors + biosamples)."""
        return self._weights(self.vectors)

    def weights(self, texts: Sequence[str]) -> Floats:
        """Weigh the labels for any texts: float32 (texts, factors + biosamples), up to 1."""
        return self._weights(self.features.encode(texts).numpy())

    def _weights(self, vectors: Floats) -> Floats:
        predicted = vectors @ self.coefficients[:-1] + self.coefficients[-1]
        return np.asarray(predicted.clip(LEAST, 1), np.float32)

    def arrays(self) -> Arrays:
        """Return the arrays to save, besides the text encoders."""
        return {
            "directions": self.features.directions,
            "coefficients": self.coefficients,
            "vectors": self.vectors,
        }

    @classmethod
    def load(cls, saved: Saved) -> Self:
        """Take what a model saved: `arrays`, and `texts` in its configuration."""
        arrays = saved.arrays
        return cls(saved.config["texts"], arrays["vectors"], arrays["coefficients"], saved)
