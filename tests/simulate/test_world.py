"""The files that a user sees: they parse as plain BED, GTF, FASTA and CSV, and agree."""

import itertools
import re

import numpy as np
import polars as pl

from genoglot.simulate import World

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def test_universe_is_sorted_without_overlap_and_in_the_genome(
    universe: list[tuple[str, int, int]], genome: dict[str, str]
) -> None:
    assert list(dict.fromkeys(chrom for chrom, _, _ in universe)) == list(genome)
    for (chrom, start, end), (next_chrom, next_start, _) in itertools.pairwise(universe):
        assert 0 <= start < end <= len(genome[chrom])
        assert chrom != next_chrom or end < next_start


def test_fasta_index_leads_to_every_sequence(world: World, genome: dict[str, str]) -> None:
    data = world.genome_path.read_bytes()
    rows = [line.split("\t") for line in (world.path / "genome.fa.fai").read_text().splitlines()]
    assert [row[0] for row in rows] == list(genome)
    for name, *numbers in rows:
        size, offset, bases, width = map(int, numbers)
        assert size == len(genome[name])
        for position in (0, bases - 1, bases, size // 2, size - 1):
            at = offset + position // bases * width + position % bases
            assert chr(data[at]) == genome[name][position]


def test_genome_has_plausible_composition(
    genome: dict[str, str], universe: list[tuple[str, int, int]], world: World
) -> None:
    whole = "".join(genome.values())
    assert set(whole) == set("ACGT")
    gc = (whole.count("G") + whole.count("C")) / len(whole)
    assert 0.40 < gc < 0.46
    kind = world.ground_truth("elements")["kind"].to_list()
    promoters = "".join(
        genome[chrom][start:end]
        for (chrom, start, end), k in zip(universe, kind, strict=True)
        if k == "promoter"
    )
    assert (promoters.count("G") + promoters.count("C")) / len(promoters) > 0.55
    assert whole.count("CG") / len(whole) < 0.02 < promoters.count("CG") / len(promoters)


def test_peaks_are_narrowpeak_sorted_and_inside_the_genome(
    beds: list[list[list[str]]], genome: dict[str, str]
) -> None:
    order = {name: i for i, name in enumerate(genome)}
    for bed in beds:
        assert len(bed) > 10
        places = [(order[row[0]], int(row[1])) for row in bed]
        assert places == sorted(places)
        for row in bed:
            assert len(row) == 10
            start, end, score, summit = int(row[1]), int(row[2]), int(row[4]), int(row[9])
            assert 0 <= start < end <= len(genome[row[0]])
            assert 0 <= score <= 1000
            assert 0 <= summit < end - start
            assert float(row[6]) > 0


def test_peaks_touch_one_region_each_or_none_and_scores_tell_which(
    beds: list[list[list[str]]], presence: np.ndarray
) -> None:
    inside = presence.sum(1) / np.array([len(bed) for bed in beds])
    assert (inside <= 1).all()
    assert 0.9 < inside.mean() < 0.99  # some lie off the universe


def test_sheet_names_every_file_once(world: World, sheet_rows: list[dict[str, str]]) -> None:
    files = {str(path.relative_to(world.path)) for path in (world.path / "files").iterdir()}
    assert {row["file"] for row in sheet_rows} == files
    assert len(sheet_rows) == len(files)
    groups: dict[str, set[tuple[str, str, str]]] = {}
    for row in sheet_rows:
        key = (row["assay"], row["target"], row["biosample"])
        groups.setdefault(row["experiment"], set()).add(key)
        assert row["genome"] == "simulated"
    assert all(len(keys) == 1 for keys in groups.values())
    assert len(set.union(*groups.values())) == len(groups)


def test_descriptions_name_target_and_sample_in_varied_words(world: World) -> None:
    from genoglot.simulate.biosamples import ORGANS

    aliases = {
        row["name"]: [row["name"], *row["aliases"]]
        for row in world.ground_truth("factors").iter_rows(named=True)
    }
    synonyms = {organ.name: (organ.name, *organ.synonyms) for organ in ORGANS}
    cells = dict(world.ground_truth("biosamples").select("name", "cell").iter_rows())
    for row in world.sheet.iter_rows(named=True):
        text = row["description"]
        names = [cells[row["biosample"]]] if cells[row["biosample"]] else synonyms[row["organ"]]
        assert any(name in text for name in names), text
        if row["assay"] == "TF ChIP-seq":
            assert any(name in text for name in aliases[row["target"]]), text
    assert world.sheet["description"].n_unique() > 0.5 * world.sheet.height
    rewritten = world.sheet.group_by("experiment").agg(
        pl.len(), pl.col("description").n_unique().alias("texts")
    )
    assert rewritten.filter(pl.col("texts") > 1).height > 5


def _attributes(text: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+) "?([^";]+)"?;', text))


def test_introns_begin_with_gt_and_end_with_ag(world: World, genome: dict[str, str]) -> None:
    transcripts: dict[str, list[tuple[str, int, int, str]]] = {}
    genes = set()
    for line in world.genes_path.read_text().splitlines():
        if line.startswith("#"):
            continue
        chrom, _, feature, start, end, _, strand, _, text = line.split("\t")
        attributes = _attributes(text)
        genes.add(attributes["gene_id"])
        if feature == "exon":
            exons = transcripts.setdefault(attributes["transcript_id"], [])
            assert int(attributes["exon_number"]) == len(exons) + 1
            exons.append((chrom, int(start) - 1, int(end), strand))
    assert genes == set(world.ground_truth("genes")["gene_id"])
    introns = 0
    for exons in transcripts.values():
        exons.sort(key=lambda exon: exon[1])
        for (chrom, _, end, strand), (_, start, _, _) in itertools.pairwise(exons):
            intron = genome[chrom][end:start]
            if strand == "-":
                intron = intron.translate(COMPLEMENT)[::-1]
            assert intron.startswith("GT") and intron.endswith("AG")
            introns += 1
    assert introns > 500


def test_genes_do_not_overlap_and_start_in_their_promoter(
    world: World, universe: list[tuple[str, int, int]]
) -> None:
    genes = world.ground_truth("genes").sort("chrom", "start")
    for _, own in genes.group_by("chrom"):
        assert (own["start"][1:] >= own["end"][:-1]).all()
    for row in genes.iter_rows(named=True):
        chrom, start, end = universe[row["promoter"]]
        assert chrom == row["chrom"] and start <= row["tss"] < end
        assert row["tss"] == (row["start"] if row["strand"] == "+" else row["end"] - 1)
