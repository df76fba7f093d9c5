"""The chat template of a model file: Jinja, rendered in a sandbox.

Rendered as Transformers and llama-cpp-python do it (same options, filters and functions), since
that is what templates are written for. Imports jinja2, so only the worker imports this module.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agent.errors import ModelUnavailable

# What code in a template can raise; a mistake there is the model file's, not ours.
_TEMPLATE_FAILURES = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class _GenerationTags(jinja2.ext.Extension):
    """Passes through {% generation %}, which marks training targets and means nothing here."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own form

    def parse(self, parser: Parser) -> list[nodes.Node]:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """Renders messages to the text a model was trained on."""

    def __init__(self, source: str, bos_text: str, eos_text: str) -> None:
        self.source = source
        self._texts = {"bos_token": bos_text, "eos_token": eos_text}
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_GenerationTags, jinja2.ext.loopcontrols],
        )
        environment.filters["tojson"] = _to_json
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ModelUnavailable(f"the model's chat template does not compile: {error}") from None

    def render(
        self,
        messages: Sequence[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        *,
        to_be_continued: bool = True,
    ) -> str:
        """Render up to where the assistant speaks next, or only to the end of the messages.

        Raises:
            ModelUnavailable: the template refuses these messages, e.g. a system message.
        """
        try:
            return self._template.render(
                messages=messages,
                tools=tools,
                add_generation_prompt=to_be_continued,
                enable_thinking=False,  # Qwen3's switch; others ignore it
                raise_exception=_raise_exception,
                strftime_now=lambda form: datetime.now().strftime(form),
                functions=_to_json(tools or []),  # these two in templates of 2024
                datetime=datetime.now().strftime("%B %d %Y"),
                **self._texts,
            )
        except _TEMPLATE_FAILURES as error:
            roles = ", ".join(message["role"] for message in messages)
            raise ModelUnavailable(
                f"the model's chat template refuses messages of the roles {roles}: {error};"
                " use a model whose template takes a system message"
            ) from None


class Defuser:
    """Breaks up control markers in untrusted text, so that no message can end its own turn.

    A space goes behind the first character of each marker: `< |im_end|>` is ordinary text.
    """

    def __init__(self, markers: Iterable[str]) -> None:
        longest_first = sorted({m for m in markers if len(m) > 2}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def text(self, text: str) -> str:
        """Give the text without markers."""
        return self._pattern.sub(lambda m: m.group()[0] + " " + m.group()[1:], text)

    def object(self, value: dict[str, Any]) -> dict[str, Any]:
        """Give a JSON object with every string in it defused, keys too."""
        return {self.text(key): self._value(member) for key, member in value.items()}

    def _value(self, value: Any) -> Any:

        match value:
            case str():
                return self.text(value)
            case dict():
                return self.object(value)
            case list():
                return [self._value(member) for member in value]
            case _:
                return value


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
