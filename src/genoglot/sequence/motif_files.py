"""Files of motifs: MEME, JASPAR, HOMER and TRANSFAC.

Biopython reads some of these formats as well, but neither HOMER's nor those of the other formats
that real files deviate from a little, and not with the line of an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoglot.errors import SequenceError
from genoglot.files import read_lines, read_number
from genoglot.sequence.motifs import Motif

SITES = 20
"""Number of sites of a MEME motif whose file does not say it, as in the MEME suite."""

TOLERANCE = 0.02
"""Maximum difference from 1 of the sum of four probabilities, which files round."""

_TRANSFAC_HEADER = re.compile(r"P[0O]\s+[ACGTU]\s+[ACGTU]\s+[ACGTU]\s+[ACGTU]\b", re.IGNORECASE)
_JASPAR_ROW = re.compile(r"([ACGTU])\s*[\[|:]?\s*(.*?)\s*\]?", re.IGNORECASE)
_HOMER_NAME = re.compile(r"([^(/,]+)\(([^)]*)\)(?:/.*)?")
_HOMER_HEADER = re.compile(r"[^\t]*\t[^\t]+\t\s*[-+]?[\d.]\S*\s*(\t.*)?")
_MEME_END = ("--", "**", "URL", "MOTIF", "//", "letter-probability", "log-odds", "Time")
_TRANSFAC_TAG = re.compile(
    r"AC|B[AFS]|C[CO]|D[ERT]|H[CP]|ID|NA|O[CSV]|R[AELNTX]|S[DT]|TY|VV|XX|#.*|"
)


class _Row(NamedTuple):
    line: int
    fields: list[str]


class _Record(NamedTuple):
    """A motif as its file has it: rows of bases or of positions."""

    id: str
    name: str
    line: int
    rows: list[_Row]
    family: str = ""
    sites: float | None = None  # by which probabilities are multiplied; None: they are counts


def read_motifs(path: str | Path) -> tuple[Motif, ...]:
    r"""Read the motifs of a file, in its order.

    The content of the file shows its format:

    - MEME, minimal or full text: the letter-probability matrices, times `nsites` (20 if it is not
      given). The id is the first word after MOTIF, the name the second one.
    - JASPAR: `>id name` and four rows of counts, with or without letters and brackets.
    - HOMER: `>consensus`, the name and the threshold between tabs, and a row of four probabilities
      for each position. The name is the id. The name and family of the factor are read from names
      such as `GATA1(Zf)/K562-GATA1-ChIP-Seq(GSE18829)/Homer`. The threshold is not read.
    - Motifs below `>id`, without letters: the whole file has four rows of bases, as JASPAR's, or a
      row for each position, as GimmeMotifs writes it. The first motif that fits only one of them
      shows which. If none does, what has the same sum for all positions is read.
    - TRANSFAC: records that end with `//`, with AC, ID, NA and a matrix below P0 (or PO).

    Parameters
    ----------
    path
        The file, plain or gzip, with any line ends; `-` is standard input.

    Returns
    -------
    tuple of Motif
        Counts, or probabilities where the file has no counts.

    Raises
    ------
    SequenceError
        With file and line: if the file is of none of these formats or has no motif, a value is not
        a number or negative, a matrix is missing or not complete, it is not clear what its rows
        are, probabilities do not have a sum of 1, or two motifs have the same id.
    GenoglotError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.jaspar"
    >>> _ = path.write_text(">MA1.1 TATA\nA [0 9 0]\nC [0 0 0]\nG [0 0 1]\nT [9 0 8]\n")
    >>> motif, = read_motifs(path)
    >>> motif.id, motif.name, motif.counts.tolist()
    ('MA1.1', 'TATA', [[0.0, 0.0, 0.0, 9.0], [9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 8.0]])
    """
    lines = _lines(path)
    try:
        motifs = [(record, _motif(record)) for record in _records(lines)]
        if not motifs:
            raise _LineError(len(lines), "no motif in this file; give one with some")
        first: dict[str, int] = {}
        for record, motif in motifs:
            if motif.id in first:
                raise _LineError(
                    record.line,
                    f"the id {motif.id!r} is in line {first[motif.id]} as well; rename or remove "
                    "one of the motifs",
                )
            first[motif.id] = record.line
    except _LineError as error:
        raise SequenceError(f"{path}:{error.line}: {error.problem}") from None
    return tuple(motif for _, motif in motifs)


def read_background(path: str | Path) -> tuple[float, ...] | None:
    r"""Read the frequencies of A, C, G and T from a MEME file.

    Returns
    -------
    tuple of float or None
        Those below "Background letter frequencies", divided by their sum; None if there are none.

    Raises
    ------
    SequenceError
        With file and line, if one of them is missing or is not a number above 0.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.meme"
    >>> _ = path.write_text("Background letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n")
    >>> read_background(path)
    (0.3, 0.2, 0.2, 0.3)
    """
    lines = _lines(path)
    for i, line in enumerate(lines):
        if line.startswith("Background letter frequencies"):
            words = " ".join(lines[i + 1 :]).upper().split(maxsplit=8)[:8]
            found = dict(zip(words[::2], words[1::2], strict=False))
            found.setdefault("T", found.get("U", ""))
            try:
                values = _numbers(_Row(i + 2, [found.get(base, "") for base in "ACGT"]))
                if not all(values):
                    raise _LineError(i + 2, "a frequency is 0; write frequencies above 0")
            except _LineError as error:
                raise SequenceError(f"{path}:{error.line}: {error.problem}") from None
            return tuple(value / sum(values) for value in values)
    return None


class _LineError(Exception):
    """What is wrong in which line, counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


