"""Regions in genome browsers: a page with igv.js, and the line that begins a custom track."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from genoglot.files import atomic_path
from genoglot.regions import Regions, Universe

IGV = "https://cdn.jsdelivr.net/npm/igv@3.8.10/dist/igv.min.js"
# Assemblies that igv.js knows, by their UCSC names, and what else they are called.
IGV_GENOMES = {
    **{name: name for name in ("hg38", "hg19", "hg18", "hs1", "mm39", "mm10", "mm9", "rn7", "rn6")},
    "GRCh38": "hg38",
    "GRCh37": "hg19",
    "T2T-CHM13v2.0": "hs1",
    "GRCm39": "mm39",
    "GRCm38": "mm10",
}
MARGIN = 2  # widths of the region shown on either side of it

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 1.5rem; color: #24292f; }}
table {{ border-collapse: collapse; margin-top: 1.2rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid #e3e7eb; }}
</style></head><body>
<h1>{title}</h1>
<p id="notice">The genome browser, igv.js, is fetched from cdn.jsdelivr.net. Without a network there
is the table only.</p>
<div id="igv"></div>
{table}
<script src="{igv}"></script>
<script>
const shown = {shown};
if (shown.chromSizes) {{
  const sizes = URL.createObjectURL(new Blob([shown.chromSizes], {{type: "text/plain"}}));
  shown.options.reference = {{id: shown.name, name: shown.name, format: "chromsizes", url: sizes}};
}}
if (window.igv) igv.createBrowser(document.getElementById("igv"), shown.options).then(browser => {{
  document.getElementById("notice").remove();
  for (const link of document.querySelectorAll("a[data-locus]"))
    link.addEventListener("click", event => {{
      event.preventDefault();
      browser.search(link.dataset.locus);
    }});
}});
</script>
</body></html>
"""


def write_igv_page(path: str | Path, regions: Regions, universe: Universe, title: str) -> None:
    """Write a page that shows regions in igv.js, best first, and lists them.

    The regions are inside the page, so that it opens from disk; igv.js is fetched from its CDN, and
    a genome that it knows (hg38, hg19, mm10, ...) from igv.org. Of any other genome only the
    chromosomes are drawn, as long as the universe's last regions tell.

    Parameters
    ----------
    path
        The HTML file.
    regions
        As `Generator.generate` gives them, perhaps with gene and distance.
    universe
        Tells the genome.
    title
        Of the page and the track, such as the query.
    """
    features = regions.frame.rename({"chrom": "chr"}).drop("strand", strict=False).to_dicts()
    name = title.translate(dict.fromkeys(map(ord, "<>&")))  # igv.js takes names for HTML
    track = {"name": name, "type": "annotation", "displayMode": "EXPANDED", "features": features}
    options: dict[str, Any] = {"locus": _surroundings(regions)[0], "tracks": [track]}
    shown: dict[str, Any] = {"options": options, "name": universe.genome or "genome"}
    if genome := IGV_GENOMES.get(universe.genome):
        options["genome"] = genome
    else:
        last = universe.regions.frame.group_by("chrom", maintain_order=True).agg(end="end").rows()
        shown["chromSizes"] = "\n".join(f"{chrom}\t{max(ends)}" for chrom, ends in last)
    # "<" spelled out, lest a name end the script.
    text = json.dumps(shown).replace("<", "\\u003c")
    page = PAGE.format(title=escape(title), igv=IGV, table=_html_table(regions), shown=text)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def track_line(title: str, genome: str = "") -> str:
    """Line that a genome browser reads before the regions of a custom track.

    Examples
    --------
    >>> track_line('CTCF, "liver"', "hg38")
    'track name="CTCF, liver" description="CTCF, liver" useScore=1 visibility=pack db=hg38'
    """
    plain = " ".join(title.replace('"', "").split())
    line = f'track name="{plain[:60]}" description="{plain[:200]}" useScore=1 visibility=pack'
    known = IGV_GENOMES.get(genome)
    return f"{line} db={known}" if known else line


def table_rows(regions: Regions) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the seed's Table 1: region, nearest gene, distance (bp) and raw score."""
    columns = regions.columns
    score = [f"{raw:.3f}" for raw in columns["raw"]]
    if "gene" not in columns.columns:
        return ["region", "raw score"], [list(row) for row in zip(regions.loci, score, strict=True)]
    gene = [name or "." for name in columns["gene"]]
    distance = ["." if bp is None else f"{bp:+,}" if bp else "0" for bp in columns["distance"]]
    rows = zip(regions.loci, gene, distance, score, strict=True)
    return ["region", "nearest gene", "distance (bp)", "raw score"], [list(row) for row in rows]


def _html_table(regions: Regions) -> str:
    header, rows = table_rows(regions)
    lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>"]
    for (locus, *others), around in zip(rows, _surroundings(regions), strict=True):
        link = f'<a href="#" data-locus="{escape(around, quote=True)}">{escape(locus)}</a>'
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
        lines.append(f"<tr><td>{link}</td>{cells}</tr>")
    return "<table>" + "\n".join(lines) + "</table>"


def _surroundings(regions: Regions) -> list[str]:
    """Loci with some margin, in the way of `Regions.loci`."""
    margin = MARGIN * (regions.end - regions.start)
    start = (regions.start - margin).clip(min=0)
    names, codes = regions.chrom_names, regions.chrom_codes
    return Regions.from_codes(names, codes, start, regions.end + margin).loci
