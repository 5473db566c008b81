"""Regions in genome browsers: a page with igv.js, and the line that begins a custom track."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from genoglot.files import atomic_path
from genoglot.regions import Regions, Universe

IGV = "https://cdn.jsdelivr.net/npm/igv@3.8.10/dist/igv.min.js"
# Assemblies that igv.js knows, by their UCSC names and by other names.
IGV_GENOMES = {
    **{name: name for name in ("hg38", "hg19", "hg18", "hs1", "mm39", "mm10", "mm9", "rn7", "rn6")},
    "GRCh38": "hg38",
    "GRCh37": "hg19",
    "T2T-CHM13v2.0": "hs1",
    "GRCm39": "mm39",
    "GRCm38": "mm10",
}
MARGIN = 2  # widths of the region that are shown on either side of it

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
    """Write a page that shows regions in igv.js and lists them, best first.

    The regions are inside the page, so that it opens from disk; igv.js is fetched from its CDN, and
    a genome that it knows (hg38, hg19, mm10, ...) from igv.org. Of any other genome only the
    chromosomes are drawn, up to the end of the last region of the universe.

    Parameters
    ----------
    path
        HTML file to write.
    regions
        Regions of `Generator.generate`; the columns gene and distance are optional.
    universe
        Universe of the model; it names the genome.
    title
        Title of the page and of the track, such as the query.
    """
    features = regions.frame.rename({"chrom": "chr"}).drop("strand", strict=False).to_dicts()
    name = title.translate(dict.fromkeys(map(ord, "<>&")))  # igv.js takes names for HTML
    track = {"name": name, "type": "annotation", "displayMode": "EXPANDED", "features": features}
    options: dict[str, Any] = {"locus": _loci_with_margin(regions)[0], "tracks": [track]}
    shown: dict[str, Any] = {"options": options, "name": universe.genome or "genome"}
    if genome := IGV_GENOMES.get(universe.genome):
        options["genome"] = genome
    else:
        last = universe.regions.frame.group_by("chrom", maintain_order=True).agg(end="end").rows()
        shown["chromSizes"] = "\n".join(f"{chrom}\t{max(ends)}" for chrom, ends in last)
    # "<" is escaped, so that no name can end the script.
    text = json.dumps(shown).replace("<", "\\u003c")
    page = PAGE.format(title=escape(title), igv=IGV, table=_html_table(regions), shown=text)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def format_track_line(title: str, genome: str = "") -> str:
    """Format the line that begins a custom track of a genome browser.

    Parameters
    ----------
    title
        Name of the track.
    genome
        Name of the genome; it is written if browsers know it.

    Examples
    --------
    >>> format_track_line('CTCF, "liver"', "hg38")
    'track name="CTCF, liver" description="CTCF, liver" useScore=1 visibility=pack db=hg38'
    """
    plain = " ".join(title.replace('"', "").split())
    line = f'track name="{plain[:60]}" description="{plain[:200]}" useScore=1 visibility=pack'
    known = IGV_GENOMES.get(genome)
    return f"{line} db={known}" if known else line


def write_track(path: str | Path, regions: Regions, title: str, genome: str = "") -> None:
    """Write regions as a custom track of a genome browser: a track line and six BED columns.

    Parameters
    ----------
    path
        File to write; `-` is standard output.
    regions
        Regions with columns name, score and strand.
    title, genome
        As for `format_track_line`.
    """
    columns = regions.frame.select("chrom", "start", "end", "name", "score", "strand")
    Regions.from_frame(columns).to_bed(path, header=format_track_line(title, genome))


def tabulate_regions(regions: Regions) -> tuple[list[str], list[list[str]]]:
    """Make a table of regions, their nearest genes, distances (bp) and raw scores.

    Its columns are those of Table 1 of Fay et al. 2024.

    Returns
    -------
    list of str
        The header.
    list of list of str
        The rows.
    """
    columns = regions.columns
    score = [f"{raw:.3f}" for raw in columns["raw"]]
    if "gene" not in columns.columns:
        return ["region", "raw score"], [list(row) for row in zip(regions.loci, score, strict=True)]
    gene = [name or "." for name in columns["gene"]]
    distance = ["." if bp is None else f"{bp:+,}" if bp else "0" for bp in columns["distance"]]
    rows = zip(regions.loci, gene, distance, score, strict=True)
    return ["region", "nearest gene", "distance (bp)", "raw score"], [list(row) for row in rows]


def _html_table(regions: Regions) -> str:
    header, rows = tabulate_regions(regions)
    lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>"]
    for (locus, *others), wider in zip(rows, _loci_with_margin(regions), strict=True):
        link = f'<a href="#" data-locus="{escape(wider, quote=True)}">{escape(locus)}</a>'
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
        lines.append(f"<tr><td>{link}</td>{cells}</tr>")
    return "<table>" + "\n".join(lines) + "</table>"


def _loci_with_margin(regions: Regions) -> list[str]:
    """Return the loci of the regions with a margin on both sides, written as `Regions.loci`."""
    margin = MARGIN * (regions.end - regions.start)
    start = (regions.start - margin).clip(min=0)
    wider = Regions.from_codes(
        regions.chrom_names, regions.chrom_codes, start, regions.end + margin
    )
    return wider.loci
