"""Pages and tracks for genome browsers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from genoglot.regions import Regions, Universe
from genoglot.reports.browser import format_track_line, tabulate_regions, write_igv_page

REGIONS = Regions(["chr2", "chr1"], [1000, 5], [1100, 25]).with_columns(
    name=["a", "b"], score=[900, 10], strand=[".", "."], rank=[1, 2], raw=[0.9, 0.01],
    gene=["G<1>", None], distance=[-1200, None],
)  # fmt: skip


def shown(page: str) -> dict[str, Any]:
    (text,) = re.findall(r"const shown = (.*);", page)
    return dict(json.loads(text))


@pytest.fixture
def universe() -> Universe:
    return Universe(Regions(["chr1", "chr1", "chr2"], [0, 50, 900], [30, 70, 1100]), genome="toy")


def test_the_page_holds_the_regions(universe: Universe, tmp_path: Path) -> None:
    write_igv_page(tmp_path / "p.html", REGIONS, universe, "CTCF </script><b>")
    page = (tmp_path / "p.html").read_text()
    assert page.count("</script>") == 2  # none from the title
    options = shown(page)["options"]
    (track,) = options["tracks"]
    first = track["features"][0]
    assert (first["chr"], first["start"], first["end"]) == ("chr2", 1000, 1100)
    assert (first["gene"], first["distance"], first["score"]) == ("G<1>", -1200, 900)
    assert options["locus"] == "chr2:801-1300"
    assert "<td>G&lt;1&gt;</td>" in page and "chr1:6-25" in page


def test_an_unknown_genome_is_drawn_from_its_chromosomes(
    universe: Universe, tmp_path: Path
) -> None:
    write_igv_page(tmp_path / "p.html", REGIONS, universe, "CTCF")
    assert shown((tmp_path / "p.html").read_text())["chromSizes"] == "chr1\t70\nchr2\t1100"
    known = Universe(universe.regions, genome="GRCh38")
    write_igv_page(tmp_path / "p.html", REGIONS, known, "CTCF")
    about = shown((tmp_path / "p.html").read_text())
    assert about["options"]["genome"] == "hg38" and "chromSizes" not in about


def test_table_one(universe: Universe) -> None:
    header, rows = tabulate_regions(REGIONS)
    assert header == ["region", "nearest gene", "distance (bp)", "raw score"]
    assert rows == [
        ["chr2:1001-1100", "G<1>", "-1,200", "0.900"],
        ["chr1:6-25", ".", ".", "0.010"],
    ]


def test_track_lines_are_one_line_without_quotes_inside() -> None:
    line = format_track_line('two\nlines "quoted" ' + "x" * 500, "GRCh38")
    assert "\n" not in line and line.count('"') == 4 and len(line) < 400
    assert line.endswith("db=hg38")
