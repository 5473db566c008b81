"""GeneBERT: its losses by brute force, what it reads, that it learns, resumes and is refused."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genoglot.errors import ModelError
from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_batches import GeneBertBatches
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.models.dna.kmer_bert import SIZES, KmerBert
from genoglot.models.dna.masking import IGNORED, Masker
from genoglot.models.dna.sequence_encoder import SequenceEncoder
from genoglot.sequence import KmerTokenizer
from genoglot.training.checkpoints import SafeCheckpointIO
from genoglot.training.examples import Draw
from genoglot.training.losses import info_nce

CPU = "cpu"
WEIGHTS = ("masked_weight", "next_segment_weight", "matching_weight")


@pytest.fixture(scope="module")
def data(toy_genebert: Path) -> GeneBertData:
    return GeneBertData.open(toy_genebert)


def tiny(data: GeneBertData, **settings: Any) -> GeneBert:
    return GeneBert.from_preset("tiny", data, **{"k": 3, **settings})


def batches(data: GeneBertData, bases: int = 50, k: int = 3, seed: int = 0) -> GeneBertBatches:
    return GeneBertBatches(data, data.samples("train"), KmerTokenizer(k), bases=bases, seed=seed)


def draw(rows: Any, epoch: int = 0, step: int = 0) -> Draw:
    return Draw(np.asarray(rows, np.int64), epoch, step)


def curve(folder: Path) -> np.ndarray:
    with (folder / "loss.csv").open() as file:
        return np.array([[float(value) for value in row.values()] for row in csv.DictReader(file)])


# What it reads


def test_no_kmer_that_can_be_seen_contains_a_base_of_a_predicted_one(data: GeneBertData) -> None:
    """The regions of the data are so close that windows of 50 bp overlap."""
    k, bases = 3, 50
    reader = batches(data, bases, k)
    masker = Masker(reader.tokenizer, rate=0.2)
    rows = np.arange(0, len(reader.samples), 7)
    batch = reader.draw(draw(rows), masker, segments=True, matrix=True)
    ids = torch.cat([batch["inputs"], batch["second"]], 1).numpy()
    targets = batch["targets"].numpy()
    assert abs((ids == reader.tokenizer.mask_token_id).mean() - 0.2) < 0.01
    unknown, masked = reader.tokenizer.unk_token_id, reader.tokenizer.mask_token_id
    regions = regions_read(data, batch)
    center = (data.start + data.end) // 2
    shown, overlaps = 0, 0
    for row in range(len(rows)):
        at = center[regions[row]][:, None] - data.width // 2 + (data.width - bases) // 2
        kmer_start = (at + np.arange(bases - k + 1)).ravel()
        visible = (ids[row] != masked) & (ids[row] != unknown)
        predicted = targets[row] != IGNORED
        assert (ids[row][predicted] == masked).all()
        seen = {base for s in kmer_start[visible] for base in range(s, s + k)}
        asked = {base for s in kmer_start[predicted] for base in range(s, s + k)}
        assert not seen & asked
        shown += len(asked)
        overlaps += int((np.diff(np.sort(at.ravel())) < bases).sum())
    assert shown > 1000 and overlaps > 100  # there was something to find


def regions_read(data: GeneBertData, batch: Any) -> np.ndarray:
    """Return the ids of the regions of a batch; each one has scores that no other region has."""
    every = np.arange(data.n_regions)
    of_scores = {row.tobytes(): i for i, row in enumerate(data.motif_scores(every))}
    assert len(of_scores) == data.n_regions
    return np.array(
        [[of_scores[row.tobytes()] for row in rows] for rows in batch["matrix"].numpy()]
    )


def test_segments_matrix_and_dna_are_those_of_the_regions(data: GeneBertData) -> None:
    reader = batches(data, bases=20)
    rows = np.arange(len(reader.samples))
    batch = reader.draw(draw(rows), None, segments=True, matrix=True)
    follows = batch["follows"].numpy()
    assert abs(follows.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(rows))
    regions = regions_read(data, batch)
    true = reader.samples.region_ids(rows)
    same = (regions == true).all(1)
    assert (same == (follows == 1)).all()
    open_in = [set(data.open_regions(name).tolist()) for name in data.cell_types]
    cells = reader.samples.cell_type(rows)
    for row, cell in zip(regions, cells, strict=True):
        assert set(row.tolist()) <= open_in[cell]
        assert (data.subset[row] == 0).all()  # of the training subset
    expected = data.codes(regions)[..., 20:40]
    center = np.sort(((data.start + data.end) // 2)[regions], axis=1)
    apart = int((np.diff(center, axis=1).min(axis=1) >= 20).argmax())  # no windows overlap
    decoded = [
        reader.tokenizer.decode(ids[i * 18 : (i + 1) * 18])
        for ids in (batch["inputs"][apart].numpy(), batch["second"][apart].numpy())
        for i in range(5)
    ]
    letters = ["".join("ACGTN"[c] for c in region) for region in expected[apart]]
    assert decoded == letters  # k-mers span no two regions


def test_what_is_drawn_depends_on_seed_epoch_and_sample_alone(data: GeneBertData) -> None:
    reader, masker = batches(data), Masker(KmerTokenizer(3), rate=0.15)

    def made(rows: Any, epoch: int = 0, step: int = 0, seed: int = 0) -> dict[str, torch.Tensor]:
        chosen = draw(rows, epoch, step)
        return dict(batches(data, seed=seed).draw(chosen, masker, segments=True, matrix=True))

    one, again = made([5, 9, 30]), made([30, 5], step=8)
    for name in one:
        assert torch.equal(one[name][[2, 0]], again[name])
    for other in (made([5, 9, 30], epoch=1), made([5, 9, 30], seed=1)):
        assert not torch.equal(one["targets"], other["targets"])
    assert len(reader.samples) > 100


def test_more_kmers_are_masked_in_the_last_sixth(data: GeneBertData) -> None:
    rates = {"mask_rate": 0.1, "last_mask_rate": 0.6}
    model = tiny(data, max_steps=18, batch_size=16, checkpoint_every=100, **rates)
    seen: list[float] = []

    def note(_: Any, inputs: Any) -> None:
        ids = torch.cat([inputs[0]["inputs"], inputs[0]["second"]], 1)
        seen.append(float((ids == model.encoder.tokenizer.mask_token_id).float().mean()))

    model.encoder.register_forward_pre_hook(note)
    model.fit(data, device=CPU, progress=False)
    assert len(seen) == 18
    assert max(seen[:15]) < 0.2 and min(seen[15:]) > 0.4


# Losses


def test_matching_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    one, other = (x / np.linalg.norm(x, axis=1)[:, None] for x in rng.normal(size=(2, 7, 5)))
    total = 0.0
    for i in range(7):
        e = np.exp(3.0 * one @ other.T)
        total -= np.log(e[i, i] / e[i].sum()) / 2 + np.log(e[i, i] / e[:, i].sum()) / 2
    loss = info_nce(*(torch.from_numpy(x) for x in (one, other)), torch.tensor([3.0]))
    assert loss.n == 7
    assert float(loss.mean) == pytest.approx(total / 7, rel=1e-5)


def test_matching_at_chance_is_the_logarithm_of_the_batch(data: GeneBertData) -> None:
    vectors = torch.nn.functional.normalize(torch.randn(2, 12, 5), dim=2)
    assert float(info_nce(*vectors, torch.tensor(0.0)).mean) == pytest.approx(np.log(12))
    model = tiny(data, temperature=100.0).eval()
    batch = model.batches(data, data.samples("train")).draw(
        draw(range(0, 96, 3)), None, segments=False, matrix=True
    )
    matching = info_nce(
        model.dna_vectors(model.encoder(batch)),
        model.region_vectors(batch["matrix"]),
        model.log_scale.exp(),
    )
    assert float(matching.mean.detach()) == pytest.approx(np.log(32), rel=0.01)


OF_A_PROCESS = """
import sys
import torch
from genoglot.training.losses import info_nce
path, rank = sys.argv[1], int(sys.argv[2])
torch.distributed.init_process_group("gloo", f"file://{path}.meeting", rank=rank, world_size=2)
both = torch.load(f"{path}.pt", weights_only=True)
one, other = (rows[rank::2].clone().requires_grad_() for rows in both)
scale = torch.tensor([3.0], requires_grad=True)
loss = info_nce(one, other, scale)
(loss.mean / 2).backward()  # DDP takes the mean of the gradients of two processes
torch.save([loss.mean.detach(), one.grad, other.grad, scale.grad], f"{path}.{rank}.pt")
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def test_matching_of_two_processes_is_that_of_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    both = torch.nn.functional.normalize(torch.randn(2, 6, 4), dim=2)
    torch.save(both, tmp_path / "rows.pt")
    command = [sys.executable, "-c", OF_A_PROCESS, tmp_path / "rows"]
    processes = [subprocess.Popen([*command, str(rank)]) for rank in (0, 1)]
    assert [process.wait() for process in processes] == [0, 0]
    one, other = (rows.clone().requires_grad_() for rows in both)
    scale = torch.tensor([3.0], requires_grad=True)
    loss = info_nce(one, other, scale).mean
    loss.backward()
    parts = [torch.load(tmp_path / f"rows.{rank}.pt", weights_only=True) for rank in (0, 1)]
    means, one_grads, other_grads, scale_grads = zip(*parts, strict=True)
    torch.testing.assert_close((means[0] + means[1]) / 2, loss.detach())
    torch.testing.assert_close(scale_grads[0] + scale_grads[1], scale.grad)
    for grads, whole in ((one_grads, one.grad), (other_grads, other.grad)):
        assert whole is not None
        torch.testing.assert_close(torch.stack(grads, 1).flatten(0, 1), whole)


