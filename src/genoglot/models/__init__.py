"""Models, by what they translate: text to regions, regions to text, and DNA."""

from genoglot.models.regions_to_text.annotation import Annotation, Answer, Neighbor
from genoglot.models.regions_to_text.annotator import Annotator
from genoglot.models.text_to_regions.column_odds import ColumnOdds
from genoglot.models.text_to_regions.generator import Generator
from genoglot.registry import create, load, names

__all__ = [
    "Annotation",
    "Annotator",
    "Answer",
    "ColumnOdds",
    "Generator",
    "Neighbor",
    "create",
    "load",
    "names",
]
