"""Check queries before they are encoded: their length, script and language."""

from __future__ import annotations

import logging
import unicodedata

import numpy as np

from genoglot.errors import TextError
from genoglot.text.encoder import check_texts

logger = logging.getLogger("genoglot")

MAX_CHARACTERS = 10_000
_MIN_WORDS = 4  # shorter queries are often only names, which belong to no language
_MIN_ENGLISH = 1e-3  # probability of English below which a notice is logged


def check_query(text: str) -> None:
    """Refuse a query that no encoder can read, or that is too long.

    The encoders read English. A notice reports a query of four words or more that is probably in
    another language; it is answered, since the names of species and organs are Latin
    (docs/decisions/0015-english-queries.md).

    Parameters
    ----------
    text
        The query.

    Raises
    ------
    TextError
        If it is empty, longer than 10,000 characters, or mostly in letters that are neither Latin
        nor Greek.

    Examples
    --------
    >>> check_query("TGF-β response, human liver")
    >>> check_query("人类肝脏")
    Traceback (most recent call last):
    ...
    genoglot.errors.TextError: the text is not in Latin letters ('人类肝脏'); write it in English
    """
    check_texts([text])
    if len(text) > MAX_CHARACTERS:
        raise TextError(
            f"the text has {len(text):,} characters, but the maximum is {MAX_CHARACTERS:,}; "
            "describe the regions in a sentence"
        )
    plain = unicodedata.normalize("NFKC", text)  # Japanese keyboards type wide Latin letters
    letters = [unicodedata.name(letter, "") for letter in plain if letter.isalpha()]
    readable = sum(name.startswith(("LATIN", "GREEK", "MICRO")) for name in letters)
    if 2 * readable < len(letters):
        raise TextError(f"the text is not in Latin letters ({text[:30]!r}); write it in English")
    if len(text.split()) >= _MIN_WORDS:
        language, english = _language(text)
        if english < _MIN_ENGLISH:
            logger.warning(
                "the text may be in another language than English (%s: %r); models read English, "
                "so that the answer may be meaningless",
                *(language, text[:30]),
            )


def _language(text: str) -> tuple[str, float]:
    """Return the most probable language of a text, and the probability that it is English.

    The letters of a text are not independent, so that likelihoods are too certain: their logarithms
    are divided by the square root of the length, as in the probabilities of py3langid.
    """
    import py3langid

    languages, scores = zip(*py3langid.rank(text), strict=True)  # log-likelihoods, best first
    weights = np.exp((np.array(scores) - scores[0]) / np.sqrt(len(text.encode())))
    return languages[0], float(weights[languages.index("en")] / weights.sum())
