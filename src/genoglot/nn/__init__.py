"""Layers that models share: attention, convolutions, decoders, diffusion."""
