"""Given: JSON values and texts of JSON with comments, as hosts and people leave them."""

import json
from random import Random
from typing import Any

from hypothesis import strategies as st

NAMES = st.text(max_size=6) | st.sampled_from(["mcpServers", "mnemon", "other"])


def json_values() -> st.SearchStrategy[Any]:
    """Any value that JSON can hold."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(10**20), 10**20)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8)
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    )


def configurations() -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have a place for servers, or none yet."""
    servers = st.dictionaries(st.text(max_size=6), json_values(), max_size=3)
    others = st.dictionaries(st.text(max_size=6), json_values(), max_size=3)
    with_servers = st.builds(
        lambda before, inner, after: {**before, "mcpServers": inner, **after},
        others,
        servers,
        others,
    )
    return others | with_servers


@st.composite
def jsonc_texts(
    draw: st.DrawFn, values: st.SearchStrategy[Any] | None = None
) -> tuple[str, Any, list[str]]:
    """A text with comments, blanks and trailing commas anywhere; its value; its comments."""
    value = draw(json_values() if values is None else values)
    writer = _Writer(draw(st.randoms(use_true_random=False)))
    return writer.gap() + writer.write(value) + writer.gap(), value, writer.comments


class _Writer:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.newline = random.choice(["\n", "\r\n"])
        self.comments = list[str]()

    def gap(self) -> str:
        """Blanks and comments, or nothing; comments look like what they are not."""
        return "".join(self._trivia() for _ in range(self.random.choice([0, 0, 1, 3])))

    def write(self, value: Any) -> str:
        """A value with gaps wherever they may be."""
        if isinstance(value, dict):
            return "{" + self._joined([self._member(*pair) for pair in value.items()]) + "}"
        if isinstance(value, list):
            return "[" + self._joined([self._item(item) for item in value]) + "]"
        return json.dumps(value)

    def _trivia(self) -> str:
        kind = self.random.choice([" ", "\t", self.newline, "//", "/*"])
        if kind not in ("//", "/*"):
            return kind
        self.comments.append(f'{kind} {len(self.comments)}, {{]" ' + "*/" * (kind == "/*"))
        return self.comments[-1] + self.newline * (kind == "//")

    def _item(self, value: Any) -> str:
        return self.gap() + self.write(value) + self.gap()

    def _member(self, key: str, value: Any) -> str:
        return f"{self.gap()}{json.dumps(key)}{self.gap()}:{self._item(value)}"

    def _joined(self, parts: list[str]) -> str:
        trailing = "," if parts and self.random.random() < 0.5 else ""
        return ",".join(parts) + trailing + self.gap()
