"""What can be shown of a reply while it is being written: of formats that share how.

Never half a call, nor the reasoning before an answer, nor what may yet turn out to be either.
"""

from agent.models.formats.reading import THINK_CLOSE, THINK_OPEN


def before_calls(
    text: str, call: str, opening: str = THINK_OPEN, closing: str = THINK_CLOSE
) -> str:
    """Give the text behind reasoning and before calls, of which `call` begins the first."""
    said, opened, _ = text.partition(call)
    _, closed, answer = said.rpartition(closing)
    if not closed and said.lstrip().startswith(opening):
        return ""
    if not opened:
        for marker in (call, opening, closing):
            answer = without_beginning_of(marker, answer)
    return answer.strip()


def without_beginning_of(marker: str, text: str) -> str:
    """Hold back an end that may become a marker."""
    for length in range(min(len(marker) - 1, len(text)), 0, -1):
        if text.endswith(marker[:length]):
            return text[:-length]
    return text
