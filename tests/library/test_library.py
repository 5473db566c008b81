"""A library of region sets: finding, keeping what was acknowledged, refusing what is wrong."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoglot.atlas import Atlas
from genoglot.errors import LibraryError, TextError, UniverseMismatchError
from genoglot.library import Library
from genoglot.regions import Regions, Universe

SIZE = 2_000
CELLS = ("liver", "kidney", "lung", "heart", "K562 cells")
FACTORS = ("CTCF", "GATA1", "MYC", "REST")

WRITER = """
    import sys
    import numpy as np, polars as pl
    from genoglot.library import Library
    library = Library.open(sys.argv[1])
    n = int(sys.argv[2])
    about = pl.DataFrame({"id": [f"set{i}" for i in range(n)],
                          "description": [f"CTCF in tissue {i % 20}" for i in range(n)]})
    rng = np.random.default_rng(0)
    sets = (np.unique(rng.integers(0, 2000, 50)).astype(np.int32) for _ in range(n))
    library.add(about, sets, batch=int(sys.argv[3]), existing="skip",
                acknowledge=lambda ids: print(*ids, sep="\\n", flush=True))
"""


@pytest.fixture(scope="session")
def line() -> Universe:
    start = np.arange(SIZE) * 100
    return Universe(Regions(["chr1"] * SIZE, start, start + 50), genome="line")


def described(n: int, seed: int = 0) -> tuple[pl.DataFrame, list[np.ndarray]]:
    """Sets that share what their factor and their cell have in common."""
    rng = np.random.default_rng(seed)
    pool = {name: rng.random(SIZE) < 0.3 for name in (*CELLS, *FACTORS)}
    rows, sets = [], []
    for i in range(n):
        cell, factor = CELLS[i % len(CELLS)], FACTORS[i // len(CELLS) % len(FACTORS)]
        likely = np.where(pool[cell] & pool[factor], rng.uniform(0.4, 0.9), 0.03)
        sets.append(np.flatnonzero(rng.random(SIZE) < likely).astype(np.int32))
        rows.append(
            {
                "id": f"{factor}.{i}",
                "description": f"{factor} ChIP-seq in human {cell}",
                "assay": "ChIP-seq" if i % 2 else "CUT&RUN",
                "target": factor,
                "biosample": cell,
            }
        )
    return pl.DataFrame(rows), sets


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, line: Universe) -> Library:
    library = Library.create(tmp_path_factory.mktemp("library") / "filled", line)
    assert library.add(*described(600), batch=250) == 600
    return library


@pytest.fixture
def small(tmp_path: Path, line: Universe) -> Library:
    library = Library.create(tmp_path / "small", line)
    library.add(*described(30))
    return library


def set_jaccard(a: np.ndarray, b: np.ndarray) -> float:
    return len({*a.tolist()} & {*b.tolist()}) / len({*a.tolist()} | {*b.tolist()})


def test_regions_are_ranked_by_their_exact_jaccard_index(filled: Library) -> None:
    about, sets = described(600)
    found = []
    for query in described(640, seed=0)[1][600:]:  # sets that are not in it
        truth = sorted((set_jaccard(query, s) for s in sets), reverse=True)[:10]
        hits = filled.search(regions=query)
        index = dict(zip(about["id"], sets, strict=True))
        for hit in hits:
            assert hit.score == hit.jaccard == set_jaccard(query, index[hit.id])
        assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
        found.append(np.mean([hit.score >= truth[-1] for hit in hits]))
    assert np.mean(found) > 0.95  # recall@10


def test_a_bed_file_finds_itself(filled: Library, line: Universe) -> None:
    about, sets = described(600)
    best = filled.search(regions=line.decode(sets[17]), n=1)[0]
    assert (best.id, best.jaccard, best.n_regions) == (about["id"][17], 1, len(sets[17]))
    assert best.meaning is None and best.keywords is None
    assert (best.target, best.biosample) == (about["target"][17], about["biosample"][17])


def test_meaning_finds_other_words_and_keywords_find_names(filled: Library) -> None:
    hits = filled.search("renal tissue", keywords="", n=20)
    assert {hit.biosample for hit in hits} == {"kidney"}
    assert all(hit.meaning is not None and hit.keywords is None for hit in hits)
    (hit,) = filled.search(keywords="CTCF.20", n=1)
    assert hit.id == "CTCF.20" and hit.meaning is None
    assert {hit.target for hit in filled.search(keywords="gata1", n=50)} == {"GATA1"}
    assert filled.search(keywords="nonsuch") == []


def test_text_and_regions_together_find_what_both_ask_for(tmp_path: Path, line: Universe) -> None:
    """The regions are of one factor, the text names other cells than theirs: both are met."""
    about, sets = described(100)
    library = Library.create(tmp_path / "library", line)
    library.add(about, sets)
    found = {"both": 0, "text": 0, "regions": 0}
    for row, wanted in enumerate(CELLS[1:] * 4):
        factor = about["target"][row]
        ways = {
            "both": library.search(wanted, sets[row], n=5),
            "text": library.search(wanted, n=5),
            "regions": library.search(regions=sets[row], n=5),
        }
        assert all(0 < hit.score <= 1 for hit in ways["both"])
        assert ways["both"] == library.search(wanted, sets[row], n=5)
        for way, hits in ways.items():
            found[way] += sum((h.target, h.biosample) == (factor, wanted) for h in hits)
    assert found["both"] > 2 * max(found["text"], found["regions"])


def test_filters(filled: Library) -> None:
    hits = filled.search("MYC", where={"biosample": "K562 cells", "assay": "CUT&RUN"}, n=40)
    assert hits and {(h.biosample, h.assay) for h in hits} == {("K562 cells", "CUT&RUN")}
    assert filled.search("MYC", where={"assay": "it's none"}) == []
    with pytest.raises(LibraryError, match="no filter 'age'"):
        filled.search("MYC", where={"age": "3"})


def test_n_may_be_more_than_there_are(small: Library) -> None:
    assert len(small.search("anything", n=1000)) == len(small) == 30


def test_adding_and_removing_last(small: Library) -> None:
    path = small.info()["library"]
    small.remove(["CTCF.0", "CTCF.1"])
    again = Library.open(path)
    assert len(again) == 28 and "CTCF.0" not in again.ids()
    assert again.search(keywords="CTCF.0", n=1)[0].id != "CTCF.0"
    odd = pl.DataFrame({"id": ["5'-end; --", "CTCF.0"], "description": ["Größe", "empty one"]})
    assert again.add(odd, [[0, SIZE - 1], []]) == 2
    assert len(small) == 30, "one that is open sees what others add"
    assert small.search(regions=[0, SIZE - 1], n=1)[0].id == "5'-end; --"
    assert small.search("Größe", n=1)[0].id == "5'-end; --"
    small.remove(["5'-end; --"])
    assert len(again) == 29
    row = again.metadata().filter(id="CTCF.0").row(0, named=True)
    assert (row["n_regions"], row["assay"]) == (0, None)


def test_what_is_there_is_refused_skipped_or_replaced(small: Library) -> None:
    about, sets = described(40)
    with pytest.raises(LibraryError, match=r"'CTCF.0'.* and 25 others already"):
        small.add(about, sets)
    assert len(small) == 30, "nothing was written"
    assert small.add(about, sets, existing="skip") == 10
    changed = about.with_columns(description=pl.lit("sequence of tofu"))
    assert small.add(changed[:5], sets[:5], existing="replace") == 5
    assert len(small) == 40
    hits = small.search(keywords="tofu", n=40)
    assert {hit.id for hit in hits} == set(about["id"][:5])


def test_an_atlas_is_added_and_another_universe_refused(
    tmp_path: Path, toy_atlas: Atlas, small: Library
) -> None:
    with pytest.raises(UniverseMismatchError):
        small.add_atlas(toy_atlas)
    library = Library.create(tmp_path / "toy", toy_atlas.universe)
    told: list[str] = []
    assert library.add_atlas(toy_atlas, acknowledge=told.extend) == len(toy_atlas) == len(library)
    assert told == toy_atlas.metadata["id"].to_list()
    assert Library.open(tmp_path / "toy").universe == toy_atlas.universe
    hits = library.search(regions=toy_atlas.universe.decode(toy_atlas.tokens(0)), n=2)
    assert {hit.id.rsplit(".", 1)[0] for hit in hits} == {"CTCF.liver"}  # both replicates


def kill_while_adding(path: Path, universe: Universe, n: int, batch: int, after: int) -> None:
    """Kill a writer once it has acknowledged so many sets; all of these must be there."""
    Library.create(path, universe)
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(n), str(batch)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()  # what it still had said
    process.wait()
    assert process.returncode == -signal.SIGKILL
    acknowledged += rest[: rest.rfind("\n") + 1].split()
    library = Library.open(path)
    there = library.ids()
    assert set(acknowledged) <= set(there) and len(there) == len(set(there)) < n
    assert library.search("tissue 3", n=5) and library.search(regions=np.arange(100))

    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == {f"set{i}" for i in range(n)} - set(there)
    assert sorted(Library.open(path).ids()) == sorted(f"set{i}" for i in range(n))


def test_killed_while_adding_it_loses_nothing_acknowledged(tmp_path: Path, line: Universe) -> None:
    kill_while_adding(tmp_path / "library", line, n=1_000, batch=25, after=200)


def test_several_add_the_same_at_once(tmp_path: Path, line: Universe) -> None:
    library = Library.create(tmp_path / "library", line)
    code = textwrap.dedent(WRITER)
    command = [sys.executable, "-c", code, str(tmp_path / "library"), "200", "10"]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(library.ids()) == sorted(f"set{i}" for i in range(200))
    assert len(library.search(keywords="tissue", n=300)) == 200


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2_000, 5_001, 9_000])
def test_killed_while_adding_ten_thousand(tmp_path: Path, line: Universe, after: int) -> None:
    kill_while_adding(tmp_path / "library", line, n=10_000, batch=100, after=after)


def test_killed_while_made_it_can_be_made_again(tmp_path: Path, line: Universe) -> None:
    path = tmp_path / "library"
    Library.create(path, line)
    (path / "sets.lance").rename(tmp_path / "gone")  # its making is complete with this table
    with pytest.raises(LibraryError, match="no library here"):
        Library.open(path)
    assert len(Library.create(path, line)) == 0


BAD_SETS = {
    "unsorted": ({"id": ["a"], "description": ["x"]}, [[3, 2]], "not sorted"),
    "outside": ({"id": ["a"], "description": ["x"]}, [[SIZE]], "outside a universe of 2000"),
    "no integers": ({"id": ["a"], "description": ["x"]}, [[0.5]], "a list of integers"),
    "no id": ({"description": ["x"]}, [[1]], "no column 'id'"),
    "empty id": ({"id": [" "], "description": ["x"]}, [[1]], "no id in row 0"),
    "no description": ({"id": ["a"], "description": [None]}, [[1]], "no description in row 0"),
    "twice": ({"id": ["a", "a"], "description": ["x", "y"]}, [[1], [2]], "'a' repeated"),
    "too few": ({"id": ["a", "b"], "description": ["x", "y"]}, [[1]], "1 token lists for 2"),
    "too many": ({"id": ["a"], "description": ["x"]}, [[1], [2]], "more token lists"),
}


@pytest.mark.parametrize("case", BAD_SETS)
def test_bad_sets_are_refused(case: str, small: Library) -> None:
    about, sets, problem = BAD_SETS[case]
    with pytest.raises(LibraryError, match=problem) as raised:
        small.add(pl.DataFrame(about), sets)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("query", "error", "problem"),
    [
        ({}, LibraryError, "nothing to search for"),
        ({"text": " "}, TextError, "empty"),
        ({"text": "x" * 100_000}, TextError, "100,000 characters"),
        ({"keywords": "x" * 100_000}, TextError, "100,000 characters"),
        ({"regions": []}, LibraryError, "no region of the query"),
        ({"regions": Regions(["chr9"], [0], [9])}, LibraryError, "no region of the query"),
        ({"regions": [SIZE]}, LibraryError, "outside a universe"),
        ({"text": "x", "n": 0}, LibraryError, "at least one hit"),
    ],
)
def test_bad_queries_are_refused(
    query: dict[str, object], error: type[Exception], problem: str, filled: Library
) -> None:
    with pytest.raises(error, match=problem):
        filled.search(**query)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["Ränder und Öffnungen", "AND (", '"', "a:b* ^~", "🧬", '"human liver"', "it's \\"]
)
def test_no_text_is_taken_for_a_command(text: str, filled: Library) -> None:
    assert len(filled.search(text)) == 10


@settings(max_examples=60)
@given(text=st.text("\"'()[]{}+-*?^~:\\/&|!=<>@#$%.,;`\t\n\0🧬é liver", min_size=1, max_size=30))
def test_only_the_words_of_keywords_count(filled: Library, text: str) -> None:
    """A word is found with any signs around it, and nothing where there are only signs."""
    found = filled.search(keywords=f'{text} "GATA1")', n=200)
    assert "GATA1" in {hit.target for hit in found}
    signs = re.sub(r"\w", "", text).strip() or "?"
    assert filled.search(keywords=signs) == []


def test_quotes_change_nothing(filled: Library) -> None:
    plain = filled.search(keywords="GATA1 kidney", n=30)
    for quoted in ('"GATA1" kidney', '"GATA1 kidney"', "'GATA1' (kidney)", "GATA1 AND kidney"):
        assert [hit.id for hit in filled.search(keywords=quoted, n=30)] == [h.id for h in plain]
    assert len(filled.search(keywords="kidney " * 1_400, n=5)) == 5
    assert filled.search(keywords=" ".join(f"w{i}" for i in range(1_600))) == []


LONG = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_words_of_any_length_are_found(small: Library) -> None:
    about = pl.DataFrame({"id": [LONG, f"x{LONG}"], "description": ["one", "two"]})
    small.add(about, [[1], [2]])
    for word in (LONG, LONG.upper(), f'"{LONG}"'):
        assert [hit.id for hit in small.search(keywords=word)] == [LONG]


def test_a_text_in_another_script_is_refused_but_its_words_can_be_looked_for(
    filled: Library,
) -> None:
    with pytest.raises(TextError, match="not in Latin letters"):
        filled.search("肾脏")
    assert len(filled.search("kidney", keywords="肾脏")) == 10


def test_other_folders_are_left_alone(tmp_path: Path, line: Universe, small: Library) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/thesis.txt").write_text("words")
    with pytest.raises(LibraryError, match="is not a library"):
        Library.create(tmp_path / "papers", line)
    with pytest.raises(LibraryError, match="is not a library"):
        Library.create(tmp_path / "papers/thesis.txt", line)
    with pytest.raises(LibraryError, match="a library already"):
        Library.create(small.info()["library"], line)


def test_damage_is_told_in_one_line(small: Library) -> None:
    path = Path(small.info()["library"])
    for file in (path / "sets.lance/_versions").iterdir():
        file.write_bytes(b"")
    with pytest.raises(LibraryError) as raised:
        Library.open(path)
    assert "\n" not in str(raised.value) and "cannot be used" in str(raised.value)


@pytest.mark.parametrize("store", ["ftp://host", "nowhere", "http://"])
def test_an_address_that_is_none(store: str) -> None:
    with pytest.raises(LibraryError, match="give http://host:port"):
        Library.open("name", store=store)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(LibraryError, match="cannot be reached"):
        Library.open("name", store="http://127.0.0.1:9")
    with pytest.raises(LibraryError, match="use letters"):
        Library.open("a/b", store="http://127.0.0.1:9")


def test_a_server_serves_the_same(tmp_path: Path, line: Universe, filled: Library) -> None:
    """Lance's own REST server, over loopback: the same answers as from disk."""
    lance = pytest.importorskip("lance.namespace", reason="needs pylance")
    with lance.RestAdapter("dir", {"root": str(tmp_path)}, host="127.0.0.1", port=0) as server:
        store = f"http://127.0.0.1:{server.port}"
        with pytest.raises(LibraryError, match="no library here"):
            Library.open("mine", store=store)
        Library.create("mine", line, store=store).add(*described(600), batch=250)
        served = Library.open("mine", store=store)
        assert len(served) == 600 and sorted(served.ids()) == sorted(filled.ids())
        assert served.universe == line
        _, sets = described(601)
        for query in (
            {"text": "renal tissue", "keywords": ""},
            {"regions": sets[600]},
            {"regions": line.decode(sets[600]), "where": {"target": "MYC"}},
        ):
            assert served.search(**query) == filled.search(**query)
        both = served.search("CTCF in renal tissue", sets[600])
        assert [h.id for h in both] == [
            h.id for h in filled.search("CTCF in renal tissue", sets[600])
        ]
        served.remove(["CTCF.0"])
        assert served.search(keywords="CTCF.0", n=1)[0].id != "CTCF.0"
        assert len(Library.open("mine", store=store)) == 599
