"""A question that a dead owner asked is withdrawn, and its late answer decides nothing."""

from pathlib import Path
from typing import Any

from tests.server.processes import INITIALIZE, INITIALIZED, RawServer, front_process, kill_owner

CAN_ASK: dict[str, Any] = {
    **INITIALIZE,
    "params": {**INITIALIZE["params"], "capabilities": {"elicitation": {}}},  # type: ignore[dict-item]
}
YES = {"action": "accept", "content": {}}


def question(host: RawServer) -> dict[str, Any]:
    while (message := host.receive()).get("method") != "elicitation/create":
        pass
    return message


def test_a_late_answer_to_a_dead_owner_deletes_nothing(mnemon: str, tmp_path: Path) -> None:
    with front_process(mnemon, tmp_path) as host:
        host.send(CAN_ASK, INITIALIZED)
        host.receive_answer(0)
        for number, name in enumerate(("A", "B"), 1):
            host.call(number, "agent_create", {"name": name})
            host.receive_answer(number)
        host.call(3, "agent_delete", {"agent_id": "A"})
        old = question(host)
        host.call(4, "agent_delete", {"agent_id": "B"})
        assert "agent B" in question(host)["params"]["message"]

        kill_owner(tmp_path)
        withdrawn = [host.receive() for _ in range(2)]
        assert {m["method"] for m in withdrawn} == {"notifications/cancelled"}
        assert old["id"] in {m["params"]["requestId"] for m in withdrawn}
        asked = {
            q["params"]["message"].split()[2]: q["id"] for q in (question(host), question(host))
        }
        assert old["id"] not in asked.values()

        host.send({"jsonrpc": "2.0", "id": old["id"], "result": YES})
        host.send({"jsonrpc": "2.0", "id": asked["B"], "result": YES})
        assert not host.receive_answer(4)["result"]["isError"]
        host.call(5, "agent_list")
        listed = host.receive_answer(5)["result"]["structuredContent"]["agents"]
        assert [agent["name"] for agent in listed] == ["A"]
