"""Models that turn a text into regions: generators and their baselines."""
