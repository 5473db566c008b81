"""VISTA: files in the shape of the browser's FASTA, made here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from genoglot.errors import GenoglotError
from genoglot.sequence import to_text
from genoglot.tasks import TASKS, TaskData
from genoglot.tasks.homologs import group_homologs

HEAD = ">Human|chr16:80372593-80373755 | element 4 | positive  | neural tube[6/10] | limb[10/10]"


def make(path: Path, n: int = 60, lengths: Sequence[int] = (300, 700, 1500)) -> dict[str, str]:
    """Write elements of man, and of mouse for every third: half of its middle is the same DNA."""
    rng = np.random.default_rng(0)
    records, written = [], {}
    for i in range(n):
        text = "".join(rng.choice(list("ACGT"), lengths[i % len(lengths)]))
        activity = "negative " if i % 2 else "positive  | limb[4/6]"
        activity += " | heart[3/3] | heart[3/3]" if i % 4 == 0 else ""
        at = 1000 * i + 1
        written[f"Human element {i}"] = text
        records.append((f"Human|chr1:{at}-{at + len(text) - 1} | element {i} | {activity}", text))
        if i % 3 == 0:
            other = "".join(rng.choice(list("ACGT"), 400))
            part = slice(len(text) // 4, 3 * len(text) // 4)
            changed = [base if rng.random() < 0.95 else "A" for base in text[part]]
            text = other + "".join(changed) + other[::-1]
            written[f"Mouse element {i}"] = text
            head = f"Mouse|chr5:{at}-{at + len(text) - 1} | element {i} | negative "
            records.append((head, text))
    order = rng.permutation(len(records))
    path.write_text("".join(f">{records[j][0]}\n{records[j][1].lower()}\n" for j in order))
    return written


def build(name: str, path: Path, **options: int) -> TaskData:
    out = path.parent / f"built-{len(list(path.parent.iterdir()))}"
    (data,) = TASKS[name].build([path], out, leakage=False, **options)
    return data


def test_elements_their_labels_and_the_part_that_is_read(tmp_path: Path) -> None:
    written = make(tmp_path / "v.fa")
    data = build("VISTA", tmp_path / "v.fa", width=600)
    assert data.target == "binary" and len(data) == len(written) == 80
    assert data.metrics[0] == "MCC" and data.outputs == ["enhancer"] and data.length == 600
    for row, codes, label in zip(
        data.examples.iter_rows(named=True), data.codes[:], data.labels[:][:, 0], strict=True
    ):
        text = written[row["id"]]
        first = max(len(text) - 600, 0) // 2
        assert to_text(codes).rstrip("N") == text[first : first + 600]
        species, _, number = row["id"].split()
        assert row["length"] == min(len(text), 600) == row["end"] - row["start"]
        assert row["start"] == 1000 * int(number) + first and row["species"] == species
        assert label == (species == "Human" and int(number) % 2 == 0)
    longer = sum(len(text) > 600 for text in written.values())
    assert data.notes["shortened_elements"] == longer
    assert data.subset("fold-0", "train").shortest == 300
    assert build("VISTA", tmp_path / "v.fa").length == 2000


def test_each_fold_is_tested_once_and_homologs_are_in_one_fold(tmp_path: Path) -> None:
    make(tmp_path / "v.fa")
    data = build("VISTA", tmp_path / "v.fa")
    assert data.splits == [f"fold-{i}" for i in range(5)] and data.default_split == "fold-0"
    tested = np.concatenate([data.rows(split, "test") for split in data.splits])
    assert sorted(tested) == list(range(len(data)))
    sizes = [data.split_sizes[split] for split in data.splits]
    assert all(14 <= size["test"] <= 18 and size["train"] > 40 for size in sizes)
    ids = data.examples["id"].to_list()
    for i, split in enumerate(data.splits):
        following = data.splits[(i + 1) % 5]
        assert (data.rows(split, "validation") == data.rows(following, "test")).all()
        of = dict(zip(ids, data.assignment(split), strict=True))
        assert all(of[f"Human element {j}"] == of[f"Mouse element {j}"] for j in range(0, 60, 3))
    assert data.notes["homologs"] == 40 and data.examples["group"].n_unique() == 60
    other = build("VISTA", tmp_path / "v.fa", seed=1)
    assert (other.assignment("fold-0") != data.assignment("fold-0")).any()
    assert build("VISTA", tmp_path / "v.fa").digest == data.digest


def test_tissues_are_those_of_positive_elements(tmp_path: Path) -> None:
    make(tmp_path / "v.fa")
    with (tmp_path / "v.fa").open("a") as file:
        file.write(">Human|chr2:11-14 | element 900 | positive  | \nACGT\n")
        rare = HEAD.replace("element 4", "element 901").replace("limb", "liver")
        file.write(f"{rare}\n{'ACGGT' * 232}ACG\n")
    data = build("VISTATissues", tmp_path / "v.fa", min_elements=10)
    assert data.target == "multi-label" and data.outputs == ["limb", "heart"]
    assert len(data) == 31  # 30 and one whose tissues are too rare, which are known to be none
    labels = dict(zip(data.examples["id"], data.labels[:].tolist(), strict=True))
    assert labels.pop("Human element 901") == [0, 0]
    assert all(label == [1, int(name.split()[2]) % 4 == 0] for name, label in labels.items())
    assert data.notes["rare_tissues"] == 2 and data.notes["positives_without_tissue"] == 1
    with pytest.raises(GenoglotError, match="no tissue has 500 elements"):
        build("VISTATissues", tmp_path / "v.fa", min_elements=500)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (">chr1:1-4 an enhancer\nACGT\n", "the header 'chr1:1-4 an enhancer' is none of the VISTA"),
        (">Human|chr1:1-4 | element 1 | maybe\nACGT\n", "none of the VISTA"),
        (">Human|chr1 | element 1 | positive\nACGT\n", "none of the VISTA"),
        (f"{HEAD}\nACGT\n{HEAD}\nACGT\n", "v.fa:3: the name .* is not unique"),
        (f"{HEAD}\nACGT\n{HEAD.replace('55 ', '56 ')}\nACGT\n", "Human element 4 is there twice"),
        (f"{HEAD}\nAC!T\n", "v.fa:2"),
        ("", "v.fa"),
    ],
)
def test_what_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "v.fa").write_text(text)
    for name in ("VISTA", "VISTATissues"):
        with pytest.raises(GenoglotError, match=problem) as error:
            build(name, tmp_path / "v.fa")
        assert "\n" not in str(error.value) and not list(tmp_path.rglob("dataset.json"))


def test_repeats_and_chance_link_no_sequences() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (60, 1500)).astype(np.uint8)
    repeat = rng.integers(0, 4, 150).astype(np.uint8)
    codes[:20, 300:450] = repeat  # as a transposon
    codes[20:40, 700:900] = np.tile(np.array([1, 0], np.uint8), 100)  # (CA)n
    assert len(set(group_homologs(codes).tolist())) == 60
    # A homolog on the other strand is one, and so is that of a homolog.
    codes[41, 100:500] = 3 - codes[40, 900:1300][::-1]
    codes[42, 600:1000] = codes[41, 100:500]
    groups = group_homologs(codes)
    assert groups[40] == groups[41] == groups[42] and len(set(groups.tolist())) == 58


def test_many_copies_are_one_group() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (24, 1500)).astype(np.uint8)
    codes[1:8] = codes[0]
    codes[5] = 3 - codes[0, ::-1]
    codes[9:14, 200:1200] = codes[8, 200:1200]
    groups = group_homologs(codes)
    assert len(set(groups[:8])) == len(set(groups[8:14])) == 1
    assert len(set(groups.tolist())) == 12
