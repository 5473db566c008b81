"""The benchmark: a grid of models on tasks, run, cached, and put into a results table."""
