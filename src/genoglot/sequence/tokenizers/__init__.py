"""Tokenizers of DNA: k-mers, patches, byte pairs and one-hot bases."""
