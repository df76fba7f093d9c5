"""The embedder seam: text to unit vectors.

Only the protocol; implementations live in memory/embedders/ and load their weights late.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""(n, d) float32, rows of length 1."""

TextKind = Literal["query", "passage"]


class Embedder(Protocol):
    """Turns text into vectors. `name` is stored with them; another name means: embed again."""

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """Return (len(texts), dimensions) float32, rows of length 1, in the order of texts."""

    def split(self, text: str) -> list[str]:
        """Cut a text into pieces that `embed` sees whole; one piece when it fits, never none.

        The pieces, joined, are the text.
        """
