"""Batches for `GeneBert`: two segments of regions, masked, and the matrix of their motif scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoglot.models.dna.masking import Masker
from genoglot.sequence import KmerTokenizer
from genoglot.sequence.alphabet import Codes, N
from genoglot.training.examples import Batch, Draw

if TYPE_CHECKING:
    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.models.dna.genebert_samples import Samples

Ints = NDArray[np.int64]


class GeneBertBatches:
    """Reads samples of a data set as tensors.

    Parameters
    ----------
    data
        The data set.
    samples
        Its samples, from `data.samples`.
    tokenizer
        k-mers. They do not span two regions.
    bases
        Number of bases in the center of each region that are read.
    seed
        Seed of what is drawn. It depends on the seed, the epoch and the sample alone.
    """

    def __init__(
        self,
        data: GeneBertData,
        samples: Samples,
        tokenizer: KmerTokenizer,
        *,
        bases: int,
        seed: int = 0,
    ) -> None:
        self.data, self.samples, self.tokenizer = data, samples, tokenizer
        self.bases, self.seed = bases, seed
        self.first_regions = samples.n_regions // 2  # number of regions of the first segment

    def draw(self, draw: Draw, masker: Masker | None, *, segments: bool, matrix: bool) -> Batch:
        """Make a batch for training.

        Parameters
        ----------
        draw
            Which samples are read.
        masker
            Masks k-mers; None: nothing is masked.
        segments
            Whether the second segment of half of the samples is another one of the same cell type.
        matrix
            Whether the motif scores are read.

        Returns
        -------
        dict
            `inputs`, `second`: ids of the k-mers of the two segments, int64 (samples, tokens).
            `targets`: ids to predict, of both segments, int64 (samples, tokens of both). `follows`:
            1 where the second segment follows the first one, or else 0, int64 (samples,).
            `matrix`: motif scores of the regions that are read, float32 (samples, regions, motifs).
            The last three only if they are asked for.
        """
        # One generator for each sample: what it draws depends on nothing else.
        generators = [np.random.default_rng((self.seed, draw.epoch, row)) for row in draw.rows]
        ids = self.samples.region_ids(draw.rows)
        batch: dict[str, Tensor] = {}
        if segments:
            numbers = np.array([g.random(2) for g in generators])
            other = numbers[:, 0] < 0.5
            ids[other, self.first_regions :] = self.samples.other_segment(
                draw.rows[other], numbers[other, 1]
            )
            batch["follows"] = torch.from_numpy((~other).astype(np.int64))
        if matrix:
            batch["matrix"] = torch.from_numpy(self.data.motif_scores(ids))
        codes = self.codes(ids)
        flat = codes.reshape(-1, self.bases)
        if masker is None:
            return batch | self._segments(self._tokens(flat), len(ids))
        each_region = [g for g in generators for _ in range(ids.shape[1])]
        masked = masker(flat, None, each_region)
        batch["targets"] = masked["targets"].view(len(ids), -1)
        return batch | self._segments(masked["inputs"], len(ids))

    def read(self, rows: Ints) -> dict[str, Tensor]:
        """Read samples as they are: `inputs`, `second` and `matrix`, as `draw` returns them."""
        ids = self.samples.region_ids(rows)
        tokens = self._tokens(self.codes(ids).reshape(-1, self.bases))
        matrix = torch.from_numpy(self.data.motif_scores(ids))
        return {**self._segments(tokens, len(ids)), "matrix": matrix}

    def codes(self, ids: Ints) -> Codes:
        """Read the DNA of samples; what two regions have in common is read once, and N after that.

        Windows of close regions overlap. If both were read, a masked base of one could be seen in
        the other one.

        Parameters
        ----------
        ids
            Ids of regions, int64 (samples, regions), in any order.

        Returns
        -------
        Codes
            uint8 (samples, regions, bases).
        """
        data = self.data
        margin = (data.width - self.bases) // 2
        codes = data.codes(ids)[..., margin : margin + self.bases]
        center, chrom = (data.start[ids] + data.end[ids]) // 2, data.chrom[ids]
        # Not the order of the ids: a short region in a long one can start after, and end before it.
        order = np.lexsort((center, chrom), axis=1)
        center, chrom = (np.take_along_axis(of_ids, order, 1) for of_ids in (center, chrom))
        overlap = np.zeros(ids.shape, np.int64)
        near = np.where(chrom[:, 1:] == chrom[:, :-1], self.bases - np.diff(center, axis=1), 0)
        np.put_along_axis(overlap, order[:, 1:], near, 1)
        return np.where(np.arange(self.bases) < overlap[..., None], np.uint8(N), codes)

    def _tokens(self, codes: Codes) -> Tensor:
        ids = self.tokenizer.from_codes(codes, add_special_tokens=False)["input_ids"]
        return torch.from_numpy(ids)

    def _segments(self, tokens: Tensor, n: int) -> dict[str, Tensor]:
        """Split the tokens of regions (samples * regions, k-mers) into those of two segments."""
        tokens = tokens.view(n, self.samples.n_regions, -1)
        first, second = tokens[:, : self.first_regions], tokens[:, self.first_regions :]
        return {"inputs": first.flatten(1), "second": second.flatten(1)}
