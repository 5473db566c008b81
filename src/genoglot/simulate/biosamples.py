"""Biosamples of the simulated world by organ system, organ, cell and condition; their factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Organ(NamedTuple):
    """An organ.

    Attributes
    ----------
    name, synonyms
        Its names.
    system
        Its organ system, a key of `SYSTEMS`.
    factors
        Factors that are active in all of its cells.
    cells
        Two primary cell types, each with further factors of its own.
    lines
        Two cell lines, which have the cancer of the organ.
    cancer, inflammation
        Names of its diseases.
    """

    name: str
    synonyms: tuple[str, ...]
    system: str
    factors: tuple[str, ...]
    cells: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[str, ...]
    cancer: str
    inflammation: str


class Biosample(NamedTuple):
    """A kind of sample.

    Attributes
    ----------
    name
        Unique name, the `biosample` of the sample sheet.
    organ, system
        Organ and organ system.
    kind
        tissue, primary cell or cell line.
    cell
        Cell type or cell line; empty for tissue.
    age
        adult, pediatric or fetal.
    state
        healthy, cancer or inflammation.
    disease
        Name of the cancer or inflammation; empty if healthy.
    """

    name: str
    organ: str
    system: str
    kind: str
    cell: str
    age: str
    state: str
    disease: str


SYSTEMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "urinary system": (("urinary", "urogenital"), ("HNF1A", "HNF1B", "PAX2")),
    "respiratory system": (("respiratory", "airway"), ("FOXA2", "GATA6", "FOXA1")),
    "immune system": (("immune", "hematopoietic"), ("RUNX1", "SPI1", "ETS1", "MYB")),
    "digestive system": (("digestive", "gastrointestinal"), ("HNF4A", "FOXA2", "KLF5")),
    "nervous system": (("nervous system", "neural"), ("SOX2", "NEUROD1", "NFIA")),
    "cardiovascular system": (("cardiovascular", "circulatory"), ("MEF2C", "GATA6", "SRF")),
    "musculoskeletal system": (("musculoskeletal", "mesenchymal"), ("MEF2C", "TEAD4", "SRF")),
    "reproductive system": (("reproductive", "genital"), ("ESR1", "GATA4", "AR")),
    "endocrine system": (("endocrine", "hormonal"), ("GATA4", "FOXA2", "NR5A2")),
    "integumentary system": (("integumentary", "epithelial"), ("KLF4", "GRHL2", "TFAP2A")),
}
"""Organ system -> words that descriptions use, and factors."""

CONDITIONS: dict[str, tuple[str, ...]] = {
    "cancer": ("MYC", "E2F1", "JUN", "MAX", "FOS", "TP63"),
    "inflammation": ("NFKB1", "STAT3", "IRF1", "RELA", "STAT1", "CEBPB"),
    "fetal": ("SOX4", "LEF1", "TCF7L2", "POU5F1", "TWIST1"),
    "pediatric": ("E2F1", "JUND", "SOX9", "SOX4"),
}

UBIQUITOUS = ("CTCF", "TBP", "SP1", "NFYA", "YY1", "NRF1", "ELK1", "GABPA", "USF1", "CREB1", "REST")

# Each organ has three lines: organ|synonyms|system|factors, cell=factors;cell=factors, and
# lines|cancer|inflammation.
_TABLE = """
kidney|renal,nephron|urinary|HNF1A PAX2 HNF4A HNF1B
  renal proximal tubule cell=HNF4A HNF1A;podocyte=TEAD4 LEF1 FOXC1
  786-O,Caki-2|clear cell renal cell carcinoma|nephritis
lung|pulmonary,airway|respiratory|FOXA2 GATA6 SOX2 FOXA1
  alveolar epithelial cell=CEBPA GRHL2;bronchial epithelial cell=TP63 KLF5 GRHL2
  A549,Calu-3|lung adenocarcinoma|pneumonia
lymph node|lymphoid,lymphatic|immune|PAX5 SPI1 RUNX1 EBF1
  B cell=PAX5 EBF1 IRF4;T cell=GATA3 LEF1 ETS1
  Raji,GM12878|lymphoma|lymphadenitis
