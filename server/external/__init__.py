"""MCP servers of others, whose tools agents use; what they say is not trusted.

servers.py keeps connections (connection.py) over stdio.py or http.py, bounded.py bounds what comes
through them. listing.py makes their tools fit for models (schemas.py, words.py), results.py their
answers; tools.py offers them to agents.
"""
