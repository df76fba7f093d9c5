"""What an agent's context window holds now: its sections with their texts, counted in tokens.

Counted as a prompt is compiled, section by section; no rendered prompt is taken apart again.
"""

import json
from dataclasses import dataclass, replace

from agent.calls import CallBook
from agent.compiling import Asked, Compiler, with_view
from agent.context import view_of
from agent.model import ChatMessage
from agent.models.transcript import message_text
from agent.settings import settings_of
from agent.tools import offered_tools, tool_specs
from agent.window import Clipping, read_turns, shown_messages, tokens_of
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


async def look_into(compiler: Compiler, state: AgentState) -> ContextWindow:
    """The agent's window as it is now. Nothing is changed and the model is not asked."""
    settings = settings_of(state.agent)
    tools = offered_tools(settings.tools)
    rules = CallBook.of(settings, tuple(tools), ()).rules.describe()
    view = view_of(state.agent, state.blocks, rules)
    state = with_view(state, replace(view, steps_from=state.agent.view.steps_from))
    asked = Asked(state, (), settings, tool_specs(tuple(tools.values())), rules)
    budget = await compiler.budget(settings)
    clipping = Clipping.of(budget.max_result_chars)
    shown = shown_messages(state, (), clipping)
    parts = [ChatMessage("user", text) for text in view.head.values()]
    counted = await compiler.count(asked, [*shown, *parts])
    bare = await compiler.count(replace(asked, tools=()), ())
    sections = [Section(name, text, counted.texts[text]) for name, text in view.head.items()]
    described = json.dumps(
        [
            {"name": t.name, "description": t.description, "parameters": dict(t.parameters)}
            for t in asked.tools
        ],
        ensure_ascii=False,
    )
    said = "\n".join(f"{message.role}: {message_text(message)}" for message in shown)
    in_head = sum(section.tokens for section in sections)
    sections += [
        Section(TOOLS, described, counted.head_tokens - bare.head_tokens),
        Section(TEMPLATE, "", bare.head_tokens - in_head),
        Section(MESSAGES, said, tokens_of(read_turns(state, (), counted.count, clipping))),
    ]
    return ContextWindow(
        tuple(sections),
        budget.context_tokens,
        budget.reply_tokens,
        len(state.messages),
        state.total_messages - len(state.messages),
    )
