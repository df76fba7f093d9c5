"""What the suite wants and a registry cannot say: raw handlers in front of ours.

Images, sounds and embedded resources; sampling, roots and logging, which the protocol itself has
deprecated; questions under names of the suite's choosing. All else falls through to our handlers.
"""

import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListRootsRequest,
    ListToolsResult,
    MissingRequiredClientCapabilityErrorData,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    SamplingCapability,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
    Tool,
)

from server.protocol import RegistryServer

Context = ServerRequestContext[Any, Any]
ToolHandler = Callable[[Context, CallToolRequestParams], Awaitable[Any]]

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
WAV: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
BINARY: Final = "test://static-binary"

IMAGE: Final = ImageContent(type="image", data=PNG, mime_type="image/png")
SOUND: Final = AudioContent(type="audio", data=WAV, mime_type="audio/wav")


def text(said: str) -> TextContent:
    return TextContent(type="text", text=said)


def embedded(uri: str) -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type="text/plain", text="Embedded.")
    return EmbeddedResource(type="resource", resource=contents)


def returning(*content: ContentBlock) -> ToolHandler:
    async def run(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=list(content))

    return run


async def log(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        for said in ("begun", "in the middle", "done"):
            await ctx.session.send_log_message("info", said, related_request_id=ctx.request_id)
    return CallToolResult(content=[text("logged")])


async def sample(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        asked = SamplingMessage(role="user", content=text((params.arguments or {})["prompt"]))
        answer = await ctx.session.create_message(
            [asked], max_tokens=100, related_request_id=ctx.request_id
        )
    said = answer.content.text if isinstance(answer.content, TextContent) else ""
    return CallToolResult(content=[text(f"LLM response: {said}")])


async def need_sampling(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        needed = ClientCapabilities(sampling=SamplingCapability())
        data = MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "this tool needs sampling",
            data.model_dump(mode="json", by_alias=True, exclude_none=True),
        )
    return CallToolResult(content=[text("sampling is there")])


NAME_FORM: Final = {"type": "object", "properties": {"name": {"type": "string"}}}
ELICITATION: Final = ElicitRequest(
    params=ElicitRequestFormParams(message="What is your name?", requested_schema=NAME_FORM)
)
SAMPLING: Final = CreateMessageRequest(
    params=CreateMessageRequestParams(
        messages=[SamplingMessage(role="user", content=text("What is the capital of France?"))],
        max_tokens=100,
    )
)


def requiring(**requests: Any) -> ToolHandler:
    """A tool that asks the client for all of these at once."""

    async def run(ctx: Context, params: CallToolRequestParams) -> Any:
        given = params.input_responses or {}
        if requests.keys() <= given.keys():
            return CallToolResult(content=[text(f"given: {', '.join(given)}")])
        return InputRequiredResult(input_requests=requests, request_state="asked")

    return run


async def ask_what_the_client_can(ctx: Context, params: CallToolRequestParams) -> Any:
    declared = ctx.session.client_capabilities or ClientCapabilities()
    requests: dict[str, Any] = {}
    if declared.elicitation is not None:
        requests["name"] = ELICITATION
    if declared.sampling is not None:
        requests["capital"] = SAMPLING
    return await requiring(**requests)(ctx, params)


ROUNDS: Final = "test_input_required_result"
TOOLS: Final[Mapping[str, ToolHandler]] = {
    "test_image_content": returning(IMAGE),
    "test_audio_content": returning(SOUND),
    "test_embedded_resource": returning(embedded("test://embedded-resource")),
    "test_multiple_content_types": returning(text("Both:"), IMAGE, embedded("test://mixed")),
    "test_tool_with_logging": log,
    "test_logging_tool": log,
    "test_sampling": sample,
    "test_missing_capability": need_sampling,
    f"{ROUNDS}_sampling": requiring(capital=SAMPLING),
    f"{ROUNDS}_list_roots": requiring(roots=ListRootsRequest()),
    f"{ROUNDS}_multiple_inputs": requiring(
        name=ELICITATION, capital=SAMPLING, roots=ListRootsRequest()
    ),
    f"{ROUNDS}_capabilities": ask_what_the_client_can,
}


def renamed(ours: ToolHandler, name: str) -> ToolHandler:
    """Our question under a name of the suite's: ours are named by what they ask."""

    async def run(ctx: Context, params: CallToolRequestParams) -> Any:
        asked = await ours(ctx, params.model_copy(update={"input_responses": None}))
        if not isinstance(asked, InputRequiredResult) or asked.input_requests is None:
            return asked
        (key, question) = next(iter(asked.input_requests.items()))
        given = dict(params.input_responses or {})
        if name not in given:
            return asked.model_copy(update={"input_requests": {name: question}})
        given[key] = given.pop(name)
        return await ours(ctx, params.model_copy(update={"input_responses": given}))

    return run


def with_state(ours: ToolHandler) -> ToolHandler:
    """A state from the first round on, as the suite wants: ours begins with the first answer."""

    async def run(ctx: Context, params: CallToolRequestParams) -> Any:
        result = await ours(ctx, params)
        if isinstance(result, InputRequiredResult) and result.request_state is None:
            return result.model_copy(update={"request_state": "{}"})
        return result

    return run


def add(server: RegistryServer) -> None:
    """Put the handlers of this module in front of the server's own."""
    _add_tools(server)
    _add_prompts(server)
    _add_resources(server)
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, _set_level)


async def _set_level(ctx: Context, params: SetLevelRequestParams) -> EmptyResult:
    return EmptyResult()


def _ours(server: RegistryServer, method: str) -> Callable[[Context, Any], Awaitable[Any]]:
    entry = server.get_request_handler(method)
    assert entry is not None
    return entry.handler


def _add_tools(server: RegistryServer) -> None:
    list_ours = _ours(server, "tools/list")
    call_ours: ToolHandler = _ours(server, "tools/call")
    stateful = with_state(call_ours)
    handlers: dict[str, ToolHandler] = {
        **TOOLS,
        f"{ROUNDS}_elicitation": renamed(call_ours, "user_name"),
        **{
            f"{ROUNDS}_{name}": stateful
            for name in ("request_state", "tampered_state", "multi_round")
        },
    }

    async def list_all(ctx: Context, params: PaginatedRequestParams) -> ListToolsResult:
        ours: ListToolsResult = await list_ours(ctx, params)
        schema = {"type": "object", "properties": {"prompt": {"type": "string"}}}
        more = [
            Tool(name=name, description="For the suite.", input_schema=schema) for name in TOOLS
        ]
        return ListToolsResult(tools=[*ours.tools, *more])

    async def call(ctx: Context, params: CallToolRequestParams) -> Any:
        return await handlers.get(params.name, call_ours)(ctx, params)

    server.add_request_handler("tools/list", PaginatedRequestParams, list_all)
    server.add_request_handler("tools/call", CallToolRequestParams, call)


def _add_prompts(server: RegistryServer) -> None:
    list_ours, get_ours = _ours(server, "prompts/list"), _ours(server, "prompts/get")
    uri = PromptArgument(name="resourceUri", required=True)
    more = [
        Prompt(
            name="test_prompt_with_embedded_resource", description="For the suite.", arguments=[uri]
        ),
        Prompt(name="test_prompt_with_image", description="For the suite."),
        Prompt(name=f"{ROUNDS}_prompt", description="For the suite."),
    ]

    async def list_all(ctx: Context, params: PaginatedRequestParams) -> ListPromptsResult:
        ours: ListPromptsResult = await list_ours(ctx, params)
        return ListPromptsResult(prompts=[*ours.prompts, *more])

    async def get(ctx: Context, params: GetPromptRequestParams) -> Any:
        if params.name == f"{ROUNDS}_prompt" and not params.input_responses:
            return InputRequiredResult(input_requests={"user_context": ELICITATION})
        contents: dict[str, ContentBlock] = {
            f"{ROUNDS}_prompt": text("As asked for."),
            "test_prompt_with_image": IMAGE,
            "test_prompt_with_embedded_resource": embedded(
                (params.arguments or {}).get("resourceUri", "test://none")
            ),
        }
        if params.name not in contents:
            return await get_ours(ctx, params)
        message = PromptMessage(role="user", content=contents[params.name])
        return GetPromptResult(messages=[message])

    server.add_request_handler("prompts/list", PaginatedRequestParams, list_all)
    server.add_request_handler("prompts/get", GetPromptRequestParams, get)


def _add_resources(server: RegistryServer) -> None:
    list_ours, read_ours = _ours(server, "resources/list"), _ours(server, "resources/read")

    async def list_all(ctx: Context, params: PaginatedRequestParams) -> ListResourcesResult:
        ours: ListResourcesResult = await list_ours(ctx, params)
        binary = Resource(uri=BINARY, name="static-binary", mime_type="image/png")
        return ListResourcesResult(resources=[*ours.resources, binary])

    async def read(ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        if str(params.uri) == BINARY:
            contents = BlobResourceContents(uri=BINARY, mime_type="image/png", blob=PNG)
            return ReadResourceResult(contents=[contents])
        result: ReadResourceResult = await read_ours(ctx, params)
        return result

    server.add_request_handler("resources/list", PaginatedRequestParams, list_all)
    server.add_request_handler("resources/read", ReadResourceRequestParams, read)
