"""Text: encoders that turn descriptions and queries into vectors or tokens."""

from genoglot.text.encoder import TextEncoder
from genoglot.text.minilm import MiniLM
from genoglot.text.query import check_query
from genoglot.text.tfidf import Tfidf
from genoglot.text.tfidf_minilm import TfidfMiniLM
from genoglot.text.wordpiece import WordPiece

__all__ = [
    "MiniLM",
    "TextEncoder",
    "Tfidf",
    "TfidfMiniLM",
    "WordPiece",
    "check_query",
]
