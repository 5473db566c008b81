"""Language 1 of 3, text: encoders that turn descriptions and queries into vectors."""

from genoglot.text.encoder import TextEncoder, check_query
from genoglot.text.joined import WordsAndMeaning
from genoglot.text.minilm import MiniLM
from genoglot.text.tfidf import Tfidf
from genoglot.text.wordpiece import WordPiece

__all__ = [
    "MiniLM",
    "TextEncoder",
    "Tfidf",
    "WordPiece",
    "WordsAndMeaning",
    "check_query",
]
