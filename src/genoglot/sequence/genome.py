"""`Genome`: DNA by regions, from FASTA files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoglot.errors import ChromosomeNameError, SequenceError
from genoglot.files import ContentDigest
from genoglot.permissions import explains_denial
from genoglot.regions import Regions
from genoglot.regions.chromosomes import Alias, rename_chromosome, unknown_chromosome
from genoglot.regions.strand import read_strands
from genoglot.sequence.alphabet import MASKED, Codes, N, reverse_complement, to_text
from genoglot.sequence.packed import Packed, is_packed, open_packed, packed_from_fasta
from genoglot.sequence.record_positions import RecordPositions, locate_records

Ints = NDArray[np.int64]

UNMASKED = np.uint8(MASKED - 1)
"""Bits of a packed byte without the soft mask."""

_BLOCK = 1 << 18  # bases fetched at a time, so that they are still in the cache when unmasked


class Genome:
    """Random access to DNA by `Regions`. `Genome.open` opens one.

    Several threads can use a genome at the same time. Pickling it, as for workers of a DataLoader,
    stores only the path of the packed file, whose memory all processes share.

    Attributes
    ----------
    files
        Files that it was opened from, if it was not made in another way.
    """

    def __init__(
        self,
        packed: Packed,
        chroms: Sequence[str],
        offsets: Sequence[int],
        files: Sequence[Path] = (),
    ) -> None:
        self.files = tuple(files)
        self._packed = packed
        self._names = tuple(chroms)
        self._code = {name: i for i, name in enumerate(self._names)}
        self._offset = np.array(offsets, np.int64)
        self._length = np.array(packed.lengths, np.int64)
        self._first = np.cumsum(self._length) - self._length

    @classmethod
    @explains_denial
    def open(
        cls,
        path: str | Path | Sequence[str | Path],
        *,
        record_positions: RecordPositions | None = None,
        alias: Alias | None = None,
        packed: str | Path | None = None,
    ) -> Genome:
        r"""Open a genome.

        A FASTA file is read once and packed into a file with a byte per base, which later calls
        map into memory. It is packed again when the FASTA file has changed. Files below 8 MB are
        read into memory each time, unless `packed` is given.

        Parameters
        ----------
        path
            FASTA, plain, gzip or bgzip; several such files, which together make the genome; or a
            packed genome.
        record_positions
            Positions of records that are windows of a chromosome: record name -> (chromosome,
            0-based position of its first base). `"names"` takes them from names such as
            `22:20000001-21000000` (from 1, both ends included, as samtools faidx writes them) and
            `22:20000000-21000000` or `name::22:20000000-21000000(+)` (from 0, half-open, as
            bedtools getfasta does), which the length of the record distinguishes. Other records
            are whole chromosomes under their own names, as are all records if several names have
            the same chromosome.
        alias
            Spelling of the chromosomes to translate to, as for BED files: `"ucsc"` (1 to chr1),
            `"ensembl"` (chr1 to 1) or a mapping of old to new names.
        packed
            File of the packed genome. By default a file in the cache, `$GENOGLOT_CACHE`.

        Raises
        ------
        SequenceError
            With file and line, if a FASTA file is malformed: see `read_fasta`. Also if the window
            in the name of a record does not fit the record: see `locate_records`.
        ChromosomeNameError
            If two records are the same chromosome, or a record in `record_positions` is missing.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.fa"
        >>> _ = path.write_text(">chr1\nACGTACGT\n>chr2\nGGGG\n")
        >>> genome = Genome.open(path)
        >>> genome
        Genome(2 chromosomes, 12 bases: chr1, chr2)
        >>> genome.fetch(Regions(["chr1", "chr2"], [2, 0], [4, 2]), width=4)
        array([[1, 2, 3, 0],
               [4, 2, 2, 2]], dtype=uint8)
        """
        files = [Path(path)] if isinstance(path, str | Path) else [Path(file) for file in path]
        if not files:
            raise SequenceError("no file is given; give the FASTA files of a genome")
        if len(files) == 1 and is_packed(files[0]):
            found = open_packed(files[0])
        else:
            found = packed_from_fasta(files, Path(packed) if packed else None)
        where = str(files[0]) if len(files) == 1 else "the genome"
        located = locate_records(found.names, found.lengths, record_positions, where)
        chroms = [rename_chromosome(chrom, alias) for chrom, _ in located]
        record_of: dict[str, str] = {}
        for record, chrom in zip(found.names, chroms, strict=True):
            if chrom in record_of:
                raise ChromosomeNameError(
                    f"{where}: records {record_of[chrom]!r} and {record!r} are both chromosome "
                    f"{chrom!r}, but a genome has one record of each; leave one out, or rename "
                    "them by record_positions= (--origin) or alias= (--alias)"
                )
            record_of[chrom] = record
        return cls(found, chroms, [offset for _, offset in located], files)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the chromosomes, in the order of the file."""
        return self._names

    @property
    def chrom_sizes(self) -> dict[str, int]:
        """End of each chromosome, or of the window that the genome has of it, in bp."""
        ends = self._offset + self._length
        return dict(zip(self._names, ends.tolist(), strict=True))

    @property
    def extents(self) -> Regions:
        """The sequence that the genome has of each chromosome, as regions: from 0, or a window."""
        # FASTA records may have names that a region set cannot have.
        index = {name: code for code, name in enumerate(dict.fromkeys(self._names))}
        codes = np.array([index[name] for name in self._names], np.int32)
        return Regions.from_codes(list(index), codes, self._offset, self._offset + self._length)

    @property
    def n_bases(self) -> int:
        """Number of bases, N included."""
        return int(self._length.sum())

    @cached_property
    def digest(self) -> str:
        """SHA-256, as hex, of names, positions and bases of the records, whatever their case."""
        content = ContentDigest()
        parts = zip(self._names, self._offset.tolist(), self._packed.digests, strict=True)
        content.add(list(parts))
        return content.hexdigest()

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, chrom: object) -> bool:
        return chrom in self._code

    def __repr__(self) -> str:
        shown = ", ".join(self._names[:3]) + (", ..." if len(self) > 3 else "")
        return f"Genome({len(self)} chromosomes, {self.n_bases:,} bases: {shown})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Genome) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        packed = self._packed.path or self._packed
        return _reopened, (packed, self._names, self._offset.tolist(), self.digest)

    def fetch(self, regions: Regions, width: int | None = None, *, stranded: bool = True) -> Codes:
        """Fetch the DNA of regions.

        Parameters
        ----------
        regions
            n regions, in any order. They may reach past the ends of a chromosome.
        width
            Length in bp of windows around the centers of the regions: see `window_starts`. By
            default the regions themselves, which must be of the same length.
        stranded
            Whether regions on the minus strand (column `strand`) give their reverse complement.

        Returns
        -------
        Codes
            uint8 (n, width), A C G T N = 0 1 2 3 4; N where the genome has no sequence.

        Raises
        ------
        ChromosomeNameError
            If the genome has no such chromosome, or another spelling of it.
        SequenceError
            If the regions have different lengths and no width is given.
        GenoglotError
            If a strand is not valid.
        """
        minus = on_minus(regions) if stranded else None
        codes = self._cut(regions, width, minus)
        if minus is not None and minus.any():
            codes[minus] = reverse_complement(codes[minus])
        return codes

    def sequence(self, chrom: str, start: int, end: int, *, soft_mask: bool = False) -> str:
        r"""Fetch the letters of one region, on the plus strand.

        Parameters
        ----------
        chrom
            Chromosome.
        start, end
            0-based, half-open; N where the genome has no sequence, also before 0.
        soft_mask
            Whether soft-masked letters are in lower case.

        Returns
        -------
        str
            Letters A C G T N.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.fa"
        >>> _ = path.write_text(">22:101-104\nAcgT\n")
        >>> genome = Genome.open(path, record_positions="names")
        >>> genome.sequence("22", 99, 106, soft_mask=True)
        'NAcgTNN'
        """
        if end < start:
            raise SequenceError(f"{chrom}:{start}-{end}: end is before start")
        record = int(self._records((chrom,))[0])
        begin = start - int(self._offset[record])
        text = to_text(self._stretch(record, begin, begin + end - start))
        return text if soft_mask else text.upper()

    def _cut(self, regions: Regions, width: int | None, minus: NDArray[np.bool_] | None) -> Codes:
        start = regions.start
        if width is None:
            lengths = regions.end - start
            width = int(lengths[0]) if len(lengths) else 0
            if (lengths != width).any():
                raise SequenceError(
                    f"the regions are {lengths.min()} to {lengths.max()} bp long; give a width, "
                    "for windows around their centers"
                )
        elif width < 0:
            raise SequenceError(f"width is {width}; give a number of base pairs")
        else:
            start = window_starts(regions, width, minus)
        records = self._records(regions.chrom_names)[regions.chrom_codes]
        return self._gather(records, start - self._offset[records], width)

    def _records(self, names: Sequence[str]) -> Ints:
        for name in names:
            if name not in self._code:
                raise unknown_chromosome(name, self._code)
        return np.array([self._code[name] for name in names], np.int64)

    def _gather(self, records: Ints, at: Ints, width: int) -> Codes:
        """Copy windows that begin `at` a base of their record, without the soft mask."""
        bases = self._packed.bases
        out = np.empty((len(records), width), np.uint8)
        if width == 0:
            return out
        first, length = self._first[records], self._length[records]
        outside = np.flatnonzero((at < 0) | (at + width > length))
        if len(outside) < len(out):
            # Every window of the genome as a row of one array, which takes no memory.
            shape = (len(bases) - width + 1, width)
            windows: Codes = np.ndarray(shape, np.uint8, bases.data, strides=(1, 1))
            rows = np.minimum(np.maximum(first + at, 0), len(windows) - 1)
            step = max(_BLOCK // width, 1)
            for i in range(0, len(out), step):
                np.bitwise_and(windows[rows[i : i + step]], UNMASKED, out=out[i : i + step])
        for i in outside.tolist():
            begin = int(at[i])
            out[i] = self._stretch(int(records[i]), begin, begin + width) & UNMASKED
        return out

    def _stretch(self, record: int, begin: int, end: int) -> Codes:
        """Cut bases `begin` to `end` of a record, which may lie outside of it, case included."""
        first, length = int(self._first[record]), int(self._length[record])
        low = min(max(begin, 0), length)
        high = max(min(end, length), low)
        bases = self._packed.bases[first + low : first + high]
        if high - low == end - begin:
            return bases
        codes = np.full(end - begin, N, np.uint8)
        codes[low - begin : high - begin] = bases
        return codes


def window_starts(regions: Regions, width: int, minus: NDArray[np.bool_] | None = None) -> Ints:
    """Start of windows that are centered on regions.

    On its own strand, a window has as many bases of its region before base number `width // 2`,
    counted from 0, as after it, or one more. If a region has 1 bp, such as a TSS, this base is
    number `width // 2` of the window on either strand.

    Parameters
    ----------
    regions
        n regions.
    width
        Length of the windows in bp.
    minus
        Which regions are on the minus strand, bool (n,); by default none.

    Returns
    -------
    NDArray
        int64 (n,), 0-based positions on the plus strand.

    Examples
    --------
    >>> tss = Regions(["chr1", "chr1"], [100, 100], [101, 101])
    >>> window_starts(tss, 4, np.array([False, True])).tolist()  # 98 to 101; 102 down to 99
    [98, 99]
    """
    doubled = regions.start + regions.end
    forward: Ints = doubled // 2 - width // 2
    if minus is None:
        return forward
    # The mirror image of that: what is rounded down there is rounded up here.
    return np.where(minus, -(-doubled // 2) - -(-width // 2), forward)


def on_minus(regions: Regions, where: str = "the regions") -> NDArray[np.bool_] | None:
    """Which regions are on the minus strand, bool (n,); None if there is no column `strand`."""
    if "strand" not in regions.columns.columns:
        return None
    minus: NDArray[np.bool_] = read_strands(regions.columns["strand"], where) == "-"
    return minus


def _reopened(
    packed: Path | Packed, chroms: Sequence[str], offsets: list[int], digest: str
) -> Genome:
    found = open_packed(packed) if isinstance(packed, Path) else packed
    if len(found.names) == len(chroms):
        genome = Genome(found, chroms, offsets)
        if genome.digest == digest:
            return genome
    raise SequenceError(f"{found.path}: the genome has changed in the meantime; open it again")
