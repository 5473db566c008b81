"""Models that read DNA: encoders, heads, predictors, pre-training, boosted trees, ensembles."""
