"""Training under Lightning: logs, checkpoints, early stopping, resuming."""

from genoglot.training.loop import Where
from genoglot.training.pretrain import pretrain
from genoglot.training.supervised import SequenceModel
from genoglot.training.train import train

__all__ = ["SequenceModel", "Where", "pretrain", "train"]
