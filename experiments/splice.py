"""Splice sites of worm, fly, Arabidopsis, yeast and human: the table of docs/results/genebert.md.

    python experiments/splice.py yeast SGD_features.tab.gz yeast.gtf
    python experiments/splice.py build OUT --genes worm=worm.gff3.gz --genome worm=worm.fa.gz ...
    python experiments/splice.py train OUT --data worm [--contexts 80 400 2000] [--encoder FOLDER]
    python experiments/splice.py table OUT

`yeast` writes the coding exons of SGD's table of features as GTF. `build` writes OUT/NAME.npz of
each annotation, with a context of 2,000 bp; `train` takes the middle of it. Models are trained on
the blocks of the training genes that hold a site, the best epoch is chosen by the loss on the
validation genes, and OUT/predictions holds the probabilities of the test blocks. With `--fold
human`, each chromosome of `human` is left out in turn instead, so that every transcript is tested
by a model that has not seen its chromosome. `--peer FILE` predicts with a trained model of
OpenSpliceAI (Chao et al. 2025), which learned from most of the human genome. `--test human` with
`--from NAMES` trains on several species and tests on all of another one. `train` needs torch and
numpy only. Intervals of the tables draw genes; values and bounds are means over the seeds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from genoglot.evaluation import MetricValue

BLOCK, WIDEST = 5000, 2000
OF_CLASSES = ("AUROC", "precision (macro)", "recall (macro)", "MCC")
SUBSETS = ("train", "validation", "test")
MAJORITY, MATRICES, CNN = "majority", "position weight matrices", "dilated CNN"


class Blocks(NamedTuple):
    """Blocks of transcripts: codes (n, block + context), labels (n, block), names (n,) each."""

    codes: NDArray[np.uint8]
    labels: NDArray[np.int8]
    subset: NDArray[np.str_]
    gene: NDArray[np.str_]
    chrom: NDArray[np.str_]

    def take(self, rows: NDArray[Any]) -> Blocks:
        """Take some of the blocks."""
        return Blocks(*(column[rows] for column in self))

    def cropped(self, context: int) -> Blocks:
        """The same blocks with less context."""
        cut = (self.codes.shape[1] - self.labels.shape[1] - context) // 2
        return self._replace(codes=self.codes[:, cut : self.codes.shape[1] - cut])


def yeast(options: argparse.Namespace) -> None:
    """Write the coding exons of SGD's table of features as GTF."""
    numerals = [
        "I",
        "II",
        "III",
        "IV",
        "V",
        "VI",
        "VII",
        "VIII",
        "IX",
        "X",
        "XI",
        "XII",
        "XIII",
        "XIV",
        "XV",
        "XVI",
    ]
    with gzip.open(options.table, "rt") as lines, options.gtf.open("w") as out:
        for fields in (line.rstrip("\n").split("\t") for line in lines):
            kind, gene, chrom, *span, strand = fields[1], fields[6], *fields[8:12]
            if kind == "CDS" and chrom.isdigit() and int(chrom) <= len(numerals):
                start, end = sorted(map(int, span))
                about = f'gene_id "{gene}"; transcript_id "{gene}";'
                row = [numerals[int(chrom) - 1], "SGD", "CDS", start, end]
                print(*row, ".", "+" if strand == "W" else "-", ".", about, sep="\t", file=out)


def build(options: argparse.Namespace) -> None:
    """Write the blocks of each annotation."""
    import tempfile

    from genoglot.sequence import Genome
    from genoglot.tasks import TASKS

    genomes: dict[str, list[str]] = {}
    for name, path in (pair.split("=", 1) for pair in options.genome):
        genomes.setdefault(name, []).append(path)
    aliases = dict(pair.split("=", 1) for pair in options.alias)
    splits = dict(pair.split("=", 1) for pair in options.split)
    origins = {
        record: (chrom, int(start))
        for record, chrom, start in (text.rsplit(":", 2) for text in options.origin)
    }
    for name, path in (pair.split("=", 1) for pair in options.genes):
        positions = origins if name == options.windows else None
        genome = Genome.open(genomes[name], alias=aliases.get(name), record_positions=positions)
        with tempfile.TemporaryDirectory() as folder:
            (data,) = TASKS["SpliceSites"].build(
                [path], Path(folder) / "task", genome=genome, context=WIDEST, block=BLOCK
            )
            split = splits.get(name, data.default_split)
            subset = np.full(len(data), "none", "<U10")
            for one in SUBSETS:
                subset[data.rows(split, one)] = one
            about = {"split": data.split_rules[split], "notes": data.notes}
            examples = data.examples
            options.out.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(
                options.out / f"{name}.npz", codes=np.asarray(data.codes),
                labels=np.asarray(data.labels), subset=subset,
                gene=examples["group"].to_numpy().astype(str),
                chrom=examples["chrom"].to_numpy().astype(str), about=json.dumps(about),
            )  # fmt: skip
        print(name, json.dumps(about))


