"""Trees on vectors of sequences: random forest and gradient boosting (XGBoost)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.models.dna.heads import not_learnable
from genoglot.models.dna.target import Target

Vectors = NDArray[np.float32]


def joined(reference: Vectors, alternative: Vectors) -> Vectors:
    """Put the vectors of both alleles side by side: (n, dim) and (n, dim) -> (n, 2 dim).

    Examples
    --------
    >>> joined(np.zeros((3, 4), np.float32), np.ones((3, 4), np.float32)).shape
    (3, 8)
    """
    return np.concatenate([reference, alternative], axis=1)


class Trees(ABC):
    """Trees that are fitted to vectors, as `SequenceEncoder.embed` makes them.

    Parameters
    ----------
    target
        `"binary"`, `"regression"` or `"multi-class"`.
    seed
        Of everything random.
    **options
        Further ones of the library, in place of the defaults here.

    Raises
    ------
    ModelError
        If the target is another.
    """

    def __init__(self, target: Target = "binary", *, seed: int = 0, **options: Any) -> None:
        if target == "multi-label":
            raise ModelError("trees predict one label; fit some to each of several")
        self.target, self.seed, self.options = target, seed, options
        self._trees: Any = None

    def fit(self, vectors: Vectors, labels: NDArray[Any]) -> Self:
        """Fit to labels, (n,) or (n, 1); NaN, or a class number below 0, is a missing one.

        Raises
        ------
        ModelError
            If the labels do not fit the vectors, there is none, or all are the same.
        """
        labels = np.asarray(labels).reshape(len(labels), -1)
        if labels.shape != (len(vectors), 1):
            raise ModelError(f"{len(vectors)} vectors, but labels {labels.shape}; give one each")
        there = labels[:, 0] >= 0 if self.target == "multi-class" else ~np.isnan(labels[:, 0])
        if not there.any():
            raise ModelError("no label is there; give some")
        not_learnable(labels, self.target)
        known = labels[there, 0]
        if self.target != "regression":
            known = known.astype(np.int64)
        self._trees = self._new().fit(vectors[there], known)
        return self

    def predict(self, vectors: Vectors) -> NDArray[np.float32]:
        """Predict: float32 (n, 1), or (n, classes).

        A class that was not there to learn from has no probability.
        """
        if self._trees is None:
            raise ModelError("the trees are not fitted; fit them to labels")
        if self.target == "regression":
            return np.asarray(self._trees.predict(vectors), np.float32)[:, None]
        found = np.asarray(self._trees.classes_, np.int64)
        classes = max(int(found.max()) + 1, 2)
        shares = np.zeros((len(vectors), classes), np.float32)
        shares[:, found] = self._trees.predict_proba(vectors)
        return shares[:, 1:2] if self.target == "binary" else shares

    @abstractmethod
    def _new(self) -> Any:
        """Make the library's model, to be fitted."""


class RandomForest(Trees):
    """Random forest, by scikit-learn.

    Examples
    --------
    >>> vectors = np.arange(8, dtype=np.float32)[:, None]
    >>> forest = RandomForest(n_estimators=10).fit(vectors, vectors[:, 0] > 3)
    >>> (forest.predict(vectors)[:, 0] > 0.5).tolist()
    [False, False, False, False, True, True, True, True]
    """

    def _new(self) -> Any:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestRegressor if self.target == "regression" else RandomForestClassifier
        options: dict[str, Any] = {
            "n_estimators": 500,
            "min_samples_leaf": 2,
            "max_features": "sqrt",
        }
        return kind(**{**options, "random_state": self.seed, **self.options})


class GradientBoosting(Trees):
    """Gradient boosted trees, by XGBoost; squared error for values."""

    def _new(self) -> Any:
        from xgboost import XGBClassifier, XGBRegressor

        options: dict[str, Any] = {
            "n_estimators": 300,
            "max_depth": 4,
            "learning_rate": 0.05,
            "subsample": 0.8,
        }
        options |= {"colsample_bytree": 0.3, "tree_method": "hist"}
        kind = XGBRegressor if self.target == "regression" else XGBClassifier
        return kind(**{**options, "random_state": self.seed, **self.options})