liver|hepatic,hepatobiliary|digestive|HNF4A HNF1A FOXA2 CEBPA ONECUT1
  hepatocyte=CEBPA CEBPB HNF4A;cholangiocyte=HNF1B SOX9
  HepG2,Huh-7|hepatocellular carcinoma|hepatitis
brain|cerebral,neural|nervous|SOX2 NEUROD1 MEF2C POU3F2 ASCL1
  neuron=NEUROD1 MEF2A CREB1;astrocyte=NFIA SOX9
  U-87 MG,SK-N-SH|glioblastoma|encephalitis
heart|cardiac,myocardial|cardiovascular|TBX5 MEF2C GATA6 GATA4 NKX2-5
  cardiomyocyte=MEF2A SRF TBX20;cardiac fibroblast=TEAD4 HAND1 TWIST1
  AC16,RL-14|cardiac sarcoma|myocarditis
bone marrow|hematopoietic,myeloid|immune|GATA1 GATA2 TAL1 RUNX1
  erythroblast=GATA1 TAL1;monocyte=SPI1 CEBPB IRF8
  K562,HL-60|chronic myeloid leukemia|osteomyelitis
colon|colonic,intestinal|digestive|CDX2 HNF4A KLF4 TCF7L2
  colonic enterocyte=HNF4A KLF5 HNF1A;goblet cell=KLF4 GATA6
  HCT116,Caco-2|colorectal carcinoma|colitis
skeletal muscle|muscular,myogenic|musculoskeletal|MYOD1 MEF2A SRF TEAD4
  myoblast=MYOD1 MYOG;satellite cell=JUN FOXC1
  RD,A-204|rhabdomyosarcoma|myositis
breast|mammary|reproductive|ESR1 FOXA1 GATA3 GRHL2
  mammary epithelial cell=TP63 TFAP2A;luminal cell=GATA3 TFAP2C
  MCF-7,T-47D|breast carcinoma|mastitis
pancreas|pancreatic|digestive|PDX1 NKX6-1 FOXA2 ONECUT1
  pancreatic islet cell=NEUROD1 PDX1 PAX6;pancreatic acinar cell=NR5A2 GATA4
  PANC-1,BxPC-3|pancreatic adenocarcinoma|pancreatitis
stomach|gastric|digestive|GATA4 KLF5 SOX2 FOXA1
  parietal cell=GATA6 KLF4;gastric chief cell=NR5A2 HNF4A
  AGS,KATO III|gastric carcinoma|gastritis
skin|cutaneous,dermal|integumentary|TP63 KLF4 GRHL2 TFAP2A
  keratinocyte=TP63 TFAP2C;melanocyte=MITF SOX10 PAX6
  A375,SK-MEL-28|melanoma|dermatitis
bone|osseous,skeletal|musculoskeletal|RUNX2 TEAD4 FOXC1 TWIST1
  osteoblast=RUNX2 SOX9;chondrocyte=SOX9 NFIA
  U-2 OS,Saos-2|osteosarcoma|osteitis
thymus|thymic|immune|GATA3 LEF1 MYB GFI1 TCF3
  thymocyte=TCF3 ETS1;thymic epithelial cell=TP63 PAX9
  Jurkat,MOLT-4|T-cell acute lymphoblastic leukemia|thymitis
spleen|splenic|immune|SPI1 IRF8 IRF4 TBX21
  splenic macrophage=IRF8 MITF;natural killer cell=TBX21 RUNX1
  SU-DHL-6,OCI-LY7|diffuse large B-cell lymphoma|splenitis
adrenal gland|adrenal,adrenocortical|endocrine|NR5A2 GATA4 NR3C1 NR2F2
  adrenal cortex cell=NR5A2 GATA6;chromaffin cell=ASCL1 HAND1
  NCI-H295R,SW-13|adrenocortical carcinoma|adrenalitis
prostate|prostatic|reproductive|AR HOXB13 NKX3-1 FOXA1
  prostate epithelial cell=TP63 KLF5;prostate stromal cell=NR2F2 TEAD4
  LNCaP,PC-3|prostate adenocarcinoma|prostatitis
ovary|ovarian|reproductive|NR5A2 GATA4 ESR1 PAX2
  granulosa cell=NR5A2 FOXC1;ovarian surface epithelial cell=PAX2 SOX9
  SK-OV-3,OVCAR-3|ovarian carcinoma|oophoritis
