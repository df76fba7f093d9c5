"""Stored Python tools as tools of an agent: what a call is given, and what is made of its outcome.

The source is run in the sandbox and nowhere else. What it may use is its policy's
(tool_policy.py); what it may ask of the agent's memory, memory_methods.py's.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import anyio.to_thread

from agent.custom.arguments import checked_arguments
from agent.custom.calling import call_target
from agent.custom.memory_methods import MemoryMethods
from agent.custom.missing_grants import missing_grants
from agent.custom.outcomes import told
from agent.custom.surroundings import Surroundings
from agent.custom.tool_policy import read_policy
from agent.outside import Done, OutsideCall, OutsideTool
from memory.errors import InvalidValue
from memory.records import AgentState
from memory.store import MemoryStore
from memory.tools import StoredTool, tools_of
from memory.transaction import to_json
from sandbox.protocol import Sandbox, ToolRun


class CustomTools:
    """The stored tools of all agents, over one sandbox."""

    def __init__(self, store: MemoryStore, sandbox: Sandbox, around: Surroundings) -> None:
        self._store, self._sandbox, self._around = store, sandbox, around

    def source(self, state: AgentState) -> Mapping[str, OutsideTool]:
        """The tools that are attached to an agent, in the order in which they were."""
        with self._store.read() as reader:
            return {tool.name: self.tool_of(tool) for tool in tools_of(reader, state.agent)}

    def tool_of(self, stored: StoredTool) -> OutsideTool:
        """A stored tool as one that can be called."""
        return OutsideTool(
            name=stored.name,
            description=stored.description,
            schema=stored.schema,
            run=partial(self._run, stored),
            actor=f"tool:{stored.name}",
            needs_approval=stored.requires_approval,
            parallel=_may_overlap(stored),
            max_chars=stored.return_limit_chars,
            version=f"{stored.id} {_what_it_does(stored)}",
        )

    async def _run(self, stored: StoredTool, call: OutsideCall) -> Done:
        """Run a tool once.

        Raises:
            MemoryStoreError: its arguments, its policy, a secret or a package cannot be had.
            SandboxError: it cannot be run here.
        """
        arguments = checked_arguments(stored.name, stored.schema, call.arguments)
        policy = read_policy(stored.policy)
        target = await anyio.to_thread.run_sync(call_target, stored.source, stored.name)
        secrets = await anyio.to_thread.run_sync(self._around.secrets, policy.secrets)
        workspace = await self._around.workspace(call.agent.id)
        packages = await self._around.packages(stored)
        methods = MemoryMethods(self._store, call.agent, call.run_id)
        run = ToolRun(
            source=target.source,
            function=target.function,
            arguments=arguments,
            policy=policy.for_sandbox(),
            environment=secrets,
            workspace=workspace,
            packages=packages,
            methods=methods.granted(policy.methods),
        )
        outcome = await self._sandbox.run(run)
        redact = self._around.redact(secrets)
        # On a thread: an answer may be large.
        hint = missing_grants(outcome.error or "", policy)
        limit = stored.return_limit_chars
        done = await anyio.to_thread.run_sync(told, outcome, redact, limit, False, hint)
        return done if done.failed else replace(done, commit=methods.commit)


def _what_it_does(stored: StoredTool) -> str:
    """A short name for all that a person agrees to with a call: not for tags and bounds of text."""
    agreed = (stored.source, stored.schema, stored.policy, stored.requirements, stored.package_lock)
    return hashlib.blake2b(to_json(agreed).encode("utf-8"), digest_size=12).hexdigest()


def _may_overlap(stored: StoredTool) -> bool:
    try:
        return read_policy(stored.policy).parallel
    except InvalidValue:  # said when it is called
        return False
