"""Messages that name tools, as a person at the command line is told them."""

import pytest

from agent.custom import missing_grants
from server.command_words import for_a_person, result_for_a_person


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("run_list shows an agent's runs", "`mnemon runs list AGENT` shows an agent's runs"),
        ("until 9 to approve x: run_approve run-7.", "until 9 to approve x: mnemon approve run-7."),
        ("with run_approve or `mnemon approve`, or", "with `mnemon approve`, or"),
        ("create one with agent_create", "create one with `mnemon agents create NAME`"),
        (
            "none yet: create one with tool_create",
            "none yet: create one with `mnemon tools add FILE.py`",
        ),
        ("my_run_get is no tool", "my_run_get is no tool"),
    ],
)
def test_a_command_stands_in_the_place_of_each_tool(said: str, told: str) -> None:
    assert for_a_person(said) == told


def test_a_result_names_the_command_for_each_grant_and_else_stays_what_the_tool_said() -> None:
    for cure, flag in (
        (missing_grants.METHODS, "--method NAME"),
        (missing_grants.NETWORK, "--network HOST:PORT"),
        (missing_grants.SUBPROCESSES, "--allow-subprocesses"),
    ):
        said = f"TOOL needs tool_update ({cure})."
        told = result_for_a_person(said, "fetch", "Sam")
        assert told == f"TOOL needs tool_update (`mnemon tools update fetch {flag}`)."
        assert for_a_person(f"({cure})") == f"(`mnemon tools update TOOL {flag}`)"
