"""What the model sees: system prompt, blocks and the newest messages that fit. Pure.

The prompt fits the window by construction: every text is counted with the model's own tokenizer
before it is admitted. Older messages leave the window, never recall memory. The head holds no clock
and no counter, so that an unchanged agent keeps its key-value cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.errors import ContextTooSmall
from agent.model import ChatMessage, ToolCall
from agent.prompts import render
from memory.records import Agent, AgentState, Block, Message, NewMessage

KEPT_SHARE = 0.7
"""When messages must leave, leave at once as many as bring the rest to this share of the room: each
departure costs the whole key-value cache, so they should be rare."""

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of one prompt.

    messages: without the system message. window_start: doc of the oldest stored message in it;
    unchanged when nothing left. tokens: of head and messages together.
    """

    messages: tuple[ChatMessage, ...]
    window_start: int
    tokens: int


def system_prompt(agent: Agent, blocks: Sequence[Block]) -> str:
    """The head of every prompt: the agent's instructions and its core memory."""
    instructions = agent.system or render("system", name=agent.name)
    return f"{instructions}\n\n{render_blocks(blocks)}"


def render_blocks(blocks: Sequence[Block]) -> str:
    """Core memory as the model reads it, in Letta's layout."""
    return render("blocks", blocks="\n\n".join(map(_render_block, blocks)))


def fit_window(
    state: AgentState,
    new: Sequence[NewMessage],
    head_tokens: int,
    budget_tokens: int,
    count: CountTokens,
) -> Window:
    """Choose the messages of the next prompt: the new ones, and the newest stored ones that fit.

    A tool call is never parted from its results, and the last user message is always there.

    Args:
        new: messages of this turn that are not stored yet.
        head_tokens: the rendered system prompt and tools.
        budget_tokens: the window less the room for a reply.
        count: tokens of one message's text, with what the template puts around it.

    Raises:
        ContextTooSmall: the head, the last user message and the newest step alone do not fit.
    """
    groups = [*_stored_groups(state.messages), *_new_groups(new)]
    room = budget_tokens - head_tokens
    sizes = [sum(count(message_text(message)) for message in group.messages) for group in groups]
    window_start = state.agent.window_start
    if sum(sizes) > room:
        groups, sizes = _newest_that_fit(groups, sizes, room, head_tokens)
        stored = [group.first_doc for group in groups if group.first_doc]
        window_start = stored[0] if stored else state.messages[-1].doc + 1
    return Window(
        messages=tuple(message for group in groups for message in group.messages),
        window_start=window_start,
        tokens=head_tokens + sum(sizes),
    )


def message_text(message: ChatMessage) -> str:
    """All text of a message that costs tokens; call arguments as a model would write them."""
    calls = (f"{call.name} {dict(call.arguments)}" for call in message.tool_calls)
    return "\n".join([message.content, *calls])


@dataclass(frozen=True, slots=True)
class _Group:
    """Messages that stay together: one user message, or a step's answer with its tool results."""

    messages: tuple[ChatMessage, ...]
    first_doc: int
    is_user: bool


def _newest_that_fit(
    groups: list[_Group], sizes: list[int], room: int, head_tokens: int
) -> tuple[list[_Group], list[int]]:
    last_user = max((i for i, group in enumerate(groups) if group.is_user), default=len(groups) - 1)
    kept = {last_user, len(groups) - 1}
    used = sum(sizes[i] for i in kept)
    if used > room:
        raise ContextTooSmall(head_tokens + used, head_tokens + room)
    for i in range(len(groups) - 2, -1, -1):
        if i in kept:
            continue
        if used + sizes[i] > max(room * KEPT_SHARE, used):
            break
        kept.add(i)
        used += sizes[i]
    chosen = sorted(kept)
    return [groups[i] for i in chosen], [sizes[i] for i in chosen]


def _stored_groups(messages: Sequence[Message]) -> list[_Group]:
    return _group([(chat_message(message), message.doc) for message in messages])


def _new_groups(messages: Sequence[NewMessage]) -> list[_Group]:
    return _group([(chat_message(message), 0) for message in messages])


def _group(messages: Sequence[tuple[ChatMessage, int]]) -> list[_Group]:
    """Group messages; tool results whose call lies before the window are left out."""
    groups: list[_Group] = []
    for message, doc in messages:
        if message.role != "tool":
            groups.append(_Group((message,), doc, message.role == "user"))
        elif groups and not groups[-1].is_user:
            last = groups[-1]
            groups[-1] = _Group((*last.messages, message), last.first_doc, is_user=False)
    return groups


def chat_message(message: Message | NewMessage) -> ChatMessage:
    """A stored or new message as the model sees it."""
    return ChatMessage(
        role=message.role,
        content=message.content,
        tool_calls=tuple(ToolCall(c.id, c.name, c.arguments) for c in message.tool_calls),
        tool_call_id=message.tool_call_id,
    )


def _render_block(block: Block) -> str:
    metadata = [f"- chars_current={len(block.value)}", f"- chars_limit={block.limit_chars}"]
    if block.read_only:
        metadata.insert(0, "- read_only=true")
    return render(
        "block",
        label=block.label,
        description=_contained(block.description or f"The {block.label} block."),
        metadata="\n".join(metadata),
        value=_contained(block.value),
    )


def _contained(text: str) -> str:
    """Text that cannot close the element it stands in and so pose as structure."""
    return text.replace("</", "<\\/")
