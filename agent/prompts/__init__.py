"""Prompt texts, one Markdown file each, with $placeholders. A missing value is an error."""

from functools import cache
from importlib.resources import files
from string import Template


@cache
def _template(package: str, name: str) -> Template:
    text = files(package).joinpath(f"{name}.md").read_text(encoding="utf-8")
    return Template(text.rstrip("\n"))


def render(prompt: str, /, package: str = "agent.prompts", **values: str) -> str:
    """Return PROMPT.md of a package with its placeholders filled.

    Raises:
        KeyError: a placeholder has no value.
    """
    return _template(package, prompt).substitute(values)
