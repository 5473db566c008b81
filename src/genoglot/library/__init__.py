"""Search over stored region sets, by text and by overlap."""

from genoglot.library.library import Library
from genoglot.library.ranking import Hit

__all__ = ["Hit", "Library"]
