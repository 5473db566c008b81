"""Descriptions of simulated experiments, as varied as those of public archives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genoglot.simulate.biosamples import ORGANS, SYSTEMS, Biosample
from genoglot.simulate.factors import Factor

_OPEN_CHROMATIN = (
    "open chromatin",
    "chromatin accessibility",
    "accessible chromatin regions",
    "accessible regulatory elements",
)
_ASSAY_WORDS = {
    "DNase-seq": ("DNase-seq", "DNase hypersensitive sites", "DNase I hypersensitivity"),
    "ATAC-seq": ("ATAC-seq", "assay for transposase-accessible chromatin", "Tn5 accessibility"),
}
_MARK_WORDS = {
    "H3K27ac": ("H3K27ac", "active enhancer mark H3K27ac", "histone H3 lysine 27 acetylation"),
    "H3K4me1": ("H3K4me1", "enhancer mark H3K4me1", "histone H3 lysine 4 monomethylation"),
    "H3K4me3": ("H3K4me3", "promoter mark H3K4me3", "histone H3 lysine 4 trimethylation"),
    "H3K27me3": ("H3K27me3", "Polycomb mark H3K27me3", "histone H3 lysine 27 trimethylation"),
}
_SUBJECT_TEMPLATES = {
    "open": (
        "{assay} of {sample}",
        "{open} in {sample} by {assay}",
        "{sample}, {open} ({assay})",
        "{assay}, {open}, {sample}",
    ),
    "chip": (
        "{target} ChIP-seq on {sample}",
        "{target} ChIP-seq peaks, {sample}",
        "{sample}: binding of {target}, ChIP-seq",
        "Genome-wide occupancy of {target} in {sample}",
        "ChIP-seq against {target} in {sample}",
    ),
    "histone": (
        "{target} ChIP-seq on {sample}",
        "{target} in {sample}",
        "{sample}, {target}, histone ChIP-seq",
        "Histone ChIP-seq of {sample} for {target}",
    ),
}
# Phrases that have nothing to do with the regions, like most words of real descriptions.
_CLUTTER = (
    "produced by the simulated consortium",
    "replicated experiment",
    "IDR thresholded peaks",
    "prognosis cohort",
    "donor of unknown sex",
    "single-end sequencing",
    "paired-end sequencing, 50 bp reads",
    "peaks called against input control",
    "reprocessed with the uniform pipeline",
    "for the study of prognosis",
    "frozen sample",
    "quality control passed",
)
_DISEASE_WORDS = {
    "cancer": ("cancer", "tumor", "malignancy", "neoplasm"),
    "inflammation": ("inflammation", "inflamed", "inflammatory disease"),
}
_AGE_WORDS = {
    "adult": ("adult", "adult donor"),
    "pediatric": ("pediatric", "child", "pediatric donor"),
    "fetal": ("fetal", "embryonic", "fetal stage"),
}
_SYNONYMS = {organ.name: organ.synonyms for organ in ORGANS}


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def describe_sample(sample: Biosample, rng: np.random.Generator) -> str:
    """Write a phrase that names a biosample by one or more of its names.

    Parameters
    ----------
    sample
        The biosample.
    rng
        Source of the choice of words.
    """
    likely = rng.random(7)
    organ = _choose((sample.organ, sample.organ, *_SYNONYMS[sample.organ]), rng)
    if sample.kind == "tissue":
        words = [f"{organ} tissue" if likely[0] < 0.4 or organ != sample.organ else organ]
    elif sample.kind == "primary cell":
        words = [f"primary {sample.cell}s" if likely[0] < 0.4 else sample.cell]
        words += [organ] if likely[1] < 0.6 else []
    else:
        words = [f"{sample.cell} cell line" if likely[0] < 0.6 else f"{sample.cell} cells"]
        words += [organ] if likely[1] < 0.4 else []
    if sample.disease:
        general = _choose(_DISEASE_WORDS[sample.state], rng)
        named = sample.kind != "cell line" or likely[2] < 0.7
        words += [sample.disease] if named else []
        words += [general] if not named or likely[3] < 0.6 else []
    if sample.age != "adult" or likely[4] < 0.3:
        words.insert(0, _choose(_AGE_WORDS[sample.age], rng))
    if likely[5] < 0.2:
        words.append(_choose(SYSTEMS[sample.system][0], rng))
    if likely[6] < 0.5:
        words.insert(0, "human")
    return ", ".join(words) if rng.random() < 0.5 else " ".join(words)


def describe(
    assay: str,
    target: str,
    sample: Biosample,
    factors: dict[str, Factor],
    rng: np.random.Generator,
) -> str:
    """Write a description of an experiment. The next one has other words.

    Parameters
    ----------
    assay, target
        As in the sample sheet; the target of an accessibility assay is empty.
    sample
        The biosample.
    factors
        Name -> factor, for the aliases.
    rng
        Source of the choice of words.
    """
    parts = {"sample": describe_sample(sample, rng)}
    if assay in _ASSAY_WORDS:
        kind = "open"
        parts |= {"assay": _choose(_ASSAY_WORDS[assay], rng), "open": _choose(_OPEN_CHROMATIN, rng)}
    elif target in _MARK_WORDS:
        kind = "histone"
        parts["target"] = _choose(_MARK_WORDS[target], rng)
    else:
        kind = "chip"
        alias = _choose(factors[target].aliases, rng)
        named = (target, target, target, f"{target} ({alias})", f"{target} ({alias})", alias)
        parts["target"] = _choose(named, rng)
    text = _choose(_SUBJECT_TEMPLATES[kind], rng).format(**parts)
    clutter = rng.permutation(len(_CLUTTER))[: int(rng.integers(0, 3))]
    return ", ".join([text, *(_CLUTTER[i] for i in clutter)])
