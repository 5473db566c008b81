"""Trees on vectors of sequences: random forest, and gradient boosting by XGBoost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ModelError
from genoglot.models.dna.heads import not_learnable
from genoglot.models.dna.target import Target

Vectors = NDArray[np.float32]

OBJECTIVES: dict[Target, str] = {
    "binary": "binary:logistic",
    "multi-label": "binary:logistic",
    "regression": "reg:squarederror",
    "multi-class": "multi:softprob",
}
"""XGBoost's name of the loss, by target."""


def joined(reference: Vectors, alternative: Vectors) -> Vectors:
    """Put the vectors of both alleles side by side: (n, dim) and (n, dim) -> (n, 2 dim).

    Examples
    --------
    >>> joined(np.zeros((3, 4), np.float32), np.ones((3, 4), np.float32)).shape
    (3, 8)
    """
    return np.concatenate([reference, alternative], axis=1)


class BoostedTrees:
    """Gradient-boosted trees of one output, or of all classes: only this class calls XGBoost.

    Parameters
    ----------
    booster
        Trained XGBoost model.
    features
        Arguments that describe the features to XGBoost, such as `feature_types`.
    """

    def __init__(self, booster: Any, features: Mapping[str, Any] | None = None) -> None:
        self._booster, self._features = booster, dict(features or {})

    @classmethod
    def fit(
        cls,
        x: Vectors,
        y: NDArray[Any],
        validation: tuple[Vectors, NDArray[Any]] | None = None,
        *,
        target: Target,
        trees: int,
        patience: int | None = None,
        max_bin: int = 256,
        features: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Train trees.

        Parameters
        ----------
        x
            Features, float32 (n, features), NaN where a feature is missing.
        y
            Labels, values or class numbers, without missing ones, (n,).
        validation
            Features and labels that the number of trees is chosen by. Default: all trees are used.
        target
            What is predicted.
        trees
            Maximum number of trees.
        patience
            Number of trees without improvement on the validation data after which training ends.
        max_bin
            Maximum number of bins that the values of a feature are put into.
        features
            Arguments that describe the features to XGBoost, such as `feature_types`.
        **options
            Further parameters of XGBoost.

        Returns
        -------
        BoostedTrees
            The trained trees.
        """
        import xgboost

        features = dict(features or {})
        options |= {"objective": OBJECTIVES[target], "tree_method": "hist", "max_bin": max_bin}
        learned = xgboost.QuantileDMatrix(x, y, max_bin=max_bin, **features)
        if validation is None:
            return cls(xgboost.train(options, learned, trees), features)
        held_out = xgboost.QuantileDMatrix(*validation, ref=learned, max_bin=max_bin, **features)
        booster = xgboost.train(
            options, learned, trees, evals=[(held_out, "validation")], verbose_eval=False,
            early_stopping_rounds=patience,
        )  # fmt: skip
        return cls(booster[: booster.best_iteration + 1], features)

    def matrix(self, x: Vectors) -> Any:
        """Put features into XGBoost's form, for the trees of several outputs to predict from."""
        import xgboost

        return xgboost.DMatrix(x, **self._features)

    def predict(self, x: Vectors | Any, trees: int = 0) -> NDArray[np.float32]:
        """Predict values or probabilities.

        Parameters
        ----------
        x
            Features, float32 (n, features), or what `matrix` makes of them.
        trees
            Number of trees to use, from the first one; 0 for all.

        Returns
        -------
        float32 array
            Values or probabilities of label 1, (n,); or probabilities of the classes, (n, classes).
        """
        matrix = self.matrix(x) if isinstance(x, np.ndarray) else x
        found: NDArray[np.float32] = self._booster.predict(matrix, iteration_range=(0, trees))
        return found

    def to_bytes(self) -> bytes:
        """Return the trees in XGBoost's binary format (UBJSON)."""
        return bytes(self._booster.save_raw("ubj"))

    @classmethod
    def from_bytes(cls, saved: bytes, features: Mapping[str, Any] | None = None) -> Self:
        """Read what `to_bytes` has written."""
        import xgboost

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(saved))
        return cls(booster, features)


