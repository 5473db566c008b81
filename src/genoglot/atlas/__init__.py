"""Collections of described region sets on disk, their splits, searching them, a simulated world."""

from genoglot.atlas.build import BuildReport, build_atlas
from genoglot.atlas.library import Library
from genoglot.atlas.ranking import Hit
from genoglot.atlas.sheet import read_encode_json, read_sheet
from genoglot.atlas.splits import Split, make_split, split
from genoglot.atlas.store import Atlas

__all__ = [
    "Atlas",
    "BuildReport",
    "Hit",
    "Library",
    "Split",
    "build_atlas",
    "make_split",
    "read_encode_json",
    "read_sheet",
    "split",
]
