"""`Settings`: typed settings of a model; an unknown name or a wrong value is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from genoglot.errors import ModelError


class Settings(BaseModel):
    """Base class of settings: each has a name, a type and a default, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def of(cls, values: Mapping[str, Any], model: str) -> Self:
        """Make settings from names and values, and validate them.

        Parameters
        ----------
        values
            Settings that differ from their defaults, by name.
        model
            Name of the model, for error messages.

        Returns
        -------
        Self
            The settings, with defaults for all that `values` does not name.

        Raises
        ------
        ModelError
            If a name is unknown or a value is not valid.

        Examples
        --------
        >>> class Width(Settings):
        ...     dim: int = 512
        >>> Width.of({"dim": 64}, "encoder")
        Width(dim=64)
        >>> Width.of({"dims": 64}, "encoder")
        Traceback (most recent call last):
        ...
        genoglot.errors.ModelError: encoder has no setting 'dims' (it has: dim)
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            if first["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields) or "none"
                problem = f"{model} has no setting {name!r} (it has: {known})"
            else:
                problem = f"{model}: {name or 'settings'}: {first['msg']}"
            raise ModelError(problem) from None
