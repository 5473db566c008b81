"""The choice of a device and of a numerical precision, made here for all models."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from genoglot.errors import ModelError


class DeviceOptions(NamedTuple):
    """Where a training runs, and in which precision.

    Attributes
    ----------
    device
        `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"` or `"cuda:1"`.
    devices, num_nodes, strategy
        Number of devices, number of machines and how they share the work, as in
        `lightning.Trainer`.
    precision
        As in `lightning.Trainer`; `"auto"` is bf16 mixed precision on a GPU, single precision on a
        CPU.
    """

    device: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "auto"

    def with_settings(self, settings: dict[str, Any]) -> DeviceOptions:
        """Return these options with those of some settings, which are removed from there.

        Examples
        --------
        >>> settings = {"epochs": 3, "num_nodes": 2}
        >>> DeviceOptions("cuda").with_settings(settings).num_nodes, settings
        (2, {'epochs': 3})
        """
        names = settings.keys() & set(self._fields)
        return self._replace(**{name: settings.pop(name) for name in sorted(names)})


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name
        `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"` or `"cuda:1"`.

    Raises
    ------
    ModelError
        If it is not the name of a device, or this machine does not have it.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"no device {name!r}; choose auto, cpu or cuda") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ModelError("no CUDA device here; choose the device cpu or auto")
        if (device.index or 0) >= torch.cuda.device_count():
            raise ModelError(f"no device {name}: this machine has {torch.cuda.device_count()} GPUs")
    return device


def trainer_options(options: str | DeviceOptions) -> dict[str, Any]:
    """Translate device options into arguments of `lightning.Trainer`.

    Examples
    --------
    >>> trainer_options("cpu")["precision"]
    '32-true'
    """
    if isinstance(options, str):
        options = DeviceOptions(options)
    device = choose_device(options.device)
    on_gpu = device.type == "cuda"
    precision = options.precision
    if precision == "auto":
        precision = "bf16-mixed" if on_gpu else "32-true"
    return {
        "accelerator": "gpu" if on_gpu else device.type,
        "devices": options.devices if device.index is None else [device.index],
        "num_nodes": options.num_nodes,
        "strategy": options.strategy,
        "precision": precision,
    }
