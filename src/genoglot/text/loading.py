"""Load a saved text encoder of any kind."""

from __future__ import annotations

from pathlib import Path

from genoglot.errors import ModelError
from genoglot.text.encoder import TextEncoder, read_config
from genoglot.text.minilm import MiniLM
from genoglot.text.tfidf import Tfidf
from genoglot.text.tfidf_minilm import TfidfMiniLM


def load_text_encoder(path: str | Path) -> TextEncoder:
    """Load a saved text encoder of any kind.

    Parameters
    ----------
    path
        The directory that `TextEncoder.save` wrote.

    Returns
    -------
    TextEncoder
        The encoder.

    Raises
    ------
    ModelError
        If it is missing, damaged or of an unknown kind.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "encoder"
    >>> Tfidf().fit(["CTCF in liver"]).save(folder)
    >>> type(load_text_encoder(folder)).__name__
    'Tfidf'
    """
    kinds: dict[str, type[TextEncoder]] = {c.kind: c for c in (MiniLM, Tfidf, TfidfMiniLM)}
    kind = read_config(path)["kind"]
    if kind not in kinds:
        raise ModelError(
            f"{path}: unknown kind of text encoder {kind!r} (known: {', '.join(kinds)}); "
            "a newer Genoglot may read it"
        )
    return kinds[kind].load(path)
