"""Remembering: agents, core memory, recall, archives, search and the events that changed them.

The only package that speaks SQL; knows nothing of MCP or language models. Read next: store.py.
"""
