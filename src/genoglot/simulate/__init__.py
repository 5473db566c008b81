"""The simulated world: a genome, its annotation and experiments whose truth is known.

Nothing here is measured. Names of factors, organs and cell lines are real, and so are the motifs
(JASPAR 2018); the genome, the genes, the region sets and their descriptions are drawn at random.

The rules, in the order in which they apply:

`parameters`
    what each size holds
`factors`, `biosamples`
    who is there: transcription factors with their motifs, biosamples with their expression
`elements`, `genes`, `genome`
    where: regulatory elements with motif sites, genes with exons, and the DNA
`regulation`
    what happens: openness, binding and marks of every element in every biosample
`experiments`, `descriptions`
    what is seen: noisy BED files and the words about them
`truth`, `simulation`, `world`
    writing it, and asking it
"""

from genoglot.simulate.oracle import Oracle
from genoglot.simulate.parameters import SIZES, Parameters, Size
from genoglot.simulate.simulation import simulate
from genoglot.simulate.world import World

__all__ = ["SIZES", "Oracle", "Parameters", "Size", "World", "simulate"]
