"""Genoglot: read, write and translate text, region sets and DNA."""

__version__ = "0.1.0"
