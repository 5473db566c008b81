"""Data sets, baselines and measures of GeneBERT, for experiments/genebert.py."""
