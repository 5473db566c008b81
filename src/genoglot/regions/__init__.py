"""Region sets: tables of intervals, BED files, universes, genes and region vectors."""

from genoglot.regions.genes import Genes
from genoglot.regions.intervals import NO_NEIGHBOR
from genoglot.regions.jaccard import (
    base_pair_jaccard,
    jaccard_index,
    jaccard_of_ids,
    region_jaccard,
)
from genoglot.regions.region2vec import Region2Vec
from genoglot.regions.regions import Regions
from genoglot.regions.universe import Universe

__all__ = [
    "NO_NEIGHBOR",
    "Genes",
    "Region2Vec",
    "Regions",
    "Universe",
    "base_pair_jaccard",
    "jaccard_index",
    "jaccard_of_ids",
    "region_jaccard",
]