uterus|uterine,endometrial|reproductive|HOXA10 ESR1 NR2F2 HOXA13
  endometrial stromal cell=NR2F2 CEBPB;endometrial epithelial cell=GRHL2 SOX9
  Ishikawa,HeLa-S3|endometrial carcinoma|endometritis
retina|retinal,ocular|nervous|OTX2 CRX PAX6 NEUROD1
  photoreceptor=CRX OTX2;retinal pigment epithelial cell=MITF OTX2
  WERI-Rb-1,Y79|retinoblastoma|retinitis
adipose tissue|fat,adipocytic|endocrine|PPARG RXRA CEBPA NR3C1
  adipocyte=PPARG CEBPB;preadipocyte=NR2F2 TWIST1
  SW872,LiSa-2|liposarcoma|panniculitis
placenta|placental,chorionic|reproductive|TFAP2C GATA2 GATA3 TEAD4
  trophoblast=TFAP2C CDX2;syncytiotrophoblast=GATA3 RXRA
  BeWo,JEG-3|choriocarcinoma|villitis
esophagus|esophageal|digestive|TP63 SOX2 PAX9 KLF5
  esophageal squamous cell=TP63 KLF4;esophageal muscle cell=SRF MEF2C
  KYSE-150,TE-1|esophageal squamous carcinoma|esophagitis
