"""What an engine gives back for a prompt: raw text and counts; parse.py reads it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """What was generated.

    cut: the token limit shaped it: ended a text, closed a call early, or left one no room.
    invented: what closed it is more than an end: an argument, or a tool, that nobody chose.
    """

    text: str
    tokens: int
    cut: bool
    invented: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated text, the length of its prompt and how much of that was there already."""

    output: Output
    prompt_tokens: int
    cached_tokens: int
