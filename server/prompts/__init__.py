"""What a person can ask for by name in a host: prompts, one Markdown file each.

They tell the host's model what to do with the tools; what memory holds is put in as data.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from agent.containment import keep_inside
from agent.memory_tools import Scope
from agent.prompts import render
from agent.search_tools import ArchivalSearch, search_archive
from memory import agents
from memory.transaction import Reader
from server.memory_access import MemoryAccess
from server.memory_uris import agent_uri, describe_memory, passage_uri
from server.registry import Caller, Prompt, PromptArgument
from server.reply_size import shortened

if TYPE_CHECKING:  # hosts list the prompts before DuckDB is imported
    from memory.store import MemoryStore

# A prompt's text travels once: memory, hits and our own words together stay under a reply's bound.
_MEMORY_BYTES: Final = 7_000
_HIT_BYTES: Final = 700
_HITS: Final = 8

_AGENT = PromptArgument("agent_id", "The agent's name or id.", required=True)


def memory_prompts(access: MemoryAccess) -> tuple[Prompt, ...]:
    """The table of prompts, in the order hosts list them."""

    async def remember(caller: Caller, given: Mapping[str, str]) -> str:
        memory = await access.read(caller, lambda _, r: _memory(r, given["agent_id"]))
        return _rendered("remember-session", **memory)

    async def recall(caller: Caller, given: Mapping[str, str]) -> str:
        def work(store: "MemoryStore", reader: Reader) -> dict[str, str]:
            found = _found(store, reader, given["agent_id"], given["topic"])
            return {**_memory(reader, given["agent_id"]), "found": found}

        return _rendered("recall", topic=given["topic"], **await access.read(caller, work))

    async def new_agent(caller: Caller, given: Mapping[str, str]) -> str:
        purpose = given.get("purpose", "").strip() or "ask the user what it is to do."
        return _rendered("new-agent", name=given["name"], purpose=purpose)

    return (
        Prompt(
            "remember-session",
            "Remember this conversation",
            "Keep what is worth keeping of this conversation in an agent's memory.",
            (_AGENT,),
            remember,
        ),
        Prompt(
            "recall",
            "Recall",
            "Put what an agent remembers about a topic into the conversation.",
            (_AGENT, PromptArgument("topic", "What to recall.", required=True)),
            recall,
        ),
        Prompt(
            "new-agent",
            "New agent",
            "Create an agent and write its first core memory.",
            (
                PromptArgument("name", "Its name.", required=True),
                PromptArgument("purpose", "What it is for, and how it should be."),
            ),
            new_agent,
        ),
    )


def _rendered(prompt: str, **values: str) -> str:
    return render(prompt, package="server.prompts", **values)


def _memory(reader: Reader, agent_id: str) -> dict[str, str]:
    """Who the agent is, and its memory as text that cannot end the element it stands in."""
    agent = agents.find_agent(reader, agent_id)
    where = f"memory_read {agent_uri(agent.id)}"
    memory = shortened(describe_memory(reader, agent), _MEMORY_BYTES, where)
    return {
        "agent_id": agent.id,
        "name": agent.name,
        "memory": keep_inside("memory_of_agent", memory),
    }


def _found(store: "MemoryStore", reader: Reader, agent_id: str, topic: str) -> str:
    agent = agents.find_agent(reader, agent_id)
    wanted = ArchivalSearch(query=topic, top_k=_HITS)
    hits = search_archive(Scope(store, reader, agent), wanted).results
    lines = [
        f"- [{hit.timestamp}] "
        + shortened(hit.content, _HIT_BYTES, f"memory_read {passage_uri(agent.id, hit.id)}")
        for hit in hits
    ]
    return keep_inside("found_in_memory", "\n".join(lines) or "nothing")
