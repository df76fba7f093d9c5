"""The OpenAI-compatible chat API in parts; endpoint.py, one folder up, puts them together."""
