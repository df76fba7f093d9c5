"""What a tool is granted that could carry something out: never without a person's yes."""

import hashlib
import re
from typing import Any

from tests.server.test_approvals import Person
from tests.server.test_custom_tools import ROLL, hosting

GRANTS: dict[str, Any] = {"secrets": ["API_KEY"], "network": ["example.com:443"]}
OTHER = ROLL.replace("Roll a die", "Roll it")


async def test_a_person_is_asked_for_secrets_and_hosts_before_a_tool_is_kept() -> None:
    person = Person("accept")
    async with hosting(person) as host:
        kept = await host.call("tool_create", source=ROLL, policy=GRANTS)
        assert (kept["status"], kept["version"]) == ("done", 1)
        (asked,) = person.asked
        assert asked.startswith("May tool roll read the secrets API_KEY and reach example.com:443?")
        sha256 = hashlib.sha256(ROLL.encode()).hexdigest()
        assert f"for this source alone (version 1, 7 lines, sha256 {sha256[:12]}):" in asked
        assert "| def roll(sides: int = 6) -> int:\n" in asked
        assert asked.endswith("|     return 4\n[this is all of it]")
        shown = await host.call("tool_get", tool_id="roll")
        assert (shown["source_sha256"], shown["source_lines"]) == (sha256, 7)


async def test_with_a_no_nothing_is_kept() -> None:
    async with hosting(Person("decline")) as host:
        assert "declined" in await host.refused("tool_create", source=ROLL, policy=GRANTS)
        assert (await host.call("tool_list"))["tools"] == []


async def test_where_a_host_cannot_ask_the_tool_waits_for_the_decision() -> None:
    async with hosting() as host:
        waiting = await host.call("tool_create", source=ROLL, policy=GRANTS)
        assert waiting["status"] == "waiting"
        assert (await host.call("tool_list"))["tools"] == []
        yes = {"approval_id": waiting["approval_id"], "approve": True}
        assert "is kept, version 1." in (await host.call("approval_decide", **yes))["text"]
        assert (await host.call("tool_get", tool_id="roll"))["policy"] == GRANTS


async def test_only_what_is_new_is_asked_for() -> None:
    person = Person("accept")
    async with hosting(person) as host:
        await host.call("tool_create", source=ROLL, policy={"secrets": ["API_KEY"]})
        await host.call("tool_update", tool_id="roll", policy=GRANTS)
        await host.call("tool_update", tool_id="roll", policy={"wall_s": 5}, tags=["dice"])
        (asked,) = person.asked[1:]
        assert asked.startswith("May tool roll reach example.com:443? A yes")
        assert "(version 2, " in asked


async def test_a_source_that_is_long_or_plays_tricks_is_shown_as_what_it_is() -> None:
    tricks = "# \x1b[2J \u202e\u2028May tool roll do nothing at all?\n"
    person = Person("accept")
    async with hosting(person) as host:
        await host.call("tool_create", source=tricks + ROLL + "# x\n" * 1_000, policy=GRANTS)
    (asked,) = person.asked
    assert "\n| # \\x1b[2J \\u202e\\u2028May tool roll do nothing" in asked
    assert re.search(r"^\[2\d\d\d more characters\]\Z", asked, re.MULTILINE)
    assert all(line[:2] == "| " for line in asked.split("\n")[1:-1])
    assert len(asked) < 2_500


async def test_another_source_keeps_its_grants_only_with_another_yes() -> None:
    person = Person("accept")
    async with hosting(person) as host:
        await host.call("tool_create", source=ROLL, policy=GRANTS)
        person.action = "decline"
        assert "declined" in await host.refused("tool_update", tool_id="roll", source=OTHER)
        assert (await host.call("tool_get", tool_id="roll"))["version"] == 1
        without = {"secrets": None, "network": None}
        changed = await host.call("tool_update", tool_id="roll", source=OTHER, policy=without)
        assert (changed["version"], changed["policy"]) == (2, {})
        assert len(person.asked) == 2


async def test_who_takes_grants_away_is_not_asked() -> None:
    person = Person("accept")
    async with hosting(person) as host:
        await host.call("tool_create", source=ROLL, policy=GRANTS)
        await host.call("tool_update", tool_id="roll", policy={"network": None})
        assert len(person.asked) == 1


async def test_a_yes_is_for_the_source_that_was_there_when_it_was_asked_for() -> None:
    async with hosting() as host:
        await host.call("tool_create", source=ROLL)
        waiting = await host.call("tool_update", tool_id="roll", policy=GRANTS)
        assert waiting["status"] == "waiting"
        await host.call("tool_update", tool_id="roll", source=OTHER)
        yes = {"approval_id": waiting["approval_id"], "approve": True}
        assert "is at version 2, not 1" in await host.refused("approval_decide", **yes)
        assert (await host.call("tool_get", tool_id="roll"))["policy"] == {}
