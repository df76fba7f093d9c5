"""What an agent's context window holds now: its sections with their texts, counted in tokens.

Counted as a prompt is compiled, section by section; no rendered prompt is taken apart again.
"""

import json
from dataclasses import dataclass, replace

import anyio.to_thread

from agent.calls import CallBook
from agent.compiling import Asked, Compiler, with_view
from agent.context import system_prompt, view_of
from agent.model import ChatMessage
from agent.models.transcript import message_text
from agent.outside import ToolSource, no_tools
from agent.settings import settings_of
from agent.tool_table import ToolTable
from memory.records import AgentState

TOOLS, TEMPLATE, MESSAGES = "tools", "template", "messages"
"""Sections beside those of the head (context.py); template: what the chat template adds to it."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the window."""

    name: str
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """What the next prompt begins with, before anything new is said.

    messages_outside: how many have left the window and are in recall memory only.
    """

    sections: tuple[Section, ...]
    window_tokens: int
    reply_tokens: int
    messages: int
    messages_outside: int

    @property
    def used_tokens(self) -> int:
        """Of all sections together."""
        return sum(section.tokens for section in self.sections)


async def look_into(
    compiler: Compiler, state: AgentState, source: ToolSource = no_tools
) -> ContextWindow:
    """The agent's window as it is now. Nothing is changed and the model is not asked."""
    settings = settings_of(state.agent)
    tools = await anyio.to_thread.run_sync(ToolTable.of, state, source)
    rules = CallBook.of(settings, tools, ()).rules.describe()
    state = with_view(state, view_of(state, rules))
    asked = Asked(state, (), settings, tools.specs(), rules)
    shown = await compiler.shown(asked)
    sections = await _head_sections(compiler, asked)
    described = json.dumps(
        [
            {"name": t.name, "description": t.description, "parameters": dict(t.parameters)}
            for t in asked.tools
        ],
        ensure_ascii=False,
    )
    said = "\n".join(f"{message.role}: {message_text(message)}" for message in shown.messages)
    bare = (await compiler.count(replace(asked, tools=()))).head_tokens
    in_head = sum(section.tokens for section in sections)
    sections += [
        Section(TOOLS, described, shown.head_tokens - bare),
        Section(TEMPLATE, "", bare - in_head),
        Section(MESSAGES, said, shown.tokens - shown.head_tokens),
    ]
    budget = await compiler.budget(settings)
    return ContextWindow(
        tuple(sections),
        budget.context_tokens,
        budget.reply_tokens,
        len(state.messages),
        state.total_messages - len(state.messages),
    )


async def _head_sections(compiler: Compiler, asked: Asked) -> list[Section]:
    """Each section with what it adds to those before it, so that together they are the head."""
    head = dict(asked.state.agent.view.head)
    names = list(head)
    upto = [
        ChatMessage("system", system_prompt({name: head[name] for name in names[: end + 1]}))
        for end in range(len(names))
    ]
    counted = await compiler.count(asked, upto)
    totals = [0, *(counted.texts[message.content] for message in upto)]
    return [
        Section(name, head[name], total - before)
        for name, total, before in zip(names, totals[1:], totals, strict=False)
    ]
