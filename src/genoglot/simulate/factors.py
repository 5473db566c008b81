"""Transcription factors of the simulated world: real names, real JASPAR 2018 motifs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoglot.sequence.motifs import Motif, jaspar

FAMILY_AFFINITY = 0.25
"""Affinity of a factor for the site of another factor of its family; for its own it is 1."""


class Factor(NamedTuple):
    """A transcription factor.

    Attributes
    ----------
    name
        Name, such as CTCF.
    matrix
        Id of its motif in JASPAR 2018.
    family
        Factors of one family bind each other's sites weakly.
    aliases
        Other names that descriptions use.
    """

    name: str
    matrix: str
    family: str
    aliases: tuple[str, ...] = ()


# Ordered: a smaller world has the first ones of the list. The first 24 are enough for six organs.
_TABLE = """
CTCF MA0139.1 CTCF CCCTC-binding factor
TBP MA0108.2 TBP TATA-binding protein
SP1 MA0079.3 KLF Sp1
NFYA MA0060.3 NFY NF-YA|CBF-B
YY1 MA0095.2 YY1 Yin Yang 1
NRF1 MA0506.1 NRF1 nuclear respiratory factor 1
MYC MA0147.3 EBOX c-Myc
E2F1 MA0024.3 E2F E2F-1
JUN MA0488.1 AP1 c-Jun|AP-1
NFKB1 MA0105.4 NFKB NF-kB p50|NF-kappaB1
STAT3 MA0144.2 STAT STAT-3
IRF1 MA0050.2 IRF interferon regulatory factor 1
HNF1A MA0046.2 HNF1 HNF-1 alpha
HNF4A MA0114.3 HNF4 HNF4 alpha
PAX2 MA0067.1 PAX Pax-2
FOXA2 MA0047.2 FOX HNF3 beta
GATA6 MA1104.1 GATA GATA-6
SPI1 MA0080.4 ETS PU.1
RUNX1 MA0002.2 RUNX AML1
PAX5 MA0014.3 PAX BSAP
SOX2 MA0143.3 SOX SOX-2
NEUROD1 MA1109.1 BHLH NeuroD
MEF2C MA0497.1 MEF2 myocyte enhancer factor 2C
TBX5 MA0807.1 TBX T-box 5
MAX MA0058.3 EBOX MYC-associated factor X
FOS MA0476.1 AP1 c-Fos
JUND MA0491.1 AP1 Jun-D
RELA MA0107.1 NFKB p65|NF-kB p65
STAT1 MA0137.3 STAT STAT-1
CEBPB MA0466.2 CEBP C/EBP beta
TEAD4 MA0809.1 TEAD TEF-3
KLF4 MA0039.3 KLF GKLF
ETS1 MA0098.3 ETS Ets-1
ELK1 MA0028.2 ETS Elk-1
GABPA MA0062.2 ETS GABP alpha
USF1 MA0093.2 EBOX USF-1
REST MA0138.2 REST NRSF
CREB1 MA0018.3 CREB CREB
TP53 MA0106.3 P53 p53
SOX4 MA0867.1 SOX SOX-4
LEF1 MA0768.1 TCF LEF-1
TCF7L2 MA0523.1 TCF TCF4|TCF-4
HNF1B MA0153.2 HNF1 HNF-1 beta
FOXA1 MA0148.3 FOX HNF3 alpha
GATA1 MA0035.3 GATA GATA-1
GATA2 MA0036.3 GATA GATA-2
GATA3 MA0037.3 GATA GATA-3
GATA4 MA0482.1 GATA GATA-4
EBF1 MA0154.3 EBF early B-cell factor 1
IRF4 MA1419.1 IRF MUM1
TAL1 MA0091.1 BHLH SCL
CEBPA MA0102.3 CEBP C/EBP alpha
CDX2 MA0465.1 HOX CDX-2
MYOD1 MA0499.1 BHLH MyoD
MEF2A MA0052.3 MEF2 myocyte enhancer factor 2A
SRF MA0083.3 SRF serum response factor
NKX2-5 MA0503.1 NKX CSX
ESR1 MA0112.3 NR estrogen receptor alpha|ER alpha
AR MA0007.3 NRSTEROID androgen receptor
GRHL2 MA1105.1 GRHL grainyhead-like 2
PAX6 MA0069.1 PAX Pax-6
SOX10 MA0442.2 SOX SOX-10
POU5F1 MA0142.1 POU OCT4|Oct-4
OLIG2 MA0678.1 BHLH Olig-2
ASCL1 MA1100.1 BHLH MASH1
POU3F2 MA0787.1 POU BRN2
TBX20 MA0689.1 TBX T-box 20
HAND1 MA0092.1 BHLH eHAND
TCF3 MA0522.2 BHLH E2A
IRF8 MA0652.1 IRF ICSBP
MYB MA0100.3 MYB c-Myb
GFI1 MA0038.1 GFI GFI-1
MYOG MA0500.1 BHLH myogenin
TFAP2A MA0003.3 AP2 AP-2 alpha
TFAP2C MA0524.2 AP2 AP-2 gamma
NR3C1 MA0113.3 NRSTEROID glucocorticoid receptor|GR
RARA MA0729.1 NR retinoic acid receptor alpha
RXRA MA0512.2 NR retinoid X receptor alpha
PPARG MA0066.1 NR PPAR gamma
PDX1 MA0132.2 HOX IPF1
NKX6-1 MA0674.1 NKX Nkx6.1
KLF5 MA0599.1 KLF IKLF
NR5A2 MA0505.1 NRORPHAN LRH-1
TP63 MA0525.2 P53 p63
MITF MA0620.2 EBOX microphthalmia factor
RUNX2 MA0511.2 RUNX CBFA1
SOX9 MA0077.1 SOX SOX-9
HOXA10 MA0899.1 HOX Hox-A10
HOXB13 MA0901.1 HOX Hox-B13
HOXA13 MA0650.1 HOX Hox-A13
PAX9 MA0781.1 PAX Pax-9
FOXC1 MA0032.2 FOX FKHL7
TWIST1 MA1123.1 BHLH Twist
NR2F2 MA1111.1 NRORPHAN COUP-TFII
OTX2 MA0712.1 OTX Otx-2
CRX MA0467.1 OTX cone-rod homeobox
NFIA MA0670.1 NFI NF1-A
ONECUT1 MA0679.1 ONECUT HNF6
TBX21 MA0690.1 TBX T-bet
NKX3-1 MA0124.2 NKX Nkx3.1
"""


def _parse(line: str) -> Factor:
    name, matrix, family, aliases = line.split(maxsplit=3)
    return Factor(name, matrix, family, tuple(aliases.split("|")))


FACTORS: tuple[Factor, ...] = tuple(_parse(line) for line in _TABLE.strip().splitlines())


def sample_sites(
    motif: Motif, rng: np.random.Generator, n: int, tries: int = 2
) -> NDArray[np.uint8]:
    """Draw sites from a motif, each the best of some tries, so that their scores are high.

    Parameters
    ----------
    motif
        The motif.
    rng
        Source of the draws.
    n
        Number of sites.
    tries
        Number of draws per site.

    Returns
    -------
    numpy.ndarray
        uint8 (n, width), codes A C G T = 0 1 2 3.
    """
    cumulative = motif.probabilities.cumsum(1)[:, :3]
    draws = rng.random((n * tries, len(motif), 1))
    bases: NDArray[np.uint8] = (draws > cumulative).sum(2).astype(np.uint8)
    best = motif.relative_scores(bases).reshape(n, tries).argmax(1)
    return np.asarray(bases.reshape(n, tries, len(motif))[np.arange(n), best])


def load_motifs(factors: Sequence[Factor]) -> list[Motif]:
    """Return the motif of each factor in JASPAR 2018."""
    motifs = {motif.id: motif for motif in jaspar()}
    return [motifs[factor.matrix] for factor in factors]


def family_affinity(factors: Sequence[Factor]) -> NDArray[np.float32]:
    """Return the affinity of each factor (row) for the motif sites of each factor (column).

    Returns
    -------
    numpy.ndarray
        float32 (n, n): 1 on the diagonal, `FAMILY_AFFINITY` within a family, else 0.
    """
    family = np.array([factor.family for factor in factors])
    same = family[:, None] == family[None]
    affinity = np.where(same, FAMILY_AFFINITY, 0.0).astype(np.float32)
    np.fill_diagonal(affinity, 1.0)
    return affinity
