"""Embeddings from a file: reading the vectors, starting from them, freezing them."""
