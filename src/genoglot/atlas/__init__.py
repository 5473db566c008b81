"""Region sets with descriptions on disk: store, build, sample sheets and splits."""

from genoglot.atlas.build import BuildResult, build_atlas
from genoglot.atlas.encode_json import read_encode_json
from genoglot.atlas.sample_sheet import read_sheet
from genoglot.atlas.splits import Split, make_split
from genoglot.atlas.store import Atlas

__all__ = [
    "Atlas",
    "BuildResult",
    "Split",
    "build_atlas",
    "make_split",
    "read_encode_json",
    "read_sheet",
]
