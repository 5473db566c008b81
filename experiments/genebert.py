"""GeneBERT on real and simulated data: the tables of docs/results/genebert.md.

    genoglot genebert build ATLAS --genome GENOME.fa -o DATA [--tax-group fungi]
    python experiments/genebert.py build-simulated DATA [--world-size medium]
    python experiments/genebert.py retrieval DATA -o RESULTS.jsonl --steps 1000 --seed 0
    python experiments/genebert.py baselines DATA -o RESULTS.jsonl
    python experiments/genebert.py unseen DATA -o RESULTS.jsonl --steps 1000 --seed 0
    python experiments/genebert.py build-promoters TRAIN.csv DATA
    python experiments/genebert.py promoters DATA GUE/prom/prom_core_all -o RESULTS.jsonl --seed 0
    python experiments/genebert.py speed DATA -o RESULTS.jsonl
    python experiments/genebert.py table RESULTS.jsonl... [--promoters GUE/prom/prom_core_all]

`retrieval` trains each variant for the same number of steps: with the losses MGM (masked k-mers),
NGSP (next segment) and matching, each on or off. Of 1,000 samples of the test chromosomes,
which have as few regions in common as possible, each DNA is compared with all matrices. `unseen`
holds a fifth of all cell types out: those whose names begin with the same word, up to the first dot
(a factor, or a biosample), stay together. `promoters` pre-trains on the halves of the training
sequences, fine-tunes, and writes predictions of the test set; only `table` reads its labels. Each
run appends a line of JSON to RESULTS, and does not repeat what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

VARIANTS: dict[str, dict[str, float]] = {
    "untrained": {},
    "MGM": {"next_segment_weight": 0, "matching_weight": 0},
    "MGM + NGSP": {"matching_weight": 0},
    "MGM + matching": {"next_segment_weight": 0},
    "all three": {},
    "matching only": {"masked_weight": 0, "next_segment_weight": 0},
}

CNN = "CNN"
UNSEEN = "without them", "all"

NARROW = {
    "dim": 64, "heads": 1, "layers": 1, "feed_forward": 256, "joint_dim": 64,
    "region_dim": 64, "region_layers": (1,), "region_heads": (2,),
}  # fmt: skip

SIZES: dict[str, dict[str, Any]] = {
    "narrow": NARROW,
    "4-mers": NARROW | {"k": 4, "pooling": "mean"},
    "3-mers": NARROW | {"k": 3, "heads": 2, "layers": 2},
    "small": {},
    "bert-small": {"dim": 512, "heads": 8, "layers": 4, "feed_forward": 2048, "joint_dim": 256,
                   "region_dim": 256},
}  # fmt: skip
"""Changes of the preset small. The first three are for minutes on one core; 4-mers learns to match
in the fewest steps, 3-mers was the best on the development set of core promoters. bert-small is
that of Turc et al. 2019."""


def main() -> None:
    options = parse()
    if options.command == "table":
        from genebert_models.tables import write_tables

        print(write_tables(options.results, options.promoters))
        return
    if options.command in ("build-simulated", "build-promoters"):
        from genebert_models.data_sets import build_core_promoters, build_simulated

        if options.command == "build-simulated":
            print(build_simulated(options.data, options.world_size, options.seed, options.world))
        else:
            print(build_core_promoters(options.data, options.table))
        return
    runs = {"retrieval": retrieval, "baselines": baselines, "unseen": unseen,
            "promoters": promoters, "speed": speed}  # fmt: skip
    for found in runs[options.command](options):
        record(options, found)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    built = commands.add_parser("build-simulated")
    built.add_argument("data", type=Path)
    built.add_argument("--world-size", default="medium", choices=["small", "medium"])
    built.add_argument("--world", type=Path)
    built.add_argument("--seed", type=int, default=0)
    built = commands.add_parser("build-promoters")
    built.add_argument("table", type=Path)
    built.add_argument("data", type=Path)
    for name in ("retrieval", "baselines", "unseen", "promoters", "speed"):
        command = commands.add_parser(name)
        command.add_argument("data", type=Path)
        if name == "promoters":
            command.add_argument("folder", type=Path)
            command.add_argument("--epochs", type=int, default=4, help="of fine-tuning")
        command.add_argument("-o", "--out", type=Path, required=True)
        command.add_argument("--device", default="auto")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--steps", type=int, default=600)
        command.add_argument("--size", choices=list(SIZES), default="narrow")
        command.add_argument("--batch-size", type=int, default=32)
        command.add_argument("--match", choices=["samples", "regions"], default="regions")
        command.add_argument("--backbone", default="patches")
        command.add_argument("--image", choices=["resize", "tile"], default="tile")
        command.add_argument("--region-bases", type=int)
        command.add_argument("--learning-rate", type=float, default=2e-3)
        command.add_argument("--save", type=Path, help="folder of the last trained model")
        command.add_argument("--variants", nargs="+", choices=[*VARIANTS, CNN, *UNSEEN])
        command.add_argument("--features", nargs="+", default=["kmer 4", "kmer 6", "motif"])
    table = commands.add_parser("table")
    table.add_argument("results", type=Path, nargs="+")
    table.add_argument("--promoters", type=Path, help="folder of prom_core_all, to read the test")
    return parser.parse_args()


def record(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """Append a result with all that is needed to repeat it, and show it without long lists."""
    from genoglot.evaluation.provenance import code_version, hardware

    line = {"asked": asked_for(options), "commit": code_version(), "hardware": hardware(), **found}
    with options.out.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps({k: v for k, v in found.items() if not isinstance(v, list) or len(v) < 6}),
          flush=True)  # fmt: skip


def left(options: argparse.Namespace, variants: Iterable[str]) -> list[str]:
    """Return the variants that `RESULTS` does not hold yet, so that a run can be repeated."""
    asked = asked_for(options)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    found = [json.loads(line) for line in lines]
    done = {line["variant"] for line in found if line["asked"] == asked}
    return [name for name in options.variants or variants if name not in done]


def asked_for(options: argparse.Namespace) -> dict[str, Any]:
    """Return what decides the result of a run, in values of JSON."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name not in ("variants", "features", "save", "out")
    }  # fmt: skip


