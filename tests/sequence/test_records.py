"""Sequences of FASTA and BED files, in batches: nothing is lost, moved or made up in silence."""

import numpy as np
import pytest

from genoglot.errors import GenoglotError, ModelError, SequenceError
from genoglot.sequence import Genome, read_sequences, reverse_complement, stack_codes, to_text

SIZES = {"chr1": (0, 300), "chr2": (1000, 1400)}  # chr2 is a window of a chromosome


@pytest.fixture(scope="module")
def dna():
    rng = np.random.default_rng(0)
    return {
        chrom: "".join(rng.choice(list("ACGT"), end - start))
        for chrom, (start, end) in SIZES.items()
    }


@pytest.fixture(scope="module")
def genome(dna, tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">chr1\n{dna['chr1']}\n>chr2:1001-1400\n{dna['chr2']}\n")
    return Genome.open(path, record_positions="names")


def base(dna, chrom, at):
    first, last = SIZES[chrom]
    return dna[chrom][at - first] if first <= at < last else "N"


def window(dna, chrom, start, end, strand, width):
    if strand == "-":  # the mirror image: the window around the mirrored region
        begin = -((-start - end) // 2 - width // 2) - width
    else:
        begin = (start + end) // 2 - width // 2
    text = "".join(base(dna, chrom, i) for i in range(begin, begin + width))
    return reverse_complement(text) if strand == "-" else text


@pytest.mark.parametrize("seed", range(6))
def test_windows_are_right_reported_or_left_out(dna, genome, tmp_path, caplog, seed):
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 40))
    rows = []
    for i in range(120):
        start = int(rng.integers(0, 1600))
        end = start + int(rng.integers(0, 50))
        rows.append((rng.choice(["chr1", "chr2", "chr3"]), start, end, f"r{i}", 0, "+-."[i % 3]))
    path = tmp_path / "a.bed"
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))

    def holds(chrom, start, end):
        first, last = SIZES.get(chrom, (0, -1))
        if start == end:
            return first <= start <= last
        return start < last and end > first

    kept = [row for row in rows if holds(*row[:3])]
    expected = [window(dna, *row[:3], row[5], width) for row in kept]
    parts = read_sequences(path, genome=genome, width=width, on_error="skip", batch=7)
    about, texts = [], []
    for part in parts:
        assert len(part.codes) <= 7 and (part.lengths == width).all()
        about += part.metadata["name"].to_list()
        texts += [to_text(codes) for codes in part.codes]
    assert about == [row[3] for row in kept] and texts == expected
    assert f"{len(rows) - len(kept)} of 120 regions lie outside of the genome" in caplog.text
    padded = sum("N" in text for text in expected)
    assert (f"{padded} of {len(kept)} windows reach past an end" in caplog.text) == (padded > 0)
    unknown = sum(set(text) == {"N"} for text in expected)
    assert (f"{unknown} of {len(kept)} sequences consist of N" in caplog.text) == (unknown > 0)
    with pytest.raises(SequenceError, match=f"{len(rows) - len(kept)} of 120 regions lie outside"):
        read_sequences(path, genome=genome, width=width)


def test_one_long_record_does_not_widen_all_others(tmp_path):
    texts = ["ACGTA" * 100] * 150 + ["C" * 1_000_000] + ["GGTAA" * 100] * 150
    path = tmp_path / "a.fa"
    path.write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)))
    found = []
    for about, codes, lengths in read_sequences(path):
        assert codes.size <= 1 << 24
        for name, row, n in zip(about["name"], codes, lengths.tolist(), strict=True):
            assert (row[n:] == 4).all()
            found.append((name, to_text(row[:n])))
    assert found == [(f"s{i}", text) for i, text in enumerate(texts)]


def test_wide_windows_make_small_batches(tmp_path):
    path, bed = tmp_path / "g.fa", tmp_path / "a.bed"
    path.write_text(">a\n" + "ACGT" * 25_000)
    bed.write_text("a\t10\t20\n" * 300)
    sizes = [part.codes.size for part in read_sequences(bed, genome=path, width=100_000)]
    assert sum(sizes) == 300 * 100_000 and max(sizes) <= 1 << 24


def test_lengths_are_checked_before_anything_is_given_out(tmp_path):
    def check(length, what):
        if length > 6:
            raise ModelError(f"{what} is too long: {length}")

    path = tmp_path / "a.fa"
    path.write_text(">one\nACGT\n>two\nACGTACGT\n>three\nACG\n")
    with pytest.raises(ModelError, match=r"a\.fa: record 'two' is too long: 8"):
        read_sequences(path, check=check, batch=1)
    path.write_text(">one\nACGT\n>three\nACG\n")
    assert sum(len(part.codes) for part in read_sequences(path, check=check)) == 2


def test_a_strand_that_is_none_is_named_by_its_row(genome, tmp_path):
    path = tmp_path / "a.bed"
    path.write_text("chr1\t10\t20\ta\t0\t+\n" * 40 + "chr1\t10\t20\ta\t0\tleft\n")
    with pytest.raises(GenoglotError, match="the strand of row 41 is 'left'"):
        read_sequences(path, genome=genome, batch=7)


def test_codes_of_a_file_are_those_of_its_letters(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">one\nACGU\n>two\nAcR\n")
    [part] = read_sequences(path)
    assert (part.codes == stack_codes(["ACGT", "ACN"])[0]).all()
    assert part.metadata["name"].to_list() == ["one", "two"]
    with pytest.raises(SequenceError, match="is FASTA; a genome and a width"):
        read_sequences(path, width=5)