def _lines(path: str | Path) -> list[str]:
    lines = [line.strip() for line in read_lines(path).decode().split("\n")]
    if not any(lines):
        raise SequenceError(f"{path}: is empty; give a file of motifs (MEME, JASPAR, HOMER, ...)")
    return lines


def _records(lines: Sequence[str]) -> Iterator[_Record]:
    """Read the records of a file, whose format is that of its content."""
    content = [(i, line) for i, line in enumerate(lines, 1) if line and line[0] != "#"]
    number, first = content[0] if content else (len(lines), "")
    if any(line.startswith(("MEME version", "letter-probability matrix")) for line in lines):
        return _meme(lines)
    if any(map(_TRANSFAC_HEADER.match, lines)):
        return _transfac(lines)
    if first.startswith(">"):
        return _with_headers(lines)
    raise _LineError(
        number,
        "is not the begin of a file of motifs; give one in the format of MEME (with its line 'MEME "
        "version'), JASPAR or HOMER (motifs that begin with >) or TRANSFAC",
    )


def _meme(lines: Sequence[str]) -> Iterator[_Record]:
    """Read the letter-probability matrices of the MEME suite."""
    words: list[str] = []
    named = i = 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if line.startswith("ALPHABET") and not re.search(r"= ?ACG[TU]$|DNA|RNA", line):
            raise _LineError(i, f"{line!r} is not the alphabet of DNA; give motifs of DNA")
        if line.startswith("MOTIF"):
            _check_matrix(words, named)
            words, named = line.split()[1:], i
            if "width" in words:  # full text: MOTIF GATAA MEME-1 width = 8 sites = 17
                words = words[: words.index("width")]
            if not words:
                raise _LineError(i, "the motif has no id; write one after MOTIF")
        if not line.startswith("letter-probability matrix"):
            continue
        if not words:
            raise _LineError(i, "a matrix without a line MOTIF before it; write MOTIF and an id")
        header, said = i, dict(re.findall(r"(\w+)\s*=\s*(\S+)", line))
        rows: list[_Row] = []
        while i < len(lines) and lines[i] and not lines[i].startswith(_MEME_END):
            rows.append(_Row(i + 1, lines[i].split()))
            i += 1
        after = next((j for j in range(i, len(lines)) if lines[j]), i)
        if after > i and re.match(r"[-+]?[\d.]", lines[after]):
            raise _LineError(after + 1, "a row after an empty line; remove the empty line")
        if said.get("w", str(len(rows))) != str(len(rows)):
            raise _LineError(
                header,
                f"w= {said['w']}, but {len(rows)} rows follow; add or remove rows, or fix w=",
            )
        sites = _numbers(_Row(header, [said.get("nsites", str(SITES))]))[0]
        yield _Record(words[0], " ".join(words[1:]), named, rows, sites=sites or SITES)
        words = []
    _check_matrix(words, named)


