"""Described region sets on disk: store, build, sample sheets, splits."""

from genoglot.atlas.build import BuildReport, build_atlas
from genoglot.atlas.sample_sheet import read_encode_json, read_sheet
from genoglot.atlas.splits import Split, make_split, split
from genoglot.atlas.store import Atlas

__all__ = [
    "Atlas",
    "BuildReport",
    "Split",
    "build_atlas",
    "make_split",
    "read_encode_json",
    "read_sheet",
    "split",
]
