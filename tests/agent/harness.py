"""Words the agent's tests share: making agents, saying what a model answers, looking at memory."""

from collections.abc import Sequence
from contextlib import nullcontext

from agent.live_run import LiveRun, Said
from agent.loop import AgentLoop
from agent.memory_tools import Scope
from agent.model import ChatModel, ToolCalls
from agent.outside import ToolSource, no_tools
from agent.runs import Runs
from agent.tools import ALL_TOOLS, run_call
from memory import agents, core_memory, events, recall
from memory.agents import NewAgent
from memory.records import Agent, Block, Event, Message, Origin, ToolCall
from memory.store import MemoryStore

PERSON = Origin("person:test", "test")
BLOCKS = (Block("persona", "I am Ada."), Block("human", "Name: Sam", description="The user."))


def new_agent(store: MemoryStore, name: str, blocks: Sequence[Block] = BLOCKS) -> Agent:
    with store.write(PERSON) as transaction:
        return agents.create_agent(transaction, NewAgent(name, blocks=tuple(blocks)))


def add_block(store: MemoryStore, agent: Agent, draft: Block) -> None:
    with store.write(PERSON) as transaction:
        core_memory.create_block(transaction, agent, draft)


def call(name: str, /, **arguments: object) -> ToolCall:
    return ToolCall(f"call-{name}", name, arguments)


def calls(*made: ToolCall, text: str = "") -> ToolCalls:
    return ToolCalls(made, text)


def remember(content: str) -> ToolCalls:
    return calls(call("core_memory_append", label="human", content=content))


def runs_on(store: MemoryStore, model: ChatModel, source: ToolSource = no_tools) -> Runs:
    """The runs of a process whose agents all think with this model and have these tools."""
    loop = AgentLoop(store, model, source)
    return Runs(store, lambda _: nullcontext(loop))


async def turn(
    store: MemoryStore, model: ChatModel, text: str, agent: str = "ada", run_id: str | None = None
) -> LiveRun:
    return await runs_on(store, model).message(Said(agent, text, "person:test", run_id))


def use(store: MemoryStore, agent: Agent, name: str, /, **arguments: object) -> str:
    """Call one tool as a model does, in a transaction of its own."""
    with store.write(Origin(f"agent:{agent.name}", "test")) as transaction:
        return run_call(Scope(store, transaction, agent), ALL_TOOLS, call(name, **arguments))


def block_value(store: MemoryStore, agent: Agent, label: str = "human") -> str:
    with store.read() as reader:
        return core_memory.get_block(reader, agent, label).value


def stored_messages(store: MemoryStore, agent: Agent) -> list[Message]:
    """All of the agent's messages, as the database has them, oldest first."""
    with store.read() as reader:
        rows = reader.rows("window_messages", agent_key=agent.key, window_start=0, limit=100_000)
        return [recall.message_of(row) for row in rows]


def said(store: MemoryStore, agent: Agent) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in stored_messages(store, agent)]


def stored_events(store: MemoryStore, agent: Agent) -> list[Event]:
    with store.read() as reader:
        return events.list_events(reader, agent.id)
