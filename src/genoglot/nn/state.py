"""The weights of a torch module as numpy arrays, to be saved and loaded."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

Arrays = dict[str, NDArray[Any]]


def state_arrays(module: nn.Module, prefix: str = "") -> Arrays:
    """Return the parameters and buffers of a module.

    Parameters
    ----------
    module
        The module, on any device.
    prefix
        Text that is put before each name.

    Returns
    -------
    dict of str to array
        Names and arrays, on the CPU.
    """
    state = module.state_dict()
    return {f"{prefix}{name}": value.detach().cpu().numpy() for name, value in state.items()}


def load_state_arrays(module: nn.Module, arrays: Arrays, prefix: str = "") -> None:
    """Fill the parameters and buffers of a module, in place.

    Parameters
    ----------
    module
        The module.
    arrays
        What `state_arrays` returned; arrays without the prefix are ignored.
    prefix
        Text that is before each name.

    Raises
    ------
    RuntimeError
        If an array is missing, has another shape or is not of the module.
    """
    state = {
        name.removeprefix(prefix): torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    module.load_state_dict(state)
