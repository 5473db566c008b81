"""The simulated world: a genome, its annotation, and experiments whose ground truth is known.

Nothing here is measured. The names of factors, organs and cell lines are real, and so are the
motifs (JASPAR 2018). The genome, the genes, the region sets and their descriptions are drawn at
random.

The modules, in the order in which their rules apply:

`parameters`
    the sizes of a world
`factors`, `biosamples`
    transcription factors with their motifs, and biosamples with their expression
`elements`, `genes`, `genome`
    regulatory elements with motif sites, genes with exons, and the DNA
`regulation`
    openness, binding and marks of every element in every biosample
`experiments`, `peaks`, `descriptions`
    noisy BED files and their descriptions
`assays`, `variants`
    files in the formats of other public archives
`cohort`
    people with genotypes and a disease
`ground_truth`, `simulation`, `world`, `oracle`
    writing a world, and reading its ground truth
"""

from genoglot.simulate.oracle import Oracle
from genoglot.simulate.parameters import SIZES, Parameters, WorldSize
from genoglot.simulate.simulation import simulate
from genoglot.simulate.world import World

__all__ = ["SIZES", "Oracle", "Parameters", "World", "WorldSize", "simulate"]
