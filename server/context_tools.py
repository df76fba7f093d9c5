"""What an agent's model sees now: its context window, in tokens by section."""

from dataclasses import dataclass

from agent.context_window import look_into
from memory.errors import InvalidValue
from server.memory_access import MemoryAccess
from server.memory_tools import DELEGATING
from server.memory_uris import piece_of
from server.registry import Call, Tool
from server.reply_size import PAGE_BYTES
from server.run_models import ContextShown, GetContext, SectionShown
from server.run_views import context_text


@dataclass(frozen=True, slots=True)
class ContextTools:
    """What the tool does."""

    access: MemoryAccess

    async def context(self, call: Call, a: GetContext) -> ContextShown:
        """agent_context."""
        parts = await self.access.runtime()
        state = await self.access.state(call.caller, a.agent_id)
        async with parts.compiler_for(state.agent) as (compiler, is_model):
            window = await look_into(compiler, state, parts.outside.source)
        text = cursor = None
        if a.section is not None:
            texts = {section.name: section.text for section in window.sections}
            if a.section not in texts:
                raise InvalidValue(
                    f"there is no section {a.section[:80]!a}; there are {', '.join(texts)}"
                )
            piece = piece_of(texts[a.section], a.cursor, PAGE_BYTES)
            text, cursor = piece.text, piece.next_cursor
        return ContextShown(
            agent_id=state.agent.id,
            counted="model" if is_model else "estimate",
            window_tokens=window.window_tokens,
            reply_tokens=window.reply_tokens,
            used_tokens=window.used_tokens,
            sections=[
                SectionShown(name=section.name, tokens=section.tokens, chars=len(section.text))
                for section in window.sections
            ],
            messages=window.messages,
            messages_outside=window.messages_outside,
            text=text,
            next_cursor=cursor,
        )


def context_tool(access: MemoryAccess) -> Tool:
    """agent_context."""
    return Tool(
        name="agent_context",
        title="Show a context window",
        description="What the agent's model sees now, in tokens by section.",
        arguments=GetContext,
        result=ContextShown,
        run=ContextTools(access).context,
        text=context_text,
        read_only=True,
        toolsets=DELEGATING,
    )