def test_the_temperature_is_learned_up_to_a_limit(data: GeneBertData) -> None:
    model = tiny(data, max_steps=3, learning_rate=1e-2, warm_up=0)
    before = float(model.log_scale.detach())
    assert np.exp(before) == pytest.approx(1 / 0.07)
    model.fit(data, device=CPU, progress=False)
    assert 1e-3 < abs(float(model.log_scale.detach()) - before) < 0.1
    # A lower temperature than 1 / 100 counts as 1 / 100, from which it can rise again.
    cold, limit = (tiny(data, temperature=t, dropout=0.0).eval() for t in (1e-4, 1e-2))
    batch = cold.batches(data, data.samples("train")).draw(
        draw(range(8)), Masker(cold.encoder.tokenizer, rate=0.15), segments=True, matrix=True
    )
    losses = [model(batch)["matching"].mean for model in (cold, limit)]
    assert float(losses[0].detach()) == pytest.approx(float(losses[1].detach()), rel=1e-4)
    losses[0].backward()
    assert cold.log_scale.grad is not None and float(cold.log_scale.grad) > 0  # all are wrong yet


@pytest.mark.parametrize("match", ["samples", "regions"])
def test_the_three_losses_by_hand(match: str, data: GeneBertData) -> None:
    model = tiny(data, masked_weight=2.0, temperature=0.2, match=match).eval()
    reader = batches(data, bases=20)
    masker = Masker(reader.tokenizer, rate=0.15)
    batch = reader.draw(draw(range(6)), masker, segments=True, matrix=True)
    losses = model(batch)
    assert {name: loss.weight for name, loss in losses.items()} == {
        "masked": 2.0, "next_segment": 1.0, "matching": 0.5,
    }  # fmt: skip
    encoding = model.encoder(batch)
    assert model.masked_head is not None and model.next_segment is not None
    scores = model.masked_head.transform(encoding.tokens) @ model.encoder.token_table.T
    chances = (scores + model.masked_head.bias).softmax(-1)
    targets = batch["targets"]
    expected = [
        -float(chances[i, j, targets[i, j]].detach().log())
        for i, j in (targets != IGNORED).nonzero().tolist()
    ]
    assert float(losses["masked"].n) == len(expected)
    losses = {name: loss._replace(mean=loss.mean.detach()) for name, loss in losses.items()}
    assert float(losses["masked"].mean) == pytest.approx(np.mean(expected), rel=1e-4)
    answer = model.next_segment(encoding.sequence).softmax(1).detach()
    wanted = -answer[torch.arange(6), batch["follows"]].log().mean()
    assert float(losses["next_segment"].mean) == pytest.approx(float(wanted), rel=1e-4)
    assert model.region_encoder is not None
    if match == "samples":
        parts = [model.project_dna(encoding.sequence)]
        others = [model.project_region(model.region_encoder(batch["matrix"]))]
    else:  # 18 k-mers of each of 10 regions
        of_regions = model.region_encoder.embed_regions(batch["matrix"])
        parts = [
            model.project_dna(encoding.tokens[:, 18 * i : 18 * (i + 1)].mean(1)) for i in range(10)
        ]
        others = [model.project_region(of_regions[:, i]) for i in range(10)]
    dna, regions = (torch.nn.functional.normalize(torch.cat(x, 1), dim=1) for x in (parts, others))
    similar = (dna @ regions.T / 0.2).exp().detach()
    own = similar.diagonal()
    wanted = -(own / similar.sum(1)).log().mean() / 2 - (own / similar.sum(0)).log().mean() / 2
    assert float(losses["matching"].mean) == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize("weights", [(1, 1, 0.5), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)])
