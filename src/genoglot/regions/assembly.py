"""Names of genome assemblies, and which of them are synonyms."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Name at UCSC: names at NCBI, Ensembl, the 1000 Genomes project, GATK and ENCODE.
_SYNONYMS = {
    "hg38": "GRCh38 b38 hs38 hs38DH GRCh38DH hs38d1 "
    "GCA_000001405.15 GCA_000001405.29 GCF_000001405.26 GCF_000001405.39 GCF_000001405.40",
    "hg19": "GRCh37 b37 hs37 hs37d5 human_g1k_v37 GRCh37lite GCA_000001405.1 GCF_000001405.25",
    "hg18": "NCBI36 b36",
    "hg17": "NCBI35",
    "hs1": "T2T-CHM13 T2T-CHM13v2.0 CHM13 CHM13v2.0 chm13v2 GCA_009914755.4 GCF_009914755.1",
    "mm39": "GRCm39 GCA_000001635.9 GCF_000001635.27",
    "mm10": "GRCm38",
    "mm9": "NCBIM37 MGSCv37",
    "rn7": "mRatBN7.2",
    "rn6": "Rnor_6.0",
    "rn5": "Rnor_5.0",
    "dm6": "BDGP6 BDGP_Release6",
    "dm3": "BDGP5 BDGP_R5",
    "ce11": "WBcel235",
    "ce10": "WS220",
    "sacCer3": "R64-1-1 R64",
    "danRer11": "GRCz11",
    "danRer10": "GRCz10",
    "danRer7": "Zv9",
    "galGal6": "GRCg6a",
    "susScr11": "Sscrofa11.1",
    "bosTau9": "ARS-UCD1.2",
    "bosTau8": "UMD3.1",
    "canFam3": "CanFam3.1",
    "rheMac10": "Mmul_10",
    "xenTro10": "UCB_Xtro_10.0",
    "araTha1": "TAIR10",
}
# Lengths in hg17, hg18, hg19, hg38 and hs1.
_HUMAN = {
    "20": (62435964, 62435964, 63025520, 64444167, 66210255),
    "21": (46944323, 46944323, 48129895, 46709983, 45090682),
    "22": (49554710, 49691432, 51304566, 50818468, 51324926),
}
_AUTOSOMES = 22
_WHOLE = 20_000_000  # bp; shorter ones are parts
# Suffixes that change no coordinate: patches (GRCh38.p14, BDGP6.46), ENCODE's -minimal.
_SUFFIXES = re.compile(r"(?<=\d)\.?p\d+$|minimal$|noalt(analysisset)?$|(?<=bdgp6)\.\d+$")


def same_assembly(a: str, b: str) -> bool:
    """Whether two names can mean the same assembly; an empty name can mean any.

    Letter case, patches and the differences between UCSC, NCBI, Ensembl and others are ignored.

    Examples
    --------
    >>> same_assembly("GRCh38.p14", "hg38"), same_assembly("hg19", "GRCh38"), same_assembly("", "x")
    (True, False, True)
    """
    return not a.strip() or not b.strip() or assembly_name(a) == assembly_name(b)


def assembly_name(name: str) -> str:
    """Return the UCSC name of an assembly.

    Returns
    -------
    str
        For an unknown assembly its own name in lower case, without blanks, hyphens, underscores and
        patch.

    Examples
    --------
    >>> assembly_name("GRCm38.p6"), assembly_name("hs37d5"), assembly_name("My Genome v2")
    ('mm10', 'hg19', 'mygenomev2')
    """
    # Several names at once: "GRCh38/hg38", "Human (hg19)".
    parts = {_UCSC.get(_plain(part)) for part in (name, *re.split(r"[/(),;\s]+", name))} - {None}
    return parts.pop() or "" if len(parts) == 1 else _plain(name)


def is_human(lengths: Mapping[str, int]) -> bool:
    """Whether chromosomes can be those of a human assembly, whole or in part.

    Names such as 1 and X are those of many genomes, but few have a chromosome 20, 21 or 22 and none
    above, as birds have. If one of these is whole, its length decides.

    Parameters
    ----------
    lengths
        Length in bp of each chromosome, or of the part that a genome has of it.

    Examples
    --------
    >>> is_human({"chr1": 195154279, "chr19": 61420004}), is_human({"1": 10_000, "22": 5_000})
    (False, True)
    """
    found = {name.removeprefix("chr"): length for name, length in lengths.items()}
    telling = {name: found[name] for name in _HUMAN if name in found}
    above = any(name.isdecimal() and int(name) > _AUTOSOMES for name in found)
    return bool(telling and not above) and all(
        length < _WHOLE or length in _HUMAN[name] for name, length in telling.items()
    )


def _plain(name: str) -> str:
    return _SUFFIXES.sub("", re.sub(r"[\s_-]", "", name).lower())


_UCSC = {
    _plain(name): ucsc for ucsc, others in _SYNONYMS.items() for name in (ucsc, *others.split())
}
