"""Training under Lightning, the same for every model: logs, checkpoints, resuming."""

from genoglot.training.loop import Where

__all__ = ["Where"]
