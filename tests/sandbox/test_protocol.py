"""Until there is a sandbox, no tool code runs, and the refusal says so."""

import pytest

from sandbox.protocol import RefusingSandbox, Sandbox, SandboxUnavailable, ToolRun
from server.errors import describe_error


async def test_tool_code_is_refused_and_not_run(tmp_path: object) -> None:
    sandbox: Sandbox = RefusingSandbox()
    code = f"def touch(): open({str(tmp_path)!r} + '/ran', 'w')"
    with pytest.raises(SandboxUnavailable, match="has no sandbox, so it runs no tool code") as told:
        await sandbox.run(ToolRun(code, "touch", {}, timeout_s=1))
    assert describe_error(told.value) == str(told.value)
