"""The product's own API, as the corpus harness wants it: one method, not async.

Runs wherever `sandbox` and anyio can be imported: `harness.py --adapter corpus_adapter.py:make`.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

from sandbox.errors import InvalidRun
from sandbox.namespaces import NamespaceSandbox
from sandbox.places import temporary_places
from sandbox.policy import MIB, Policy
from sandbox.protocol import ToolRun
from sandbox.settings import SandboxSettings


class Adapter:
    """One sandbox on an event loop of its own."""

    name = "mnemon"

    def __init__(self) -> None:
        self.server_pid = os.getpid()
        with ExitStack() as stack:
            places = stack.enter_context(temporary_places())
            self._portal = stack.enter_context(start_blocking_portal())
            self._sandbox = NamespaceSandbox(places, SandboxSettings())
            stack.enter_context(self._portal.wrap_async_context_manager(self._sandbox.open()))
            found = self._portal.call(self._sandbox.availability)
            if found.tier is None:
                raise SystemExit(f"nothing can be run: {found.cause}. {found.cure}")
            self._child = self._portal.call(self._sandbox.child)
            self._open = stack.pop_all()

    def run(  # noqa: PLR0913 - as the harness calls it
        self, source: str, function: str, args: Mapping[str, Any], env: Mapping[str, str],
        workdir: str, cpu_s: int, wall_s: float, mem_mb: int,
    ) -> dict[str, Any]:  # fmt: skip
        """One call, as a host would make it."""
        self._child.give(Path(workdir))
        policy = Policy(wall_s=wall_s, cpu_s=cpu_s, memory_bytes=mem_mb * MIB)
        run = ToolRun(source, function, args, policy, env, Path(workdir))
        try:
            outcome = self._portal.call(self._sandbox.run, run)
        except InvalidRun as refused:
            return {"status": "error", "error": str(refused), "stdout": "", "stderr": ""}
        return {
            "status": outcome.status, "result": outcome.result, "error": outcome.error,
            "stdout": outcome.stdout, "stderr": outcome.stderr,
        }  # fmt: skip

    def collect(self, workdir: str) -> dict[str, bytes]:
        """Every regular file of the workspace, at most 1 MiB each; no link is followed."""
        found = {}
        for folder, _, names, at in os.fwalk(workdir, follow_symlinks=False):
            for name in names:
                try:
                    descriptor = os.open(
                        name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at
                    )
                except OSError:
                    continue
                with os.fdopen(descriptor, "rb") as file:
                    if stat.S_ISREG(os.fstat(descriptor).st_mode):
                        found[f"{folder}/{name}"] = file.read(MIB)
        return found

    def pool_pids(self) -> set[int]:
        """Processes that wait for a call."""
        return set(self._portal.call(self._sandbox.idle_pids))

    def close(self) -> None:
        """End all of them."""
        self._open.close()


make = Adapter