def _check_matrix(words: Sequence[str], line: int) -> None:
    """Refuse a MEME motif whose matrix was not read."""
    if words:
        raise _LineError(
            line,
            f"the motif {words[0]!r} has no letter-probability matrix; add it or remove the motif",
        )


def _transfac(lines: Sequence[str]) -> Iterator[_Record]:
    """Read records of two-letter tags, which end with //."""
    tags: dict[str, str] = {}
    rows: list[_Row] = []
    order = ""
    begin = 0
    for number, line in enumerate([*lines, "//"], 1):
        tag, *rest = line.split(maxsplit=1) or [""]
        text = rest[0] if rest else ""
        is_header = _TRANSFAC_HEADER.match(line) is not None
        if order and (is_header or tag == "AC"):
            raise _LineError(
                number, f"{tag}, but the record of line {begin} goes on; end it with a line //"
            )
        if is_header:
            begin = begin or number
            order = "".join(text.split()[:4]).upper().replace("U", "T")
            if sorted(order) != list("ACGT"):
                raise _LineError(number, f"the columns are {text!r}; name A, C, G and T once each")
        elif tag.isdecimal():
            if not order:
                raise _LineError(number, "a row without columns; write P0 A C G T above the rows")
            fields = text.split()
            if len(fields) < 4:
                raise _LineError(
                    number, f"{len(fields)} numbers instead of 4; write one for each of {order}"
                )
            rows.append(_Row(number, [fields[order.index(base)] for base in "ACGT"]))
        elif tag == "CC" and (known := re.match(r"(tf_family|tf_class):\s*(.*)", text)):
            tags[known[1]] = known[2]
        elif tag in ("AC", "ID", "NA"):
            begin = begin or number
            tags.setdefault(tag, text)
        elif tag == "//":
            if rows:
                key = tags.get("AC") or tags.get("ID") or tags.get("NA")
                if not key:
                    raise _LineError(rows[0].line, "a matrix without an id; add a line AC or ID")
                family = tags.get("tf_family") or tags.get("tf_class", "")
                name = tags.get("NA") or tags.get("ID", "")
                yield _Record(key, name, begin, rows, family.strip("; "))
            elif begin:
                raise _LineError(
                    number, f"the record of line {begin} has no rows; add them below P0"
                )
            tags, rows, order, begin = {}, [], "", 0
        elif order and not _TRANSFAC_TAG.fullmatch(tag):
            raise _LineError(
                number,
                f"{tag!r} is neither the number of a row nor a tag of TRANSFAC; fix or remove it",
            )


def _with_headers(lines: Sequence[str]) -> Iterator[_Record]:
    """Read motifs that begin with >, as JASPAR's and HOMER's do."""
    found: list[tuple[int, str, list[_Row]]] = []
    letters = False
    for number, line in enumerate(lines, 1):
        if line.startswith(">"):
            found.append((number, line[1:].strip(), []))
        elif line and not line.startswith("#"):
            row = _JASPAR_ROW.fullmatch(line)
            letters = letters or row is not None
            found[-1][2].append(_Row(number, line.split()))
    if letters:
        return (_jaspar(number, header, _lettered(lines, rows)) for number, header, rows in found)
    if _has_positions(found):
        return (_homer(number, header, rows) for number, header, rows in found)
    return (_jaspar(number, header, rows) for number, header, rows in found)


def _has_positions(found: Sequence[tuple[int, str, list[_Row]]]) -> bool:
    """Whether the rows of a file's motifs are positions, as HOMER's, not bases, as JASPAR's."""
    if any(_HOMER_HEADER.fullmatch(header) for _, header, _ in found):
        return True
    has_names = any(len(header.split()) > 1 for _, header, _ in found)
    matrices = [rows for _, _, rows in found if rows]
    for rows in matrices:
        four = all(len(row.fields) == 4 for row in rows)
        if len(rows) == 4 and not four:
            return False
        if len(rows) > 4 and four and not has_names:
            return True
    # Bases of a position have the same sum at all positions, or nearly so.
    positions = all(
        all(len(row.fields) == 4 for row in rows) and _is_constant(map(sum, map(_numbers, rows)))
        for rows in matrices
    )
    bases = all(
        len(rows) == 4 and _is_constant(map(sum, zip(*map(_numbers, rows), strict=False)))
        for rows in matrices
    )
    if not matrices or (has_names and (bases or not positions)):
        return False
    if positions == bases or has_names:
        raise _LineError(
            found[0][0],
            "rows may be bases or positions; begin them with A, C, G and T if they are bases, or "
            "write the header of HOMER (>consensus, name and threshold, separated by tabs)",
        )
    return positions


