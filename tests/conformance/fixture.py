"""What the official conformance suite expects to find, served through our stack.

    python -m tests.conformance.fixture DIRECTORY

Serves HTTP on a free port, with the guard and the token of DIRECTORY, and prints the URL. The table
below says all that a registry can say; raw_features.py adds what a registry leaves out on purpose.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged
from pydantic import BaseModel, Field

from agent.memory_tools import Arguments
from server.http import HttpAddress, serve_http
from server.notices import Notices
from server.principals import Principals
from server.protocol import RegistryServer, build_server
from server.registry import (
    Answer,
    Call,
    Caller,
    Completing,
    Prompt,
    PromptArgument,
    Registry,
    Resource,
    ResourcePage,
    ResourceTemplate,
    Tool,
)
from server.shutdown import exit_after
from server.token_file import read_or_create_token
from tests.conformance import raw_features

Run = Callable[[Call, Any], Awaitable["Said"]]


class Mistake(Exception):
    """A failure that the caller can act on."""


class NoArguments(Arguments):
    pass


class Message(Arguments):
    message: str


class Region(Arguments):
    region: str


class Address(Arguments):
    street: str = ""
    city: str = ""


class Contact(Arguments):
    name: str = ""
    address: Address = Field(default_factory=Address)
    contact_method: str = Field(default="", alias="contactMethod")
    phone: str = ""
    email: str = ""


class Said(BaseModel):
    text: str


def form(*required: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


TEXT = {"type": "string"}

# Every kind of field with a default (SEP-1034).
DEFAULTS = form(
    name={"type": "string", "default": "John Doe"},
    age={"type": "integer", "default": 30},
    score={"type": "number", "default": 95.5},
    status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    verified={"type": "boolean", "default": True},
)


def titled(*options: str) -> list[dict[str, str]]:
    return [{"const": option, "title": option.title()} for option in options]


# Every kind of choice (SEP-1330).
CHOICES = form(
    untitledSingle={"type": "string", "enum": ["low", "high"]},
    titledSingle={"type": "string", "oneOf": titled("low", "high")},
    legacyEnum={"type": "string", "enum": ["low", "high"], "enumNames": ["Low", "High"]},
    untitledMulti={"type": "array", "items": {"type": "string", "enum": ["low", "high"]}},
    titledMulti={"type": "array", "items": {"anyOf": titled("low", "high")}},
)

# Keywords of JSON Schema 2020-12 that must arrive as they are (SEP-1613, SEP-2106).
CONTACT_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": TEXT, "city": TEXT},
        }
    },
    "properties": {
        "name": TEXT,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": TEXT,
        "email": TEXT,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

# An argument that travels as a header too (SEP-2243).
REGION_SCHEMA = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
    "additionalProperties": False,
}


async def say(call: Call, arguments: Arguments) -> Said:
    return Said(text="This is a simple text response for testing.")


async def fail(call: Call, arguments: Arguments) -> Said:
    raise Mistake("This tool intentionally returns an error for testing")


async def progress(call: Call, arguments: Arguments) -> Said:
    for done in (0, 50, 100):
        await call.progress(done, 100, f"{done} of 100")
    return Said(text="done")


async def ask(call: Call, question: str, schema: Mapping[str, Any]) -> Answer:
    answer = await call.ask(question, schema) if call.ask else None
    if answer is None:
        raise Mistake("this host cannot ask a person")
    return answer


def asking(*questions: str, schema: Mapping[str, Any] | None = None) -> Run:
    """A tool that asks one question after the other; by default of its message argument."""

    async def run(call: Call, arguments: Any) -> Said:
        answers = [
            await ask(call, question, schema or form("name", name=TEXT))
            for question in questions or (arguments.message,)
        ]
        return Said(
            text="; ".join(f"{answer.accepted} {dict(answer.values)}" for answer in answers)
        )

    return run


def telling(notices: Notices, event: ToolsListChanged | PromptsListChanged) -> Run:
    async def run(call: Call, arguments: Arguments) -> Said:
        notices.publish(event)
        return Said(text="told")

    return run


def tools(notices: Notices) -> tuple[Tool, ...]:
    def tool(name: str, run: Run, arguments: type[Arguments] = NoArguments, **more: Any) -> Tool:
        text = more.pop("text", lambda said: said.text)
        return Tool(name, name, "For the suite.", arguments, Said, run, text=text, **more)

    rounds = "test_input_required_result"
    return (
        tool("test_simple_text", say),
        tool("test_error_handling", fail),
        tool("test_tool_with_progress", progress),
        tool("json_schema_2020_12_tool", say, Contact, schema=CONTACT_SCHEMA),
        tool("test_x_mcp_header", say, Region, schema=REGION_SCHEMA),
        tool("test_elicitation", asking(), Message),
        tool("test_elicitation_sep1034_defaults", asking("Who are you?", schema=DEFAULTS)),
        tool("test_elicitation_sep1330_enums", asking("Which?", schema=CHOICES)),
        tool("test_streaming_elicitation", asking("Who are you?")),
        tool(f"{rounds}_elicitation", asking("What is your name?")),
        tool(f"{rounds}_request_state", asking("Are you sure?")),
        tool(f"{rounds}_tampered_state", asking("Are you really sure?")),
        tool(f"{rounds}_multi_round", asking("What is your name?", "And the other one?")),
        tool("test_trigger_tool_change", telling(notices, ToolsListChanged())),
        tool("test_trigger_prompt_change", telling(notices, PromptsListChanged())),
    )


class Texts:
    """The resources that are texts."""

    templates: Sequence[ResourceTemplate] = (
        ResourceTemplate("test://template/{id}/data", "template", "For the suite."),
    )

    async def list(self, caller: Caller, cursor: str | None) -> ResourcePage:
        uris = ("test://static-text", "test://watched-resource")
        return ResourcePage(tuple(Resource(uri, uri, "For the suite.") for uri in uris))

    async def read(self, caller: Caller, uri: str) -> tuple[str, str]:
        if uri in ("test://static-text", "test://watched-resource"):
            return "text/plain", "This is the content of the static text resource."
        if uri.startswith("test://template/") and uri.endswith("/data"):
            return "text/plain", f"Data of {uri.split('/')[3]}."
        raise LookupError(uri)


async def render(caller: Caller, arguments: Mapping[str, str]) -> str:
    return " ".join(["This is a prompt for testing.", *arguments.values()])


async def complete(caller: Caller, typed: Completing) -> Sequence[str]:
    return [value for value in ("paris", "park", "party") if value.startswith(typed.value)]


def fixture_registry(notices: Notices) -> Registry:
    both = tuple(PromptArgument(name, "For the suite.", required=True) for name in ("arg1", "arg2"))
    return Registry(
        name="conformance",
        version="1",
        title="Conformance",
        instructions="For the suite.",
        tools=tools(notices),
        resources=Texts(),
        describe_error=lambda error: str(error) if isinstance(error, Mistake) else None,
        on_second_message=lambda: None,
        prompts=(
            Prompt("test_simple_prompt", "Simple", "For the suite.", (), render),
            Prompt("test_prompt_with_arguments", "Two", "For the suite.", both, render),
        ),
        complete=complete,
    )


def fixture_server() -> RegistryServer:
    notices = Notices()
    server = build_server(fixture_registry(notices), notices)
    raw_features.add(server)
    return server


def main(directory: Path) -> None:
    def started(host: str, port: int) -> None:
        print(f"http://{host}:{port}/mcp", flush=True)  # noqa: T201

    principals = Principals(read_or_create_token(directory), None)
    serving = (fixture_server(), HttpAddress(), principals, started, exit_after(5))
    anyio.run(serve_http, *serving)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
