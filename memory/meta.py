"""What is stored about a memory as a whole."""

import json

from memory.transaction import Reader


def stored_embedder(reader: Reader) -> str | None:
    """Return the name of the embedder that owns the vectors, or None for a new file."""
    stored = reader.value("read_meta", name="embedder")
    return None if stored is None else str(json.loads(stored)["name"])
