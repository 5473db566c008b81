"""Files of motifs: MEME, JASPAR, HOMER and TRANSFAC."""

from __future__ import annotations

from pathlib import Path

from genoglot.sequence.motifs import Motif


def read_motifs(path: str | Path) -> tuple[Motif, ...]:
    """Read the motifs of a file, in its order.

    Parameters
    ----------
    path
        File in the format of MEME, JASPAR, HOMER or TRANSFAC, plain or gzip; the content shows
        which format it is.

    Raises
    ------
    SequenceError
        With file and line, if the file is malformed.
    """
    raise NotImplementedError(path)
