"""Any predictor of DNA as a plain torch module on one-hot DNA."""

from __future__ import annotations

from torch import Tensor, nn

from genoglot.models.dna.heads import SequenceHead, TrackHead
from genoglot.models.dna.sequence_encoder import SequenceEncoder


class OneHotModule(nn.Module):
    """An encoder and a head as a torch module on one-hot DNA, with gradients to its input.

    Tools of other packages, such as tangermeme and captum, can be applied to it. It shares its
    weights with encoder and head. The encoder has to read one-hot bases or patches: overlapping
    k-mers and byte pairs are refused.

    Parameters
    ----------
    encoder
        The encoder.
    head
        The head.
    both_strands
        Whether to average the predictions for a sequence and for its reverse complement.

    Raises
    ------
    ModelError
        When it is called, if the tokens of the encoder have no gradient to single bases.

    Examples
    --------
    >>> import torch
    >>> from genoglot.models.dna.cnn import CnnLstm
    >>> encoder = CnnLstm(channels=(4,), dim=4)
    >>> module = OneHotModule(encoder, TrackHead(encoder.token_dim, 3)).eval()
    >>> module(torch.eye(4)[[0, 1, 2, 3] * 5].T[None]).shape
    torch.Size([1, 5, 3])
    """

    def __init__(
        self,
        encoder: SequenceEncoder,
        head: SequenceHead | TrackHead,
        *,
        both_strands: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.both_strands = encoder, head, both_strands

    def forward(self, values: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        values
            Floats (n, 4, length), channels in the order A C G T; N is zero.

        Returns
        -------
        Tensor
            Of a `SequenceHead` (n, outputs): logits of labels or classes, or values. Of a
            `TrackHead` (n, bins, tracks).
        """
        self.encoder.check_length(values.shape[2])
        forward = self._predict(values)
        if not self.both_strands:
            return forward
        reverse = self._predict(values.flip(1, 2))  # complements are at mirrored channels
        if isinstance(self.head, TrackHead):
            reverse = reverse.flip(1)
        return (forward + reverse) / 2

    def _predict(self, values: Tensor) -> Tensor:
        encoding = self.encoder(self.encoder.one_hot_batch(values))
        if isinstance(self.head, TrackHead):
            tracks: Tensor = self.head(encoding.tokens)
            return tracks
        logits: Tensor = self.head(encoding.sequence)
        return logits * self.head.scale + self.head.center