def _is_constant(values: Iterable[float]) -> bool:
    found = list(values)
    return max(found) - min(found) <= TOLERANCE * max(found)


def _lettered(lines: Sequence[str], rows: Sequence[_Row]) -> list[_Row]:
    """Order rows such as `A [ 1 2 3 ]` by their letters."""
    found: dict[str, _Row] = {}
    for row in rows:
        parts = _JASPAR_ROW.fullmatch(lines[row.line - 1])
        if parts is None:
            raise _LineError(row.line, "the row has no letter; begin it with A, C, G or T")
        base = parts[1].upper().replace("U", "T")
        if base in found:
            raise _LineError(row.line, f"a second row of {base}; write one of each base")
        found[base] = _Row(row.line, parts[2].split())
    if rows and len(found) < 4:
        missing = ", ".join(sorted(set("ACGT") - set(found)))
        raise _LineError(rows[-1].line, f"the motif has no row of {missing}; add it")
    return [found[base] for base in "ACGT" if base in found]


def _jaspar(line: int, header: str, rows: Sequence[_Row]) -> _Record:
    """Transpose four rows of bases into rows of positions."""
    if rows and len(rows) != 4:
        raise _LineError(
            line,
            f"the motif has {len(rows)} rows; write one of each base (or, if they are positions, "
            "the header of HOMER: >consensus, name and threshold, separated by tabs)",
        )
    for row in rows:
        if len(row.fields) != len(rows[0].fields):
            raise _LineError(
                row.line,
                f"{len(row.fields)} numbers, but the first row has {len(rows[0].fields)}; write "
                "as many in each row",
            )
        _numbers(row)
    key, _, name = header.partition("\t" if "\t" in header else " ")
    columns = list(zip(*(row.fields for row in rows), strict=True))
    positions = [_Row(rows[0].line, list(column)) for column in columns]
    return _Record(key, name.strip(), line, positions)


def _homer(line: int, header: str, rows: list[_Row]) -> _Record:
    """Read the header of a HOMER motif, whose rows are positions."""
    parts = [part.strip() for part in header.split("\t")]
    name, family = parts[1] if len(parts) > 1 else parts[0], ""
    known = _HOMER_NAME.fullmatch(name)
    if known:
        family = "" if known[2] == "?" else known[2]
    counts = all(sum(_numbers(row)) > 1 + TOLERANCE for row in rows)
    return _Record(name, known[1] if known else "", line, rows, family, None if counts else 1)


def _motif(record: _Record) -> Motif:
    """Check the numbers of a motif."""
    if not record.id:
        raise _LineError(record.line, "the motif has no id; write one")
    if not record.rows:
        raise _LineError(record.line, f"the motif {record.id!r} has no rows; add them or remove it")
    values = []
    for position, row in enumerate(record.rows, 1):
        if len(row.fields) != 4:
            raise _LineError(
                row.line, f"{len(row.fields)} numbers instead of 4; write those of A, C, G and T"
            )
        total = sum(_numbers(row))
        if record.sites is not None and abs(total - 1) > TOLERANCE:
            raise _LineError(
                row.line, f"the probabilities have a sum of {total:g}; fix them so that it is 1"
            )
        if not total:
            raise _LineError(
                row.line, f"the counts of position {position} are all 0; fix or remove it"
            )
        values.append(_numbers(row))
    counts = np.array(values, np.float64) * (record.sites or 1)
    key, name = (" ".join(text.split()) for text in (record.id, record.name or record.id))
    return Motif(key, name, counts, record.family)


def _numbers(row: _Row) -> list[float]:
    """Read numbers from 0 on."""
    values = []
    for field in row.fields:
        try:
            value = read_number(field)
        except ValueError:
            value = np.nan
        if not 0 <= value < np.inf:
            raise _LineError(row.line, f"{field!r} is not a number from 0; fix or remove it")
        values.append(value)
    return values
