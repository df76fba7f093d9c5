"""Embedders behind memory.embedding.Embedder: MiniLM in the package, or any sentence-transformers model."""
