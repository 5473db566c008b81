"""Typed settings of a model; unknown ones are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from genoglot.errors import ModelError


class Settings(BaseModel):
    """Base class of settings: a name, a type and a default each, fixed once made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def of(cls, values: Mapping[str, Any], model: str) -> Self:
        """Check settings.

        Parameters
        ----------
        values
            Name and value of those that are not left at their default.
        model
            What an error shall call the model.

        Raises
        ------
        ModelError
            At the first that is unknown or has a value of another kind.

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
