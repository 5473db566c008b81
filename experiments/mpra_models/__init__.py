"""Models of the effects of single-base changes, for experiments/mpra.py."""
