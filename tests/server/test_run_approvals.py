"""Calls that an agent may make only with a person's yes: shown, asked about, decided by a tool."""

import json
from typing import Any

import pytest

from tests.agent.models.chat_server import says
from tests.server.test_approvals import Action, Person, text_of
from tests.server.test_lifecycle import Host
from tests.server.test_run_tools import ASKS, human, remembers, thinking, wait_for


async def test_every_status_shows_what_waits_and_a_tool_decides_it() -> None:
    async with thinking(remembers("Tea."), says("Noted."), **ASKS) as (host, _):
        result = await host.client.call_tool("agent_message", {"agent_id": "Sam", "message": "Hi"})
        sent = result.structured_content
        assert sent is not None
        run_id, until = sent["run_id"], sent["pending_until"]
        (wanted,) = sent["pending"]
        assert (wanted["tool"], wanted["arguments"]) == (
            "core_memory_append",
            '{"label": "human", "content": "Tea."}',
        )
        assert text_of(result) == (
            f"Run {run_id} waits until {until} for a person to approve:\n"
            '- core_memory_append {"label": "human", "content": "Tea."}\n'
            "Ask them; then call run_approve with this run_id and approve true or false."
        )
        assert (await host.call("run_get", run_id=run_id))["run"] == sent
        for listing in ({"agent_id": "Sam"}, {"open": True}):
            (line,) = (await host.call("run_list", **listing))["runs"]
            assert (line["status"], line["pending"]) == ("waiting", ["core_memory_append"])
            assert line["pending_until"] == until
        shown = await host.call("agent_get", agent_id="Sam")
        tools = ["core_memory_append"]
        assert shown["waiting"] == {"run_id": run_id, "tools": tools, "until": until}
        assert shown["runs_in_work"] == 0
        told = await host.call("memory_read", uri="memory://agents/Sam")
        assert f"It waits until {until} for a person to approve core_memory_append" in told["text"]
        assert host.app.count_runs() == {"in_work": 0, "waiting": 1}
        again = await host.call("agent_message", agent_id="Sam", message="Hi")
        assert again == sent
        assert "run_approve or `mnemon approve`" in await host.refused(
            "agent_message", agent_id="Sam", message="Ho"
        )
        done = await host.call("run_approve", run_id=run_id, approve=True)
        assert (done["reply"], done["pending"]) == ("Noted.", [])
        assert (await host.call("agent_get", agent_id="Sam"))["waiting"] is None
        assert await human(host) == "Tea."


async def test_a_denial_is_told_with_its_reason() -> None:
    async with thinking(remembers("Tea."), says("I see."), **ASKS) as (host, models):
        sent = await host.call("agent_message", agent_id="Sam", message="Hi")
        no = {"run_id": sent["run_id"], "approve": False, "reason": "not now"}
        assert (await host.call("run_approve", **no))["reply"] == "I see."
        assert "waits for no approval; it is completed" in await host.refused("run_approve", **no)
        assert await human(host) == ""
        assert "not now" in models.completions[-1].json["messages"][-1]["content"]


async def test_a_decision_that_comes_again_decides_nothing_else() -> None:
    replies = (remembers("Tea."), remembers("Mate."), says("Noted."))
    async with thinking(*replies, **ASKS) as (host, _):
        sent = await host.call("agent_message", agent_id="Sam", message="Hi")
        yes = {"run_id": sent["run_id"], "approve": True, "idempotency_key": "k"}
        next_ = await host.call("run_approve", **yes)
        assert (next_["status"], next_["steps"]) == ("waiting", 2)
        assert await host.call("run_approve", **yes) == next_
        done = await host.call("run_approve", **{**yes, "idempotency_key": "l"})
        assert (await host.call("run_approve", **yes))["reply"] == done["reply"] == "Noted."
        assert await human(host) == "Tea.\nMate."