def test_a_loss_of_weight_0_is_not_computed_and_all_others_reach_their_parameters(
    weights: tuple[float, ...], data: GeneBertData, tmp_path: Path
) -> None:
    model = tiny(data, max_steps=2, **dict(zip(WEIGHTS, weights, strict=True)))
    names = [
        name
        for name, weight in zip(("masked", "next_segment", "matching"), weights, strict=True)
        if weight
    ]
    reader = batches(data, bases=20)
    masker = Masker(reader.tokenizer, rate=0.15) if weights[0] else None
    batch = reader.draw(draw(range(8)), masker, segments=weights[1] > 0, matrix=weights[2] > 0)
    losses = model(batch)
    assert list(losses) == names
    assert (model.region_encoder is None) == (weights[2] == 0)
    torch.stack([loss.mean for loss in losses.values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    model.fit(data, log_folder=tmp_path / "log", device=CPU, progress=False)
    header = (tmp_path / "log/loss.csv").read_text().splitlines()[0].split(",")
    assert header == ["step", "loss", *(names if len(names) > 1 else []), "learning_rate"]
    model.save_pretrained(tmp_path / "model")
    vectors = GeneBert.from_pretrained(tmp_path / "model").embed_samples(
        data, data.samples("validation"), np.arange(3)
    )
    assert (vectors.dna is None) == (vectors.regions is None) == (weights[2] == 0)


def test_regions_are_matched_in_order_and_not_with_an_image(data: GeneBertData) -> None:
    model = tiny(data, max_steps=100).fit(data, device=CPU, progress=False)
    samples = data.samples("train")
    batch = model.batches(data, samples).read(np.arange(0, len(samples), 7))
    dna = model.eval().dna_vectors(model.encoder(batch))
    similar, turned = (
        (dna * model.region_vectors(matrix)).sum(1).mean()
        for matrix in (batch["matrix"], batch["matrix"].flip(1))
    )
    assert similar > 0.2 and turned < similar / 2
    swin = {"region_backbone": "swin-t", "region_dim": 8, "region_heads": [1], "region_layers": [1]}
    assert tiny(data, **swin).settings.match == "samples"  # the preset has regions
    with pytest.raises(ModelError, match="swin-t has no vectors of regions; set match to samples"):
        tiny(data, **swin, match="regions")


# Training


@pytest.mark.parametrize("match", [pytest.param("samples", marks=pytest.mark.slow), "regions"])
def test_it_learns_a_few_samples_by_heart(match: str, data: GeneBertData) -> None:
    model = tiny(data, dropout=0.0, region_dropout=0.0, match=match)
    samples = data.samples("train")
    few = np.arange(0, len(samples), len(samples) // 8)[:8]
    masker = Masker(model.encoder.tokenizer, rate=0.15)
    batch = model.batches(data, samples).draw(draw(few), masker, segments=True, matrix=True)
    assert 0 < batch["follows"].sum() < 8
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    model.train()
    for _ in range(200):
        losses = model(batch)
        optimizer.zero_grad()
        torch.stack([loss.mean for loss in losses.values()]).sum().backward()
        optimizer.step()
    model.eval()
    reached = {name: float(loss.mean.detach()) for name, loss in model(batch).items()}
    assert reached["masked"] < 0.2  # log(64) = 4.2 nats at chance
    assert reached["next_segment"] < 0.02  # 0.7 nats
    assert reached["matching"] < 0.05  # log(8) = 2.1 nats
    similar = model.dna_vectors(model.encoder(batch)) @ model.region_vectors(batch["matrix"]).T
    assert similar.argmax(0).tolist() == similar.argmax(1).tolist() == list(range(8))


def test_the_encoder_of_a_saved_model_is_an_encoder(data: GeneBertData, tmp_path: Path) -> None:
    model = tiny(data, max_steps=3).fit(data, device=CPU, progress=False)
    model.save_pretrained(tmp_path / "model")
    codes = data.codes(np.arange(4))
    encoder = SequenceEncoder.from_pretrained(tmp_path / "model")
    assert type(encoder) is KmerBert
    assert np.array_equal(encoder.embed(codes), model.encoder.embed(codes))
    samples = data.samples("test")
    loaded = GeneBert.from_pretrained(tmp_path / "model")
    for one, other in zip(
        model.embed_samples(data, samples, np.arange(5)),
        loaded.embed_samples(data, samples, np.arange(5), batch_size=2),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert other.dtype == np.float32
    # And a model can begin with it.
    again = GeneBert.from_preset("tiny", data, encoder=tmp_path / "model")
    assert np.array_equal(again.encoder.embed(codes), encoder.embed(codes))


def test_two_trainings_are_the_same_and_cell_types_are_chosen(data: GeneBertData) -> None:
    def trained(**arguments: Any) -> np.ndarray:
        return (
            tiny(data, max_steps=4)
            .fit(data, device=CPU, progress=False, **arguments)
            .encoder.embed(data.codes(np.arange(4)))
        )

    assert np.array_equal(trained(), trained())
    assert not np.array_equal(trained(), trained(cell_types=["glia", "vessel"]))
    with pytest.raises(ModelError, match="no cell type 'liver'"):
        trained(cell_types=["liver"])


SCRIPT = """
import os, signal, sys
from genoglot.models.dna.genebert import GeneBert
from genoglot.models.dna.genebert_data import GeneBertData
from genoglot.training.device import DeviceOptions
folder, out, devices, dropout, stop = sys.argv[1:]
data = GeneBertData.open(folder)
model = GeneBert.from_preset("tiny", data, k=3, max_steps=24, batch_size=16, checkpoint_every=10,
                             dropout=float(dropout), region_dropout=float(dropout))
steps = 0
def count(module, inputs):
    global steps
    steps += 1
    if steps == int(stop):
        os.kill(os.getpid(), signal.SIGKILL)
model.encoder.register_forward_pre_hook(count)
device = DeviceOptions("cpu", int(devices), strategy="ddp" if devices == "2" else "auto")
model.fit(data, log_folder=out, resume=True, device=device, progress=False)
if not os.environ.get("LOCAL_RANK", "0") != "0":
    model.save_pretrained(f"{out}.model")
"""


def run(script: Path, *arguments: Any) -> subprocess.CompletedProcess[str]:
    script.write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_model(toy_genebert: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    assert run(script, toy_genebert, tmp_path / "whole", 1, 0.1, 0).returncode == 0
    assert run(script, toy_genebert, tmp_path / "broken", 1, 0.1, 15).returncode == -9
    last = SafeCheckpointIO().load_checkpoint(tmp_path / "broken/checkpoints/last.ckpt")
    assert last["global_step"] == 10
    done = run(script, toy_genebert, tmp_path / "broken", 1, 0.1, 15)
    assert done.returncode == 0, done.stderr  # 14 steps are left
    whole, broken = (tmp_path / f"{name}.model" for name in ("whole", "broken"))
    assert (tmp_path / "whole/loss.csv").read_text() == (tmp_path / "broken/loss.csv").read_text()
    files = sorted(file.relative_to(whole) for file in whole.rglob("*.safetensors"))
    assert len(files) == 3
    for file in files:
        assert (whole / file).read_bytes() == (broken / file).read_bytes()


@pytest.mark.slow
def test_two_processes_see_the_curve_of_one(toy_genebert: Path, tmp_path: Path) -> None:
    for devices in (1, 2):
        done = run(tmp_path / "s.py", toy_genebert, tmp_path / str(devices), devices, 0.0, 0)
        assert done.returncode == 0, done.stderr
    one, two = curve(tmp_path / "1"), curve(tmp_path / "2")
    assert one.shape == two.shape == (24, 6)
    np.testing.assert_allclose(one, two, rtol=2e-4)


def test_an_interrupted_training_resumes_to_the_same_weights(
    data: GeneBertData, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def train(name: str, stop: int = -1) -> GeneBert:
        model, steps = tiny(data, max_steps=14, checkpoint_every=5), [0]

        def count(_: Any, inputs: Any) -> None:
            steps[0] += 1
            if steps[0] == stop:
                raise StoppedError

        model.encoder.register_forward_pre_hook(count)
        return model.fit(data, log_folder=tmp_path / name, resume=True, device=CPU, progress=False)

    whole = train("whole")
    with pytest.raises(StoppedError):
        train("broken", stop=9)
    resumed = train("broken", stop=10)  # makes the nine steps that are left
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert np.array_equal(curve(tmp_path / "whole"), curve(tmp_path / "broken"))
    with pytest.raises(ModelError, match="of another model, other settings or other data"):
        tiny(data, max_steps=14, checkpoint_every=5, mask_rate=0.3).fit(
            data, log_folder=tmp_path / "broken", resume=True, device=CPU
        )


# What is refused


def test_settings_and_data_that_do_not_fit_are_refused_in_one_line(
    data: GeneBertData, toy_genebert: Path
) -> None:
    def refused(says: str, **settings: Any) -> None:
        with pytest.raises(ModelError, match=says) as error:
            tiny(data, **settings).fit(data, device=CPU, progress=False)
        assert "\n" not in str(error.value)

    refused("no setting 'region_depth' .it has: .*region_backbone", region_depth=3)
    refused(
        "10 regions of 60 bp are 583 tokens, but the encoder reads up to 512; set region_bases to "
        "52 or less, or a larger max_length",
        region_bases=60,
    )
    refused("has 60 bp of each region, but 61 are read", region_bases=61, max_length=1000)
    refused("region_bases is 2, less than the 3 of a k-mer", region_bases=2)
    refused("all losses have weight 0", **dict.fromkeys(WEIGHTS, 0))
    refused("masked_weight: Input should be greater", masked_weight=-1)
    refused("has 300 consecutive open regions", n_regions=300, max_length=9000)
    refused("k is that of the encoder to begin with", encoder=KmerBert(None, **SIZES["tiny"]))
    refused("no saved model|no k-mer BERT here", encoder="no/such/folder", k=None)
    refused("no weights are published for patches", region_weights=toy_genebert)
    refused("matching_weight is 0, so that region weights", matching_weight=0, region_weights="x")
    with pytest.raises(ModelError, match="no preset 'huge'; choose from published, small, tiny"):
        GeneBert.from_preset("huge", data)
    with pytest.raises(ModelError, match="region encoder is needed if matching_weight is not 0"):
        GeneBert(KmerBert.from_size("tiny", k=3), region_bases=10)
    model = tiny(data)
    other = GeneBertData.open(toy_genebert)
    other.motifs = [f"{motif}x" for motif in other.motifs]
    with pytest.raises(
        ModelError, match="its 12 motifs are not the 12 that the model reads; build"
    ):
        model.fit(other, device=CPU)


def test_the_backbone_of_a_preset_can_be_named(data: GeneBertData) -> None:
    def regions(preset: str, **settings: Any) -> dict[str, Any]:
        made = GeneBert.from_preset(preset, data, dim=8, heads=2, layers=1, **settings)
        assert made.region_encoder is not None
        return made.region_encoder.settings.model_dump()

    assert regions("small", region_backbone="patches") == regions("small")
    small = {"region_dim": 8, "region_layers": [1], "region_heads": [1]}
    swin = regions("published", region_backbone="swin-b", region_image_size=32, **small)
    assert swin["image"] == "resize"  # as of the preset
    other = regions("small", region_backbone="vit-b", region_image_size=32, **small)
    assert other["backbone"] == "vit-b" and other["image"] == "tile"
    with pytest.raises(
        ModelError, match=r"larger image_size, .* \(its settings begin with region_"
    ):
        regions("small", region_backbone="swin-t", region_image_size=16, n_regions=40)


def test_the_published_model_has_the_published_size(data: GeneBertData) -> None:
    with torch.device("meta"):
        model = GeneBert.from_preset("published", data)
    s = model.settings
    assert (s.max_steps, s.batch_size, s.learning_rate) == (120_000, 2000, 4e-4)
    assert (s.mask_rate, s.last_mask_rate) == (0.15, 0.2)
    assert (s.masked_weight, s.next_segment_weight, s.matching_weight) == (1, 1, 0.5)
    assert model.region_encoder is not None and model.region_encoder.settings.backbone == "swin-t"
    assert (model.encoder.settings.layers, model.encoder.dim) == (12, 768)
    count = sum(p.numel() for p in model.parameters()) / 1e6
    assert 110 < count < 120
