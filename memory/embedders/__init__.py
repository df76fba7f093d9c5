"""Embedders behind memory.embedder.Embedder: the packaged MiniLM, any sentence-transformers model.

Empty on purpose: importing it loads no weights and no runtime. Read next: factory.py.
"""
