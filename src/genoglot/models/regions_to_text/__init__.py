"""Models that describe region sets: annotators and their baselines."""
