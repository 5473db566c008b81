"""DNA: letters and codes, FASTA files, genomes, motifs, tokenizers."""

from genoglot.sequence.alphabet import reverse_complement, stack_codes, to_codes, to_text
from genoglot.sequence.fasta import FastaRecord, read_fasta
from genoglot.sequence.genome import Genome, window_starts
from genoglot.sequence.records import SequenceBatch, read_sequences
from genoglot.sequence.tokenizers.byte_pair import BpeTokenizer
from genoglot.sequence.tokenizers.kmer import KmerTokenizer
from genoglot.sequence.tokenizers.one_hot import OneHotTokenizer, from_one_hot, one_hot
from genoglot.sequence.tokenizers.patch import PatchTokenizer
from genoglot.sequence.tokenizers.tokenizer import DnaTokenizer
from genoglot.sequence.tokenizers.vocabulary import IdTokenizer

__all__ = [
    "BpeTokenizer",
    "DnaTokenizer",
    "FastaRecord",
    "Genome",
    "IdTokenizer",
    "KmerTokenizer",
    "OneHotTokenizer",
    "PatchTokenizer",
    "SequenceBatch",
    "from_one_hot",
    "one_hot",
    "read_fasta",
    "read_sequences",
    "reverse_complement",
    "stack_codes",
    "to_codes",
    "to_text",
    "window_starts",
]