class Trees(ABC):
    """Trees that are fitted to vectors, such as those of `SequenceEncoder.embed`.

    Parameters
    ----------
    target
        `"binary"`, `"regression"` or `"multi-class"`.
    trees
        Number of trees. Default: 500 of a random forest, 300 of gradient boosting.
    seed
        Random seed.
    **options
        Further parameters of the library, in place of the defaults.

    Raises
    ------
    ModelError
        If the target is another one.
    """

    TREES: ClassVar[int]

    def __init__(
        self, target: Target = "binary", *, trees: int | None = None, seed: int = 0, **options: Any
    ) -> None:
        if target == "multi-label":
            raise ModelError("trees predict one label; fit some to each of several")
        self.target, self.trees, self.seed = target, trees or self.TREES, seed
        self.options = options
        self._classes: NDArray[np.int64] | None = None
        self._trees: Any = None

    def fit(self, vectors: Vectors, labels: NDArray[Any]) -> Self:
        """Fit the trees.

        Parameters
        ----------
        vectors
            Vectors, float32 (n, dim).
        labels
            Labels, (n,) or (n, 1); a label is missing where it is NaN, or its class number below 0.

        Raises
        ------
        ModelError
            If there is not one label for each vector, there is no label, or all are the same.
        """
        labels = np.asarray(labels).reshape(len(labels), -1)
        if labels.shape != (len(vectors), 1):
            raise ModelError(f"{len(vectors)} vectors, but labels {labels.shape}; give one each")
        there = labels[:, 0] >= 0 if self.target == "multi-class" else ~np.isnan(labels[:, 0])
        if not there.any():
            raise ModelError("all labels are missing; give some")
        not_learnable(labels, self.target)
        y = labels[there, 0]
        if self.target != "regression":
            self._classes, y = np.unique(y.astype(np.int64), return_inverse=True)
        self._trees = self._fit(vectors[there], y)
        return self

    def predict(self, vectors: Vectors, **options: Any) -> NDArray[np.float32]:
        """Predict values, or probabilities of label 1 or of the classes.

        Parameters
        ----------
        vectors
            Vectors, float32 (n, dim).
        **options
            Further arguments of `BoostedTrees.predict`.

        Returns
        -------
        float32 array
            Predictions, (n, 1) or (n, classes). The probability of a class without training
            examples is 0.

        Raises
        ------
        ModelError
            If the trees are not fitted.
        """
        if self._trees is None:
            raise ModelError("the trees are not fitted; fit them to labels")
        found = self._predict(vectors, **options)
        if self._classes is None:
            return np.asarray(found, np.float32)[:, None]
        n_classes = max(int(self._classes.max()) + 1, 2)
        probabilities = np.zeros((len(vectors), n_classes), np.float32)
        probabilities[:, self._classes] = found
        return probabilities[:, 1:2] if self.target == "binary" else probabilities

    @abstractmethod
    def _fit(self, vectors: Vectors, y: NDArray[Any]) -> Any:
        """Train trees on values, or on indices of `_classes`."""

    @abstractmethod
    def _predict(self, vectors: Vectors, **options: Any) -> NDArray[Any]:
        """Predict values, (n,), or probabilities of `_classes`, (n, classes)."""


class RandomForest(Trees):
    """Random forest, by scikit-learn.

    Examples
    --------
    >>> vectors = np.arange(8, dtype=np.float32)[:, None]
    >>> forest = RandomForest(trees=10).fit(vectors, vectors[:, 0] > 3)
    >>> (forest.predict(vectors)[:, 0] > 0.5).tolist()
    [False, False, False, False, True, True, True, True]
    """

    TREES = 500

    def _fit(self, vectors: Vectors, y: NDArray[Any]) -> Any:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        forest = RandomForestRegressor if self.target == "regression" else RandomForestClassifier
        options: dict[str, Any] = {"min_samples_leaf": 2, "max_features": "sqrt"}
        options |= {"n_estimators": self.trees, "random_state": self.seed}
        return forest(**{**options, **self.options}).fit(vectors, y)

    def _predict(self, vectors: Vectors, **options: Any) -> NDArray[Any]:
        predict = "predict" if self.target == "regression" else "predict_proba"
        found: NDArray[Any] = getattr(self._trees, predict)(vectors)
        return found


class GradientBoosting(Trees):
    """Gradient-boosted trees, by XGBoost (`BoostedTrees`); with the squared error for values."""

    TREES = 300

    def _fit(self, vectors: Vectors, y: NDArray[Any]) -> BoostedTrees:
        options: dict[str, Any] = {"max_depth": 4, "learning_rate": 0.05, "subsample": 0.8}
        options |= {"colsample_bytree": 0.3, "seed": self.seed}
        if self.target == "multi-class" and self._classes is not None:
            options["num_class"] = len(self._classes)
        options |= self.options
        return BoostedTrees.fit(vectors, y, target=self.target, trees=self.trees, **options)

    def _predict(self, vectors: Vectors, **options: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._trees.predict(vectors, **options)
        return found if self.target != "binary" else np.stack([1 - found, found], axis=1)