"""


def _parse(first: str, cells: str, last: str) -> Organ:
    name, synonyms, system, factors = first.split("|")
    lines, cancer, inflammation = last.strip().split("|")
    pairs = [cell.split("=") for cell in cells.strip().split(";")]
    return Organ(
        name,
        tuple(synonyms.split(",")),
        f"{system} system",
        tuple(factors.split()),
        tuple((cell, tuple(own.split())) for cell, own in pairs),
        tuple(lines.split(",")),
        cancer,
        inflammation,
    )


_LINES = _TABLE.strip().splitlines()
ORGANS: tuple[Organ, ...] = tuple(map(_parse, _LINES[::3], _LINES[1::3], _LINES[2::3]))

# Biosamples of an organ, in the order in which larger worlds have more of them: (kind, index of the
# cell or line, age, state). Organs alternate between two orders, so that a small world has many
# conditions, but not all combinations of its organs and conditions.
_HEALTHY = ("tissue", 0, "adult", "healthy")
_FIRST = (
    (_HEALTHY, ("tissue", 0, "adult", "cancer"), ("cell line", 0, "adult", "cancer")),
    (_HEALTHY, ("tissue", 0, "pediatric", "inflammation"), ("cell line", 0, "adult", "cancer")),
)
_LATER = (
    ("primary cell", 0, "adult", "healthy"),
    ("tissue", 0, "fetal", "healthy"),
    ("tissue", 0, "adult", "inflammation"),
    ("tissue", 0, "adult", "cancer"),
    ("primary cell", 1, "adult", "healthy"),
    ("tissue", 0, "pediatric", "healthy"),
    ("cell line", 1, "adult", "cancer"),
    ("tissue", 0, "pediatric", "inflammation"),
    ("primary cell", 0, "adult", "inflammation"),
    ("primary cell", 1, "fetal", "healthy"),
    ("tissue", 0, "pediatric", "cancer"),
    ("primary cell", 0, "fetal", "healthy"),
    ("primary cell", 1, "adult", "inflammation"),
    ("primary cell", 0, "pediatric", "healthy"),
    ("primary cell", 1, "pediatric", "healthy"),
)


def _make(organ: Organ, kind: str, index: int, age: str, state: str) -> Biosample:
    diseases = {"healthy": "", "cancer": organ.cancer, "inflammation": organ.inflammation}
    disease = diseases[state]
    cell = {"tissue": "", "primary cell": organ.cells[index][0], "cell line": organ.lines[index]}[
        kind
    ]
    prefix = "" if age == "adult" else f"{age} "
    suffix = f", {disease}" if disease and kind != "cell line" else ""
    name = f"{prefix}{cell or organ.name}{suffix}"
    return Biosample(name, organ.name, organ.system, kind, cell, age, state, disease)


def biosamples(n: int) -> list[Biosample]:
    """Return the first `n` biosamples: of few organs in a small world, of all in a large one.

    Parameters
    ----------
    n
        Number of biosamples.

    Examples
    --------
    >>> [sample.name for sample in biosamples(15)][6:9]
    ['kidney, clear cell renal cell carcinoma', 'pediatric lung, pneumonia', 'lymph node, lymphoma']
    """
    n_organs = 6 if n <= 18 else 10 if n <= 60 else len(ORGANS)
    streams = [
        [_make(organ, *sample) for sample in dict.fromkeys((*_FIRST[i % 2], *_LATER))]
        for i, organ in enumerate(ORGANS[:n_organs])
    ]
    ranks = range(max(len(stream) for stream in streams))
    samples = [stream[rank] for rank in ranks for stream in streams if rank < len(stream)]
    return samples[:n]


class Program(NamedTuple):
    """A set of factors that are active together.

    Attributes
    ----------
    name
        Name of the organ system, organ, cell or condition in which they are.
    kind
        system, organ, cell or condition.
    factors
        Names of the factors.
    """

    name: str
    kind: str
    factors: tuple[str, ...]


def programs(samples: Sequence[Biosample], factors: Sequence[str]) -> list[Program]:
    """Return the programs of the systems, organs, cells and conditions of some biosamples.

    Parameters
    ----------
    samples
        The biosamples.
    factors
        Names of the factors of the world. Programs with fewer than two of them are left out.
    """
    organs = [organ for organ in ORGANS if organ.name in {sample.organ for sample in samples}]
    present = {sample.cell for sample in samples}
    states = {sample.state for sample in samples} | {sample.age for sample in samples}
    found = [Program(organ.name, "organ", organ.factors) for organ in organs]
    systems = sorted({organ.system for organ in organs})
    found += [Program(system, "system", SYSTEMS[system][1]) for system in systems]
    for organ in organs:
        for cell, own in organ.cells:
            if cell in present:
                found.append(Program(cell, "cell", tuple(dict.fromkeys(own + organ.factors[:2]))))
    found += [Program(name, "condition", own) for name, own in CONDITIONS.items() if name in states]
    known = [p._replace(factors=tuple(f for f in p.factors if f in factors)) for p in found]
    return [program for program in known if len(program.factors) >= 2]


def expression(
    samples: Sequence[Biosample], factors: Sequence[str], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the expression of each factor in each biosample.

    The level of a factor is the highest one that it has in the system, organ, cell, state or age of
    the biosample. Tumors and cell lines lose a part of the program of their organ. All levels then
    vary by about 8 %.

    Parameters
    ----------
    samples
        The biosamples.
    factors
        Names of the factors.
    rng
        Source of the draws.

    Returns
    -------
    numpy.ndarray
        float32 (samples, factors), 0.02 to 1.
    """
    organs = {organ.name: organ for organ in ORGANS}
    column = {name: i for i, name in enumerate(factors)}
    # The draws are in a fixed order, so that they do not depend on the levels.
    levels = rng.uniform(0.02, 0.10, (len(samples), len(factors)))
    for row, sample in enumerate(samples):
        organ = organs[sample.organ]
        weaker = 0.85 if sample.state == "cancer" else 1.0
        given = [(UBIQUITOUS, 0.92), (SYSTEMS[sample.system][1], 0.85 * weaker)]
        given.append((organ.factors, 0.92 * weaker))
        given += [(own, 0.95) for cell, own in organ.cells if cell == sample.cell]
        if sample.state != "healthy":
            given.append((CONDITIONS[sample.state], 0.92))
        if sample.age != "adult":
            given.append((CONDITIONS[sample.age], 0.85))
        for names, level in given:
            for name in names:
                if name in column:
                    levels[row, column[name]] = max(levels[row, column[name]], level)
        if sample.kind == "cell line":  # it has lost one of the factors of its organ
            lost = organ.factors[int(rng.integers(1, len(organ.factors)))]
            if lost in column:
                levels[row, column[lost]] = 0.2
    levels *= rng.lognormal(0.0, 0.08, levels.shape)
    return np.clip(levels, 0.02, 1.0).astype(np.float32)
