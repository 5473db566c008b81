"""Known motifs as a layer: values by hand, both strands, no letters past the ends."""

import numpy as np
import torch

from genoglot.nn.convolution import MotifConvolution
from genoglot.sequence import one_hot, reverse_complement
from genoglot.sequence.motifs import jaspar


def scanned(codes: np.ndarray, scan: MotifConvolution) -> np.ndarray:
    return scan(torch.from_numpy(one_hot(codes))).numpy()


def test_values_are_those_of_sliding_by_hand() -> None:
    motifs = [motif.log_odds for motif in jaspar()[:40]]
    codes = np.random.default_rng(0).integers(0, 5, (3, 37)).astype(np.uint8)
    scan = MotifConvolution([torch.from_numpy(motif) for motif in motifs], threshold=0.6)
    found = scanned(codes, scan)
    widest = max(len(motif) for motif in motifs)
    for m, motif in enumerate(motifs):
        best, worst = motif.max(1).sum(), motif.min(1).sum()
        floor = worst + 0.6 * (best - worst)
        width, first = len(motif), (widest - len(motif)) // 2
        padded = np.pad(codes, ((0, 0), (widest, widest)), constant_values=4)
        values = np.pad(motif, ((0, 0), (0, 1)))  # N, and what is past the ends, tells nothing
        turned = np.pad(motif[::-1, ::-1], ((0, 0), (0, 1)))
        for row in range(3):
            for place in range(37):
                at = place + widest - widest // 2 + first
                here = padded[row, at : at + width]
                at = place + widest - (widest - 1) // 2 + (widest - width - first)
                there = padded[row, at : at + width]
                score = max(
                    values[np.arange(width), here].sum(), turned[np.arange(width), there].sum()
                )
                expected = max((score - floor) / (best - floor), 0)
                assert abs(found[row, m, place] - expected) < 1e-4


def test_the_other_strand_has_the_same_sites_from_the_other_end() -> None:
    codes = np.random.default_rng(1).integers(0, 4, (4, 60)).astype(np.uint8)
    scan = MotifConvolution([torch.from_numpy(motif.log_odds) for motif in jaspar()[:100]])
    there = scanned(reverse_complement(codes), scan)[:, :, ::-1]
    np.testing.assert_allclose(there, scanned(codes, scan), atol=1e-5)
