"""What a server answered to a call, as the text that a model reads. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from server.external.words import clean, shortened

MAX_RESULT_CHARS: Final = 50_000
_MAX_PARTS: Final = 200


def result_text(result: Mapping[str, Any], max_chars: int = MAX_RESULT_CHARS) -> tuple[str, bool]:
    """The text of a result of tools/call, and whether it says that the call failed.

    Texts are joined; what is no text is named by type and size. What is only given as structure is
    shown as JSON.
    """
    content = result.get("content")
    parts = content if isinstance(content, list) else []
    texts = [_part_text(part) for part in parts[:_MAX_PARTS]]
    if len(parts) > _MAX_PARTS:
        texts.append(f"[{len(parts) - _MAX_PARTS} more parts]")
    has_text = any(isinstance(p, Mapping) and p.get("type") == "text" for p in parts)
    if not has_text and result.get("structuredContent") is not None:
        texts.append(json.dumps(result["structuredContent"], ensure_ascii=False))
    if not parts and result.get("resultType") == "input_required":
        return "it wants to ask a person first, which is not supported here", True
    text = clean("\n".join(texts))
    return shortened(text, max_chars) or "[an empty result]", result.get("isError") is True


def _part_text(part: object) -> str:
    if not isinstance(part, Mapping):
        return "[a part that is none]"
    match part.get("type"):
        case "text":
            return str(part.get("text", ""))
        case "image" | "audio" as kind:
            return f"[{kind}, {_word(part.get('mimeType'))}, {_size(part.get('data'))}]"
        case "resource_link":
            return f"[link to {_word(part.get('uri'))}]"
        case "resource":
            return _resource_text(part.get("resource"))
        case other:
            return f"[a part of type {_word(other)}]"


def _resource_text(resource: object) -> str:
    if not isinstance(resource, Mapping):
        return "[a resource that is none]"
    name = f"resource {_word(resource.get('uri'))}"
    if isinstance(text := resource.get("text"), str):
        return f"[{name}]\n{text}"
    return f"[{name}, {_word(resource.get('mimeType'))}, {_size(resource.get('blob'))}]"


def _word(value: object) -> str:
    return shortened(str(value), 200).replace("\n", " ")


def _size(encoded: Any) -> str:
    count = len(encoded) * 3 // 4 if isinstance(encoded, Sequence) else 0
    return f"about {count} bytes"
