"""Search over stored region sets, by text, by keywords and by overlap."""

from genoglot.library.library import Library
from genoglot.library.search import Hit

__all__ = ["Hit", "Library"]
