"""The data set of GeneBERT on disk: DNA and motif scores of regions, and who has them open."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoglot.errors import ModelError, some
from genoglot.files import (
    ContentDigest,
    atomic_path,
    file_digest,
    read_manifest,
    write_manifest,
)
from genoglot.locks import lock
from genoglot.models.dna.genebert_build import (
    PROGRESS,
    SCORES,
    SUBSETS,
    OnError,
    Scores,
    choose_regions,
    measure_scores,
    save_arrays,
    scan_regions,
    split_regions,
)
from genoglot.models.dna.genebert_samples import Runs, Samples
from genoglot.permissions import explains_denial

if TYPE_CHECKING:
    from genoglot.atlas import Atlas
    from genoglot.atlas.accessibility import Accessibility
    from genoglot.sequence import Genome
    from genoglot.sequence.motifs import Motif

log = logging.getLogger("genoglot")

Subset = Literal["train", "validation", "test"]

MANIFEST, FORMAT = "genebert_data.json", 2
_REBUILD = "build the data set again"
_MAPPED = ("codes", "motif_scores", "open_ids")  # arrays that are read when they are needed
_ARRAYS = (*_MAPPED, "chrom", "start", "end", "subset", "offsets", "motif_mean", "motif_deviation")


class GeneBertData:
    """Regions of a genome with their DNA, their motif scores, and the cell types they are open in.

    Opened by `GeneBertData.open`, made by `GeneBertData.build`. Opening reads a few numbers per
    region; DNA and motif scores are read from a memory map when they are needed, with numpy only.

    Attributes
    ----------
    path
        Folder of the data set.
    chrom_names, chrom
        Names of the chromosomes, and the index of each region's chromosome, int32 (regions,).
    start, end
        0-based, half-open coordinates of the regions, int64 (regions,), sorted by chromosome and
        start. The id of a region is its row.
    subset
        Index of each region's subset in train, validation, test; -1 if it is in none; int8
        (regions,).
    width
        Number of bases of each region's window of DNA, which is centered on the region.
    motifs, families
        Ids of the motifs, and the family of the factor of each one ("unknown" if it is not known).
    cell_types
        Names of the cell types.
    digest
        SHA-256, as hex, of all content except the path of the source. It identifies the data.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(
            self.path / MANIFEST, "GeneBERT data set", FORMAT, advice=_REBUILD, error=ModelError
        )
        m = self.manifest
        self.chrom_names: list[str] = m["chromosomes"]
        self.width: int = m["width"]
        self.motifs: list[str] = m["motifs"]
        self.families: list[str] = m["families"]
        self.cell_types: list[str] = m["cell_types"]
        self.digest: str = m["digest"]
        arrays = {name: self._load(name) for name in _ARRAYS}
        self.chrom, self.start, self.end = arrays["chrom"], arrays["start"], arrays["end"]
        self.subset: NDArray[np.int8] = arrays["subset"]
        self._codes, self._scores = arrays["codes"], arrays["motif_scores"]
        self._offsets, self._open_ids = arrays["offsets"], arrays["open_ids"]
        self._mean, self._scale = arrays["motif_mean"], 1 / arrays["motif_deviation"]
        shapes = (len(self.start), self.width), (len(self.start), len(self.motifs))
        if (self._codes.shape, self._scores.shape) != shapes:
            raise ModelError(f"{path}: damaged data set: arrays of wrong shapes; {_REBUILD}")

    @classmethod
    @explains_denial
    def open(cls, path: str | Path) -> GeneBertData:
        """Open the folder of a data set.

        Raises
        ------
        ModelError
            If it is missing, damaged or of another format version.
        """
        return cls(path)

    @classmethod
    def build(
        cls,
        out: str | Path,
        source: Accessibility | Atlas,
        genome: Genome,
        motifs: Sequence[Motif],
        *,
        width: int = 500,
        scores: Scores = "max",
        validation: Sequence[str] = (),
        test: Sequence[str] = (),
        on_error: OnError = "raise",
        overwrite: bool = False,
        progress: bool = True,
    ) -> GeneBertData:
        """Compute DNA and motif scores of all regions once, and write them to a folder.

        The scan of the motifs can be interrupted: what it has written is in the folder
        `out`.building, and the next call with the same data continues there. `out` appears when
        everything is written. Memory does not grow with the number of regions times motifs.

        Parameters
        ----------
        out
            The folder; it must not exist, or be empty.
        source
            Accessible regions of cell types, or an atlas: then each region set is a cell type.
        genome
            Genome of the regions.
        motifs
            Motifs to scan the DNA for, on both strands. A notice counts those that are longer than
            `width`, whose scores are 0 everywhere.
        width
            Number of bases of the windows of DNA that are centered on the regions; N where a
            chromosome ends.
        scores
            Motif scores of a region, log-odds in bits: "max" is the score of the best site, "sum"
            that of all sites (see `MotifScanner`).
        validation, test
            Chromosomes to validate and to test on; by default about a tenth of the regions for
            each: see `split_regions`.
        on_error
            What to do if regions do not lie wholly in the genome, or cell types have no open
            region: "raise" an error, or "skip" them and report how many.
        overwrite
            Replace `out`, and an unfinished build of other data.
        progress
            Show a progress bar in a terminal.

        Returns
        -------
        GeneBertData
            The new data set.

        Raises
        ------
        ModelError
            If regions cannot be used or split (see `choose_regions`, `split_regions`), an option is
            not valid, no motif fits into `width`, `out` is not empty, or another process builds it.
        ChromosomeNameError
            If the genome spells the chromosomes differently.
        """
        from genoglot.atlas.accessibility import Accessibility

        for name, value, known in (("scores", scores, Scores), ("on_error", on_error, OnError)):
            if value not in get_args(known):
                choices = ", ".join(get_args(known))
                raise ModelError(f"{name} is {value!r}; choose from {choices}")
        if width < 1:
            raise ModelError(f"width is {width}; give a number of base pairs")
        ids = [motif.id for motif in motifs]
        if not ids or len(set(ids)) < len(ids):
            problem = f"{len(ids) - len(set(ids))} motifs have the id of another" if ids else "none"
            raise ModelError(f"motifs: {problem}; give at least one, each with an id of its own")
        n_long = sum(len(motif) > width for motif in motifs)
        if n_long == len(motifs):
            raise ModelError(f"all motifs are longer than the windows of {width} bp; widen these")
        out = Path(out)
        if out.name in ("", ".."):
            raise ModelError(f"{out}: is not the name of a new folder; give one")
        if out.is_file() or (out.is_dir() and any(out.iterdir()) and not overwrite):
            raise ModelError(f"{out}: exists already; choose another name or overwrite it")
        accessible = Accessibility.of(source)
        chosen = choose_regions(accessible, genome, on_error)
        subset, rule = split_regions(chosen.regions, validation, test, width)
        if n_long:
            log.warning(
                "%d of %d motifs are longer than the windows of %d bp: their scores are 0",
                *(n_long, len(motifs), width),
            )
        building = out.with_name(f"{out.name}.building")
        with lock(building.with_name(f"{building.name}.lock")) as interrupted:
            if interrupted is None:
                raise ModelError(f"{out}: another process builds this data set; wait, or stop it")
            building.mkdir(exist_ok=True)
            scan_regions(
                building, chosen, genome, motifs,
                width=width, scores=scores, overwrite=overwrite, progress=progress,
            )  # fmt: skip
            found = np.load(building / SCORES, mmap_mode="r")
            mean, deviation = measure_scores(found, np.flatnonzero(subset == 0))
            save_arrays(
                building,
                {
                    "chrom": chosen.regions.chrom_codes,
                    "start": chosen.regions.start,
                    "end": chosen.regions.end,
                    "subset": subset,
                    "offsets": chosen.offsets,
                    "open_ids": chosen.ids,
                    "motif_mean": mean,
                    "motif_deviation": deviation,
                },
            )
            manifest = {
                "format": FORMAT,
                "source": accessible.name,
                "assembly": accessible.genome,
                "genome": genome.digest,
                "chromosomes": list(chosen.regions.chrom_names),
                "width": width,
                "scores": scores,
                "split": rule,
                "cell_types": chosen.cell_types,
                "motifs": ids,
                "motif_names": [motif.name for motif in motifs],
                "families": [motif.family or "unknown" for motif in motifs],
                "files": {f"{name}.npy": file_digest(building / f"{name}.npy") for name in _ARRAYS},
            }
            write_manifest(building / MANIFEST, manifest | {"digest": _digest(manifest)})
            with atomic_path(out, directory=True, overwrite=overwrite) as folder:
                folder.rmdir()
                building.replace(folder)
            (out / PROGRESS).unlink()
        data = cls(out)
        for name in get_args(Subset):
            if not data._n_samples(name):
                log.warning("%s: the %s subset has no sample of 10 regions", out, name)
        return data

    @property
    def n_regions(self) -> int:
        """Number of regions."""
        return len(self.start)

    def __repr__(self) -> str:
        return (
            f"GeneBertData({self.n_regions:,} regions, {len(self.cell_types)} cell types, "
            f"{len(self.motifs)} motifs, {self.width} bp, digest={self.digest[:12]})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return GeneBertData, (self.path,)

    def codes(self, ids: ArrayLike) -> NDArray[np.uint8]:
        """Return the DNA of regions, A C G T N = 0 1 2 3 4, uint8 (..., width) for ids (...)."""
        return np.asarray(self._codes[np.asarray(ids)])

    def motif_scores(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the standardized motif scores of regions.

        Each motif has mean 0 and standard deviation 1 over the regions of the training subset. A
        region without a site that is free of N has the score 0.

        Parameters
        ----------
        ids
            Ids of regions, of any shape (...).

        Returns
        -------
        NDArray
            float32 (..., motifs).
        """
        scores: NDArray[np.float32] = self._scores[np.asarray(ids)].astype(np.float32)
        scores -= self._mean
        scores *= self._scale
        scores[np.isneginf(scores)] = 0
        return scores

    def open_regions(self, cell_type: str) -> NDArray[np.int32]:
        """Return the ids of the regions that are open in a cell type, sorted, int32."""
        i = self._cell_types([cell_type])[0]
        return np.asarray(self._open_ids[self._offsets[i] : self._offsets[i + 1]])

    def samples(
        self,
        subset: Subset | None = None,
        cell_types: Sequence[str] | None = None,
        n_regions: int = 10,
    ) -> Samples:
        """Return samples: `n_regions` consecutive open regions of one cell type, by index.

        Consecutive means that no region between them is open in that cell type. A sample is
        on one chromosome and in one subset.

        Parameters
        ----------
        subset
            Subset of the regions; by default all three.
        cell_types
            Names of the cell types; by default all.
        n_regions
            Number of regions of a sample.

        Raises
        ------
        ModelError
            If a subset or cell type is unknown, or there is no sample.
        """
        if subset is not None and subset not in SUBSETS:
            raise ModelError(f"no subset {subset!r}; choose from {', '.join(SUBSETS)}")
        # Regions of one chromosome and subset are neighbors, so that a few bounds separate them.
        change = (np.diff(self.chrom) != 0) | (np.diff(self.subset) != 0)
        bounds = np.concatenate([[0], np.flatnonzero(change) + 1, [self.n_regions]])
        group_subset = self.subset[bounds[:-1]]
        used = group_subset >= 0 if subset is None else group_subset == SUBSETS.index(subset)
        chosen = range(len(self.cell_types)) if cell_types is None else self._cell_types(cell_types)
        first, size, cell = [], [], []
        for i in chosen:
            low, high = int(self._offsets[i]), int(self._offsets[i + 1])
            at = low + np.searchsorted(self._open_ids[low:high], bounds)
            first.append(at[:-1][used])
            size.append(np.diff(at)[used])
            cell.append(np.full(int(used.sum()), i))
        parts = [np.concatenate(part).astype(np.int64) for part in (first, size, cell)]
        return Samples(Runs(parts[0], parts[1], parts[2], self._open_ids), n_regions)

    def info(self) -> dict[str, Any]:
        """Return a summary: numbers of regions, cell types, motifs and samples, split, digest.

        The samples are those of 10 regions.
        """
        names = [*SUBSETS, "unused"]
        counts = [int((self.subset == i).sum()) for i in (0, 1, 2, -1)]
        n_open = np.diff(self._offsets)
        return {
            "path": str(self.path),
            **{name: self.manifest[name] for name in ("source", "assembly", "scores", "split")},
            "n_regions": self.n_regions,
            **{f"n_{name}": count for name, count in zip(names, counts, strict=True)},
            **{f"n_{name}_samples": self._n_samples(name) for name in get_args(Subset)},
            "n_cell_types": len(self.cell_types),
            "median_open_regions": float(np.median(n_open)),
            "n_motifs": len(self.motifs),
            "width": self.width,
            "bytes": sum(file.stat().st_size for file in self.path.iterdir()),
            "digest": self.digest,
        }

    def verify(self) -> None:
        """Read all files and compare them with the digests in the manifest.

        Raises
        ------
        ModelError
            If a file is missing or has changed.
        """
        for name, digest in self.manifest["files"].items():
            try:
                same = file_digest(self.path / name) == digest
            except OSError as error:
                raise ModelError(f"{self.path / name}: {error.strerror}; {_REBUILD}") from None
            if not same:
                raise ModelError(
                    f"{self.path / name}: the file has changed since it was written (its digest "
                    f"differs); {_REBUILD}"
                )
        if _digest(self.manifest) != self.digest:
            raise ModelError(f"{self.path / MANIFEST}: has changed; {_REBUILD}")

    def _load(self, name: str) -> NDArray[Any]:
        file = self.path / f"{name}.npy"
        try:
            return np.asarray(np.load(file, mmap_mode="r" if name in _MAPPED else None))
        except (OSError, ValueError) as error:
            raise ModelError(f"{file}: missing or damaged ({error}); {_REBUILD}") from None

    def _n_samples(self, subset: Subset) -> int:
        try:
            return len(self.samples(subset))
        except ModelError:
            return 0

    def _cell_types(self, names: Sequence[str]) -> list[int]:
        """Return the sorted indices of cell types."""
        for name in names:
            if name not in self.cell_types:
                raise ModelError(
                    f"{self.path}: no cell type {name!r}; it has {some(self.cell_types)}"
                )
        return sorted({self.cell_types.index(name) for name in names})


def _digest(manifest: dict[str, Any]) -> str:
    content = ContentDigest()
    content.add({key: value for key, value in manifest.items() if key not in ("source", "digest")})
    return content.hexdigest()
