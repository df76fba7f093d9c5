"""Reading on in a message that a prompt shows only the beginning of."""

from pydantic import Field

from agent.memory_tools import Arguments, MemoryTool, Result, Scope
from agent.window import READ_ON
from memory import recall

_NOTE_CHARS = 120


class MessageRead(Arguments):
    """Arguments of message_read."""

    number: int = Field(ge=1, description="Number of the message.")
    start: int = Field(0, ge=0, description="How many of its characters to skip.")


class MessagePart(Result):
    """A part of a message. left: how many characters follow it."""

    number: int
    role: str
    start: int
    content: str
    left: int


def _read(scope: Scope, a: MessageRead) -> MessagePart:
    message = recall.numbered_message(scope.reader, scope.agent, a.number)
    end = a.start + max(1, scope.max_chars - _NOTE_CHARS)
    return MessagePart(
        number=a.number,
        role=message.role,
        start=a.start,
        content=message.content[a.start : end],
        left=max(0, len(message.content) - end),
    )


def _text(part: MessagePart) -> str:
    if not part.left:
        return part.content
    end = part.start + len(part.content)
    return f"{part.content}\n[{part.left} more characters; read them with start {end}]"


MESSAGE_READ = MemoryTool(
    name=READ_ON,
    title="Read a message",
    description="Read on in a message of which only the beginning was shown.",
    arguments=MessageRead,
    result=MessagePart,
    run=_read,
    text=_text,
    writes=False,
)
