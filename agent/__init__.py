"""Thinking: the context window, the turn loop, the memory tools and the models.

Knows nothing of MCP and speaks no SQL. Read next: loop.py (a turn), context.py (what the model
sees).
"""
