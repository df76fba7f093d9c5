"""The head of every prompt: instructions and core memory; and stored messages as a model sees them.

Pure. The head holds no clock and no counter, so that an unchanged agent keeps its key-value cache.
Which messages follow the head is decided in window.py.
"""

from collections.abc import Sequence

from agent.containment import contain
from agent.model import ChatMessage
from agent.prompts import render
from memory.records import Agent, Block, Message, NewMessage


def system_prompt(agent: Agent, blocks: Sequence[Block]) -> str:
    """The head of every prompt: the agent's instructions and its core memory."""
    instructions = agent.system or render("system", name=agent.name)
    return f"{instructions}\n\n{render_blocks(blocks)}"


def render_blocks(blocks: Sequence[Block]) -> str:
    """Core memory as the model reads it, in Letta's layout.

    No value or description can close an element, so none can pose as another block.
    """
    labels = [block.label for block in blocks]
    return render("blocks", blocks="\n\n".join(_render_block(block, labels) for block in blocks))


def chat_message(message: Message | NewMessage) -> ChatMessage:
    """A stored or new message as the model sees it."""
    return ChatMessage(
        role=message.role,
        content=message.content,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id,
    )


def _render_block(block: Block, labels: Sequence[str]) -> str:
    metadata = [f"- chars_current={len(block.value)}", f"- chars_limit={block.limit_chars}"]
    if block.read_only:
        metadata.insert(0, "- read_only=true")
    return render(
        "block",
        label=block.label,
        description=contain(block.description or f"The {block.label} block.", labels),
        metadata="\n".join(metadata),
        value=contain(block.value, labels),
    )
