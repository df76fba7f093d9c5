"""prompts/list, prompts/get and completion/complete over a registry.

Protocol errors, all of them: a person picks a prompt in a host, no model reads the complaint.
"""

from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    PromptMessage,
    PromptReference,
    TextContent,
)
from mcp_types import Prompt as WirePrompt
from mcp_types import PromptArgument as WireArgument

from server.callers import caller_of
from server.failures import QUOTED_CHARS, protocol_error
from server.registry import Completing, Prompt, Registry
from server.tool_calls import refuse_cursor

Context = ServerRequestContext[Any, Any]

MAX_VALUES: Final = 100
"""Of a completion; the protocol allows no more."""


class PromptTable:
    """The prompts of a registry as handlers of the protocol."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._prompts = {prompt.name: prompt for prompt in registry.prompts}

    async def list(self, ctx: Context, params: PaginatedRequestParams | None) -> ListPromptsResult:
        """Answer prompts/list: every prompt, in the order of the table, on one page."""
        refuse_cursor(params)
        return ListPromptsResult(prompts=[_described(found) for found in self._prompts.values()])

    async def get(self, ctx: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Answer prompts/get.

        Raises:
            MCPError: no such prompt, or its arguments are not as they must be.
        """
        prompt = self._prompts.get(params.name)
        if prompt is None:
            known = ", ".join(self._prompts)
            name = params.name[:QUOTED_CHARS]
            raise MCPError(INVALID_PARAMS, f"unknown prompt {name!a}; known: {known}")
        arguments = _checked(prompt, params.arguments or {})
        try:
            text = await prompt.render(caller_of(ctx), arguments)
        except Exception as error:
            raise protocol_error(self._registry, "prompts/get", error) from error
        message = PromptMessage(role="user", content=TextContent(type="text", text=text))
        return GetPromptResult(description=prompt.description, messages=[message])

    async def complete(self, ctx: Context, params: CompleteRequestParams) -> CompleteResult:
        """Answer completion/complete; what cannot be completed has no values."""
        complete = self._registry.complete
        if complete is None:
            return CompleteResult(completion=Completion(values=[]))
        reference = params.ref
        wanted = Completing(
            of=reference.name if isinstance(reference, PromptReference) else reference.uri,
            argument=params.argument.name,
            value=params.argument.value,
            given=(params.context.arguments if params.context else None) or {},
        )
        try:
            values = await complete(caller_of(ctx), wanted)
        except Exception as error:
            raise protocol_error(self._registry, "completion/complete", error) from error
        shown = list(values[:MAX_VALUES])
        return CompleteResult(
            completion=Completion(values=shown, has_more=len(values) > len(shown))
        )


def _checked(prompt: Prompt, given: dict[str, str]) -> dict[str, str]:
    known = [argument.name for argument in prompt.arguments]
    unknown = [name for name in given if name not in known]
    needed = (argument.name for argument in prompt.arguments if argument.required)
    missing = [name for name in needed if not given.get(name, "").strip()]
    problems = [f"unknown argument {name!a}" for name in unknown]
    problems += [f"{name!a} is missing" for name in missing]
    if problems:
        takes = f"; it takes: {', '.join(known)}" if known else "; it takes no arguments"
        raise MCPError(INVALID_PARAMS, f"{prompt.name}: {', '.join(problems)}{takes}")
    return given


def _described(prompt: Prompt) -> WirePrompt:
    return WirePrompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[
            WireArgument(name=a.name, description=a.description, required=a.required)
            for a in prompt.arguments
        ],
    )
