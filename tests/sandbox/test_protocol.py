"""Where there is no sandbox, no tool code runs, and the refusal says why and what to do."""

import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.protocol import RefusingSandbox, Sandbox, ToolRun
from server.errors import describe_error


async def test_tool_code_is_refused_and_not_run(tmp_path: object) -> None:
    sandbox: Sandbox = RefusingSandbox("this is Windows", "Use mnemon inside WSL2.")
    code = f"def touch(): open({str(tmp_path)!r} + '/ran', 'w')"
    with pytest.raises(SandboxUnavailable, match="no tool code is run: this is") as no:
        await sandbox.run(ToolRun(code, "touch"))
    assert describe_error(no.value) == str(no.value)
    assert (await sandbox.availability()).tier is None