async def test_all_calls_that_a_yes_is_for_are_shown_and_read_whole_when_they_are_long() -> None:
    texts = [f"{n}" * 6_000 for n in range(8)]
    async with thinking(remembers(*texts), **ASKS) as (host, _):
        sent = await host.call("agent_message", agent_id="Sam", message="Hi")
        assert len(sent["pending"]) == 8
        for wanted, text in zip(sent["pending"], texts, strict=True):
            asked = {"run_id": sent["run_id"], "call_id": wanted["call_id"]}
            assert wanted["cut"]
            assert (
                f"more characters: run_get with call_id {wanted['call_id']}]"
                in (wanted["arguments"])
            )
            pieces = [await host.call("run_get", **asked)]
            while (cursor := pieces[-1]["next_cursor"]) is not None:
                pieces.append(await host.call("run_get", **asked, cursor=cursor))
            whole = "".join(piece["arguments"] for piece in pieces)
            assert json.loads(whole) == {"label": "human", "content": text}
        unknown = {"run_id": sent["run_id"], "call_id": "none"}
        assert "no call 'none' of run" in await host.refused("run_get", **unknown)
        both = {**unknown, "prompt_of_step": 1}
        assert "not for both at once" in await host.refused("run_get", **both)


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize(("action", "kept"), [("accept", "Tea."), ("decline", ""), ("cancel", "")])
async def test_the_person_at_the_host_is_asked_in_the_same_call(
    era: str, action: Action, kept: str
) -> None:
    person = Person(action)
    replies = (remembers("Tea."), says("Noted."))
    async with thinking(*replies, era=era, person=person, **ASKS) as (host, models):
        sent = await host.call("agent_message", agent_id="Sam", message="Hi")
        assert (sent["reply"], sent["status"]) == ("Noted.", "completed")
        assert await human(host) == kept
        assert len((await host.call("run_list", agent_id="Sam"))["runs"]) == 1
        assert len(models.completions) == 2
    assert person.asked == [
        'May agent Sam do this?\ncore_memory_append {"label": "human", "content": "Tea."}'
    ]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_two_calls_in_the_same_words_are_two_questions(era: str) -> None:
    person = Person("accept")
    replies = (remembers("Tea."), remembers("Tea."), says("Noted."))
    async with thinking(*replies, era=era, person=person, **ASKS) as (host, _):
        sent = await host.call("agent_message", agent_id="Sam", message="Hi")
        assert (sent["reply"], sent["steps"]) == ("Noted.", 3)
        assert await human(host) == "Tea.\nTea."
    assert len(person.asked) == 2
    assert person.asked[0] == person.asked[1]


async def test_an_answer_that_comes_when_the_run_has_gone_on_starts_no_other() -> None:
    class Late(Person):
        host: Host

        async def __call__(self, context: Any, params: Any) -> Any:
            (run,) = (await self.host.call("run_list", open=True))["runs"]
            await self.host.call("run_approve", run_id=run["run_id"], approve=False)
            return await super().__call__(context, params)

    person = Late("accept")
    replies = (remembers("Tea."), says("I see."), says("Too much."))
    for era in ("legacy", "auto"):
        async with thinking(*replies, era=era, person=person, **ASKS) as (host, models):
            person.host = host
            sent = await host.call("agent_message", agent_id="Sam", message="Hi")
            assert sent["reply"] == "I see."
            assert await human(host) == ""
            assert len(models.completions) == 2


async def test_a_decision_through_a_tool_is_for_one_step_and_asks_nobody_about_the_next() -> None:
    person = Person("accept")
    replies = (remembers("Tea."), remembers("Mate."), says("Noted."))
    async with thinking(*replies, person=person, **ASKS) as (host, _):
        run = await host.call("agent_message", agent_id="Sam", message="Hi", background=True)
        assert (await wait_for(host, run))["status"] == "waiting"
        next_ = await host.call("run_approve", run_id=run["run_id"], approve=True)
        assert (next_["status"], next_["steps"]) == ("waiting", 2)
        assert person.asked == []
        assert await human(host) == "Tea."