def new_model(options: argparse.Namespace, data: Any, variant: str, **settings: Any) -> Any:
    """Make a model of a variant; an untrained one has all losses."""
    from genoglot.models.dna.genebert import GeneBert

    size, weights = SIZES[options.size], VARIANTS[variant]
    if options.backbone != "patches":
        own = {"region_dim": 24, "region_layers": (1, 1), "region_heads": (2, 4),
               "region_image_size": 96}  # fmt: skip
        size = size | own | {"region_backbone": options.backbone, "region_image": options.image}
    if weights.get("matching_weight") == 0:
        size = {name: value for name, value in size.items() if not name.startswith("region_")}
    if options.region_bases is not None:
        settings = {"region_bases": options.region_bases} | settings
    return GeneBert.from_preset(
        "small", data,
        **{
            **size, **weights, "match": options.match, "seed": options.seed,
            "batch_size": options.batch_size,
            "max_steps": options.steps, "warm_up": max(options.steps // 10, 1),
            "checkpoint_every": options.steps, "learning_rate": options.learning_rate, **settings,
        },
    )  # fmt: skip


def trained(
    options: argparse.Namespace, data: Any, variant: str, cell_types: list[str] | None = None,
    **settings: Any,
) -> tuple[Any, dict[str, Any]]:  # fmt: skip
    """Train a variant, move it to the device, and say how."""
    from genebert_models.measure import n_parameters

    from genoglot.training.device import choose_device

    model = new_model(options, data, variant, **settings)
    begin = time.perf_counter()
    if variant != "untrained":
        model.fit(data, cell_types=cell_types, progress=False, device=options.device)
    seconds = time.perf_counter() - begin
    model.to(choose_device(options.device)).eval()
    if options.save:
        model.save_pretrained(options.save)
    about = {
        "data": data.path.name, "digest": data.digest[:12], "variant": variant,
        "seed": options.seed, "seconds": round(seconds, 1), "parameters": n_parameters(model),
        "encoder_parameters": n_parameters(model.encoder),
        "settings": model.settings.model_dump(),
    }  # fmt: skip
    return model, about


def retrieval(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each variant, trained for the same number of steps."""
    from genebert_models.measure import measure_model

    from genoglot.models.dna.genebert_data import GeneBertData

    data = GeneBertData.open(options.data)
    for variant in left(options, VARIANTS):
        model, about = trained(options, data, variant)
        yield {"experiment": "retrieval", **about, "measured": measure_model(model, data)}


def unseen(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train without a fifth of the cell types, and with all; retrieve in both.

    Region sets whose names begin with the same word are of one factor or biosample.
    """
    from genebert_models.measure import HeldOut, common_space, measure_model

    from genoglot.models.dna.genebert_data import GeneBertData

    data = GeneBertData.open(options.data)
    word = [Path(name).name.partition(".")[0] for name in data.cell_types]
    words = np.random.default_rng(0).permutation(sorted(set(word)))
    out = set(words[: max(len(words) // 5, 1)].tolist())
    held, seen = (
        [name for name, w in zip(data.cell_types, word, strict=True) if (w in out) == is_out]
        for is_out in (True, False)
    )
    for training in left(options, UNSEEN):
        model, about = trained(options, data, "all three", seen if training == UNSEEN[0] else None)
        found = {"new types, new regions": measure_model(model, data, held)}
        for tested, types, subset in (
            ("new types, training regions", held, "train"),
            ("training types, new regions", seen, "test"),
        ):
            drawn = HeldOut.draw(data, types, model.settings.n_regions, subset)  # type: ignore[arg-type]
            vectors = model.embed_samples(data, drawn.samples, drawn.rows)
            found[tested] = common_space(vectors, drawn)
        measured = [{"tested": name, **m} for name, all_of in found.items() for m in all_of]
        yield {**about, "experiment": "unseen", "variant": training, "held_out": held,
               "measured": measured}  # fmt: skip


def baselines(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Ridge regression from what is read of each region to its motif scores; cell types."""
    from genebert_models.measure import CHECKED, FITTED, HeldOut, classify, draw_rows, matrices
    from genebert_models.ridge import cosine, kmer_features, motif_features, predict_matrices

    from genoglot.models.dna.genebert_data import GeneBertData

    data = GeneBertData.open(options.data)
    model = new_model(options, data, "untrained")
    held = HeldOut.draw(data, None, model.settings.n_regions)
    truth = matrices(data, held.samples, held.rows)
    names = [f"{name} + ridge" for name in options.features]
    for variant in left(options, names):
        name = variant.removesuffix(" + ridge")
        kind, _, k = name.partition(" ")
        features = kmer_features(int(k)) if kind == "kmer" else motif_features(data.motifs)
        begin = time.perf_counter()
        batches = model.batches(data, held.samples)
        predicted = predict_matrices(data, batches, features, held.ids)
        measured = [held.retrieval(cosine(predicted, truth), by="ridge")]
        # 4,096 features of 4,000 samples would fit noise.
        if name != "kmer 6" and len(data.cell_types) > 1:
            parts = []
            for subset, n in (("train", FITTED), ("validation", CHECKED), ("test", 0)):
                samples = data.samples(subset, None, model.settings.n_regions)  # type: ignore[arg-type]
                rows = held.rows if subset == "test" else draw_rows(samples, n, 0)
                codes = batches.codes(samples.region_ids(rows))
                x = features(codes.reshape(-1, codes.shape[-1]))
                parts.append((x.reshape(*codes.shape[:2], -1).mean(1), samples.cell_type(rows)))
            (x, y), (x_validation, y_validation), (x_test, _) = parts
            measured.append(classify(x, y, x_validation, y_validation, x_test, held, by=name))
        yield {
            "experiment": "retrieval", "data": data.path.name, "digest": data.digest[:12],
            "variant": variant, "seed": 0, "seconds": time.perf_counter() - begin,
            "measured": measured,
        }  # fmt: skip


def promoters(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Fine-tune on core promoters after each pre-training, and from scratch; and a plain CNN."""
    from genebert_models.promoters import Promoters, count, fine_tune, plain_cnn

    from genoglot.models.dna.genebert_data import GeneBertData

    data, task = GeneBertData.open(options.data), Promoters.read(options.folder)
    how = {"seed": options.seed, "epochs": options.epochs, "batch_size": options.batch_size,
           "device": options.device}  # fmt: skip
    read = {"n_regions": 2, "region_bases": data.width, "max_length": 128}
    for variant in left(options, ["untrained", "MGM", "MGM + NGSP", "all three", CNN]):
        begin = time.perf_counter()
        if variant == CNN:
            parameters = count(new_model(options, data, "MGM", **read).encoder)
            encoder, about = plain_cnn(2 * data.width, parameters, options.seed), {}
        else:
            model, about = trained(options, data, variant, **read)
            encoder = model.encoder
        found = fine_tune(encoder, task, **how)
        seconds = round(time.perf_counter() - begin, 1)
        yield {"experiment": "promoters", "data": "core promoters", "seed": options.seed, **about,
               "variant": variant, "seconds": seconds, **found}  # fmt: skip


def speed(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Time of a training step with all three losses."""
    from genebert_models.measure import n_parameters
    from genebert_models.speed import measure_speed

    from genoglot.models.dna.genebert_data import GeneBertData
    from genoglot.training.device import choose_device

    data = GeneBertData.open(options.data)
    model = new_model(options, data, "all three")
    device = choose_device(options.device).type
    yield {
        "experiment": "speed", "data": data.path.name, "size": options.size,
        "backbone": options.backbone, "parameters": n_parameters(model),
        "encoder_parameters": n_parameters(model.encoder), "region_encoder_parameters":
        n_parameters(model.region_encoder), **measure_speed(model, data, device=device),
    }  # fmt: skip


if __name__ == "__main__":
    main()
