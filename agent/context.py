"""The head of every prompt: instructions, tool rules, core memory, summary; and messages as shown.

Pure. The head is rendered once and then kept to the byte (memory.records.View), so that a model's
key-value cache stays good: it holds no clock and no counter. An edit that the agent makes is seen
in its tool's result, one that others make in a note before the next message (news); a compaction
renders everything anew. Which messages follow the head is decided in window.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.containment import contain, keep_inside
from agent.model import ChatMessage
from agent.prompts import render
from memory.records import Agent, AgentState, Block, Message, NewMessage, View

SYSTEM, TOOL_RULES, CORE_MEMORY, SUMMARY = "system", "tool_rules", "core_memory", "summary"
"""The sections of a head, in their order."""


def render_head(
    agent: Agent, blocks: Sequence[Block], rules: str = "", summary: str = ""
) -> dict[str, str]:
    """The sections of a new head. rules: as RuleSet.describe tells them; empty: none."""
    head = {SYSTEM: agent.system or render("system", name=agent.name)}
    if rules:
        head[TOOL_RULES] = rules
    head[CORE_MEMORY] = render_blocks(blocks)
    if summary:
        head[SUMMARY] = render("summary", summary=keep_inside("summary", summary))
    return head


def system_prompt(head: Mapping[str, str]) -> str:
    """The system message that a head makes."""
    return "\n\n".join(head.values())


def new_view(state: AgentState, rules: str = "", summary: str = "") -> View:
    """A view with everything as it is now."""
    agent, messages = state.agent, state.messages
    inside = {str(message.doc) for message in messages}
    return View(
        head=render_head(agent, state.blocks, rules, summary),
        summary=summary,
        seen=stamps(state.blocks),
        steps_from=agent.view.steps_from,
        notes_from=messages[-1].doc + 1 if messages else agent.window_start,
        clipped={doc: chars for doc, chars in agent.view.clipped.items() if doc in inside},
    )


def view_of(state: AgentState, rules: str = "") -> View:
    """The agent's view; a new one when its instructions or rules are others by now."""
    view = state.agent.view
    fresh = render_head(state.agent, (), rules)
    if all(view.head.get(name) == fresh.get(name) for name in (SYSTEM, TOOL_RULES)):
        return view
    return new_view(state, rules, view.summary)


def stamps(blocks: Sequence[Block]) -> dict[str, str]:
    """What tells each block, as it is now, from what it was or may become: by label."""
    return {block.label: f"{block.id}:{block.version}" for block in blocks}


def news(view: View, blocks: Sequence[Block]) -> str:
    """What others changed in core memory since the model last saw it; empty: nothing."""
    labels = [block.label for block in blocks]
    now = stamps(blocks)
    changed = [
        _render_block(block, labels)
        for block in blocks
        if view.seen.get(block.label) != now[block.label]
    ]
    gone = [render("block_gone", label=label) for label in view.seen if label not in now]
    if not changed and not gone:
        return ""
    return render("news", news="\n\n".join([*changed, *gone]))


def with_seen(view: View, blocks: Sequence[Block], labels: Sequence[str]) -> View:
    """The view after the model was shown these blocks as they are now."""
    now = stamps(blocks)
    seen = {label: stamp for label, stamp in view.seen.items() if label not in labels}
    return replace(view, seen={**seen, **{label: now[label] for label in labels if label in now}})


def render_blocks(blocks: Sequence[Block]) -> str:
    """Core memory as the model reads it, in Letta's layout.

    No value or description can close an element, so none can pose as another block.
    """
    labels = [block.label for block in blocks]
    return render("blocks", blocks="\n\n".join(_render_block(block, labels) for block in blocks))


def chat_message(message: Message | NewMessage) -> ChatMessage:
    """A stored or new message as the model sees it. A note is said by the user's side."""
    return ChatMessage(
        role="user" if message.role == "system" else message.role,
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