def read(out: Path, name: str) -> Blocks:
    """Read the blocks of an annotation."""
    with np.load(out / f"{name}.npz") as arrays:
        return Blocks(*(arrays[field] for field in Blocks._fields))


def folds(options: argparse.Namespace, name: str) -> Iterator[tuple[Blocks, Blocks, Blocks]]:
    """Go through (train, validation, test) of a dataset."""
    blocks = read(options.out, name)
    if name not in options.fold:
        yield tuple(blocks.take(blocks.subset == one) for one in SUBSETS)  # type: ignore[misc]
        return
    rng = np.random.default_rng(0)
    for chrom in np.unique(blocks.chrom):
        out = blocks.chrom == chrom
        genes = np.unique(blocks.gene[~out])
        chosen = rng.choice(genes, max(len(genes) // 10, 1), replace=False)
        check = ~out & np.isin(blocks.gene, chosen)
        yield blocks.take(~out & ~check), blocks.take(check), blocks.take(out)


def from_others(options: argparse.Namespace) -> Iterator[tuple[Blocks, Blocks, Blocks]]:
    """The training and validation genes of several species, and all blocks of another one."""
    parts = [read(options.out, name) for name in options.sources]
    train, validation = (
        [part.take(part.subset == subset) for part in parts] for subset in SUBSETS[:2]
    )
    joined = (Blocks(*map(np.concatenate, zip(*some, strict=True))) for some in (train, validation))
    yield (*joined, read(options.out, options.test))  # type: ignore[misc]


def train(options: argparse.Namespace) -> None:
    """Train the models and write their predictions."""
    jobs = {name: folds(options, name) for name in options.data}
    if options.sources:
        jobs = {f"{options.test} from {'+'.join(options.sources)}": from_others(options)}
    for name, parts in jobs.items():
        found: dict[str, list[NDArray[np.float32]]] = {}
        tests: list[Blocks] = []
        for learned, check, test in parts:
            tests.append(test)
            for model, predicted in predictions(options, learned, check, test):
                found.setdefault(model, []).append(predicted)
        labels, gene = (
            np.concatenate([getattr(test, field) for test in tests]) for field in ("labels", "gene")
        )
        (options.out / "predictions").mkdir(exist_ok=True)
        for model, predicted_parts in found.items():
            np.savez_compressed(
                options.out / "predictions" / f"{name}, {model}.npz", labels=labels, gene=gene,
                predicted=np.concatenate(predicted_parts),
            )  # fmt: skip


def predictions(
    options: argparse.Namespace, learned: Blocks, check: Blocks, test: Blocks
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Fit each model and predict the test blocks: float32 (n, block, 3)."""
    learned = learned.take((learned.labels > 0).any(axis=1))
    if "baselines" in options.models:
        from genoglot.bench.baselines import BASELINES

        for shown, baseline in ((MAJORITY, "constant"), (MATRICES, "splice-matrices")):
            model = BASELINES[baseline]("nucleotide-classes", 3)
            model.fit(learned.codes, learned.labels, (check.codes, check.labels))
            yield shown, model.predict(test.codes)
    for path in options.peer:
        yield f"OpenSpliceAI, {path.stem.split('_')[1]}", openspliceai(path, test)
    for context in options.contexts if "cnn" in options.models else ():
        for seed in options.seeds:
            from genoglot.models.dna.dilated_cnn import DilatedCnn, context_of_network

            encoder = DilatedCnn(context=context_of_network(context), seed=seed)
            name = f"{CNN}, {context}nt, seed {seed}"
            yield name, fitted(options, encoder, context, seed, learned, check, test)
    for path in options.encoder:
        from genoglot.models.dna.sequence_encoder import SequenceEncoder

        for context in options.contexts:
            for frozen in (True, False):
                encoder_of_bases = SequenceEncoder.from_pretrained(path)
                name = f"{path.name}{', frozen' if frozen else ''}, {context}nt, seed 0"
                yield (
                    name,
                    fitted(
                        options, encoder_of_bases, context, 0, learned, check, test, frozen=frozen
                    ),
                )


def fitted(
    options: argparse.Namespace, encoder: Any, context: int, seed: int,
    learned: Blocks, check: Blocks, test: Blocks, *, frozen: bool = False,
) -> NDArray[np.float32]:  # fmt: skip
    """Train an encoder with a head on blocks that it can read, and predict the test blocks."""
    from genoglot.models.dna.nucleotide_model import NucleotideModel

    started = time.perf_counter()
    block = min(options.block, encoder.max_bases - context)
    parts = [short(part.cropped(context), block) for part in (learned, check, test)]
    parts[0] = parts[0].take((parts[0].labels > 0).any(axis=1))
    model = NucleotideModel(
        encoder, seed=seed, epochs=options.epochs, frozen=frozen,
        batch_size=max(options.batch // block, 1), learning_rate=options.learning_rate,
    )  # fmt: skip
    model.fit(
        parts[0].codes, parts[0].labels, validation=(parts[1].codes, parts[1].labels),
        choose_by="loss", device=options.device,
        log_folder=options.out / "logs" / f"{type(encoder).__name__}-{context}-{time.time():.0f}",
    )  # fmt: skip
    model.to("cuda" if options.device == "cuda" else "cpu")
    found = model.predict(parts[2].codes, batch_size=16)
    n = len(test.labels)
    print(f"{context}nt: {len(parts[0].codes)} blocks of {block}, "
          f"{time.perf_counter() - started:.0f} s", flush=True)  # fmt: skip
    return found.reshape(n, -1, 3)[:, :BLOCK]


def short(blocks: Blocks, block: int) -> Blocks:
    """Cut blocks into shorter ones, with as much context."""
    n, width = blocks.labels.shape
    if block >= width:
        return blocks
    context = blocks.codes.shape[1] - width
    missing = -width % block
    labels = np.pad(blocks.labels, ((0, 0), (0, missing)), constant_values=-1).reshape(-1, block)
    codes = np.pad(blocks.codes, ((0, 0), (0, missing)), constant_values=4)
    windows = np.lib.stride_tricks.sliding_window_view(codes, block + context, axis=1)[:, ::block]
    each = labels.shape[0] // n
    names = (np.repeat(column, each) for column in blocks[2:])
    return Blocks(windows.reshape(-1, block + context), labels, *names)


def openspliceai(path: Path, test: Blocks) -> NDArray[np.float32]:
    """Predict with the stored weights of OpenSpliceAI, which have the shape of SpliceAI."""
    import torch
    from torch.nn import functional as F

    state = torch.load(path, map_location="cpu", weights_only=True)

    def convolve(x: Any, name: str, dilation: int = 1) -> Any:
        weight = state[f"{name}.weight"]
        return F.conv1d(x, weight, state[f"{name}.bias"], padding="same", dilation=dilation)

    def normalize(x: Any, name: str) -> Any:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.leaky_relu(F.batch_norm(x, *(state[f"{name}.{one}"] for one in names)), 0.1)

    found = []
    eye = torch.eye(5)[:, :4]
    context = int(path.stem.split("_")[1].removesuffix("nt"))
    blocks = test.cropped(context)
    with torch.inference_mode():
        for row in blocks.codes:
            x = convolve(eye[torch.from_numpy(row.astype(np.int64))].T[None], "initial_conv")
            skip = convolve(x, "initial_skip.conv")
            for i in range(sum(name.endswith((".conv1.bias", ".conv.bias")) for name in state) - 1):
                unit = f"residual_units.{i}"
                if f"{unit}.conv.weight" in state:
                    skip = skip + convolve(x, f"{unit}.conv")
                    continue
                dilation = (1, 4, 10, 25)[i // 5]  # four units, then their connection to the end
                y = convolve(normalize(x, f"{unit}.batchnorm1"), f"{unit}.conv1", dilation)
                x = x + convolve(normalize(y, f"{unit}.batchnorm2"), f"{unit}.conv2", dilation)
            cut = context // 2
            logits = convolve(skip[:, :, cut : skip.shape[2] - cut], "final_conv")
            found.append(logits[0].softmax(0).T.numpy())
    return np.stack(found)


def table(options: argparse.Namespace) -> None:
    """Print the tables of sites and of classes, and write them beside the predictions."""
    from genoglot.evaluation import TextTable, measure_nucleotides

    runs: dict[tuple[str, ...], list[list[MetricValue]]] = {}
    for path in sorted((options.out / "predictions").glob("*.npz")):
        data, _, model = path.stem.partition(", ")
        with np.load(path) as arrays:
            labels, gene, predicted = (arrays[name] for name in ("labels", "gene", "predicted"))
        predicted = predicted.astype(np.float32)
        draw = {"groups": gene, "draws": options.draws}
        found = []
        for number in (1, 2):
            of_type = np.where(labels < 0, -1, (labels == number).astype(np.int8))
            pair = predicted[:, :, [0, number]]
            found += measure_nucleotides(of_type, pair, ("top-k", "AUPRC"), **draw)
        found += measure_nucleotides(labels, predicted, OF_CLASSES, **draw)
        sites = [str(int((labels == number).sum())) for number in (1, 2)]
        runs.setdefault((data, model.partition(", seed ")[0], *sites), []).append(found)
    header = ["data", "model", "seeds"]
    halves = (
        ["acceptors", "top-k", "AUPRC", "donors", "top-k", "AUPRC"],
        list(OF_CLASSES),
    )
    rows: tuple[list[list[str]], ...] = ([], [])
    for (data, model, *sites), seeds in runs.items():
        cells = [mean_over(values) for values in zip(*seeds, strict=True)]
        first = [data, model, str(len(seeds))]
        rows[0].append([*first, sites[0], *cells[:2], sites[1], *cells[2:4]])
        rows[1].append([*first, *cells[4:]])
    text = "\n".join(
        TextTable([*header, *half], some).to_markdown()
        for half, some in zip(halves, rows, strict=True)
    )
    (options.out / "table.md").write_text(text)
    print(text)


def mean_over(seeds: Sequence[MetricValue]) -> str:
    """Show the mean of the values, and of the bounds, of a metric with several seeds."""
    from genoglot.evaluation import format_interval

    return format_interval(
        *(
            float(np.mean([getattr(one, name) for one in seeds]))
            for name in ("value", "low", "high")
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    zero = commands.add_parser("yeast")
    zero.set_defaults(run=yeast)
    zero.add_argument("table", type=Path, metavar="TABLE")
    zero.add_argument("gtf", type=Path, metavar="GTF")
    one = commands.add_parser("build")
    one.set_defaults(run=build)
    one.add_argument("--genes", nargs="+", required=True, metavar="NAME=FILE")
    one.add_argument("--genome", nargs="+", required=True, metavar="NAME=FILE")
    one.add_argument("--alias", nargs="+", default=[], metavar="NAME=ucsc")
    one.add_argument("--split", nargs="+", default=[], metavar="NAME=SPLIT")
    one.add_argument("--windows", metavar="NAME", help="data whose genome is windows")
    one.add_argument("--origin", nargs="+", default=[], metavar="RECORD:CHROM:START")
    two = commands.add_parser("train")
    two.set_defaults(run=train)
    two.add_argument("--data", nargs="+", default=[], help="names that were built")
    two.add_argument("--fold", nargs="+", default=[], help="of these, leave each chromosome out")
    two.add_argument("--from", dest="sources", nargs="+", default=[], help="species to learn from")
    two.add_argument("--test", help="species to test on, with --from")
    two.add_argument(
        "--models", nargs="*", choices=["baselines", "cnn"], default=["baselines", "cnn"]
    )
    two.add_argument("--peer", nargs="+", type=Path, default=[], help="model_CONTEXTnt_*.pt")
    two.add_argument("--encoder", nargs="+", type=Path, default=[], help="folders of encoders")
    two.add_argument("--contexts", nargs="+", type=int, default=[80, 400])
    two.add_argument("--seeds", nargs="+", type=int, default=[0])
    two.add_argument("--epochs", type=int, default=20)
    two.add_argument("--block", type=int, default=1000, help="length of blocks in training")
    two.add_argument("--batch", type=int, default=10_000, help="nucleotides in a step")
    two.add_argument("--learning-rate", type=float, default=2e-3)
    two.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    three = commands.add_parser("table")
    three.set_defaults(run=table)
    three.add_argument("--draws", type=int, default=200)
    for command in (one, two, three):
        command.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
