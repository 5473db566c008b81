"""Language 1: region sets. Tables of intervals, BED files, universes, genes, region vectors."""

from genoglot.regions.bed import read_bed, write_bed
from genoglot.regions.regions import NO_NEIGHBOR, Regions
from genoglot.regions.universe import Universe, token_jaccard

__all__ = ["NO_NEIGHBOR", "Regions", "Universe", "read_bed", "token_jaccard", "write_bed"]
