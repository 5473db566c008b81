"""Training under Lightning: logs, checkpoints, early stopping, resuming."""

from genoglot.training.train import train

__all__ = ["train"]
