"""Language 1: region sets. Tables of intervals, BED files, universes, genes, region vectors."""

from genoglot.regions.algebra import NO_NEIGHBOR
from genoglot.regions.annotation import Genes
from genoglot.regions.bed import read_bed, write_bed
from genoglot.regions.region2vec import Region2Vec
from genoglot.regions.regions import Regions
from genoglot.regions.universe import Universe, token_jaccard

__all__ = [
    "NO_NEIGHBOR",
    "Genes",
    "Region2Vec",
    "Regions",
    "Universe",
    "read_bed",
    "token_jaccard",
    "write_bed",
]
