"""Errors of thinking.

AgentError
├── ModelError               the chat model could not do its work
│   ├── ModelNotConfigured   no model is set for this agent
│   ├── ModelFileInvalid     missing, truncated or not a GGUF file
│   ├── ModelSpecInvalid     the string that names a model is none
│   ├── ModelUnavailable     the engine is not installed or cannot load the file
│   ├── EndpointUnreachable  a model server does not answer
│   ├── EndpointFailed       it refuses, or answers what cannot be used
│   ├── ModelCrashed         the worker process died or hung
│   ├── RequestPoisonous     the same request killed the worker again and again
│   ├── ToolSchemaInvalid    a tool's JSON schema cannot be offered to a model
│   ├── ReplyRoomTooSmall    no answer that is allowed now fits the token limit
│   └── PromptTooLong        the prompt does not fit the window
├── ContextTooSmall          system prompt, blocks and the new message alone exceed the window
├── TurnLimitReached         the turn did not end within its steps
├── InvalidReply             the model's output was no reply and no valid call, twice
├── RunCancelled             somebody stopped the run
├── RunInterrupted           the process ended in the middle of it
├── RunWaits                 another run of the agent waits for a person
└── NotWaiting               there is nothing to approve
"""

from collections.abc import Sequence
from pathlib import Path


class AgentError(Exception):
    """Something in the agent's turn failed; the message says what and what to do."""


class ModelError(AgentError):
    """The chat model could not do its work."""


class ModelNotConfigured(ModelError):
    """No model is set."""

    def __init__(self) -> None:
        super().__init__(
            "no language model is configured, so agent_message cannot run; set `model` in"
            " config.toml, MNEMON_MODEL or --model to the path of a GGUF file or a server's model"
            " such as ollama:qwen3 (the memory tools work without one)"
        )


class ModelFileInvalid(ModelError):
    """The path is not a whole GGUF file."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"model {str(path)!r} {problem}; set `model` to the path of a GGUF file")


class ModelSpecInvalid(ModelError):
    """The string that names a model is neither a path nor a model of a server we know."""

    def __init__(self, spec: str, problem: str) -> None:
        self.spec, self.problem = spec, problem
        super().__init__(f"model {spec[:200]!r} {problem}")


class ModelUnavailable(ModelError):
    """The engine is not installed or refused the file."""


class EndpointUnreachable(ModelError):
    """The server of a model cannot be reached, or does not answer in time."""

    def __init__(self, model: str, problem: str, hint: str) -> None:
        self.model, self.problem, self.hint = model, problem, hint
        super().__init__(f"the server of model {model} {problem}; {hint}")


class EndpointFailed(ModelError):
    """The server of a model refused, or its answer is of no use; nothing was stored.

    status: of HTTP, when it refused.
    """

    def __init__(self, model: str, problem: str, status: int | None = None) -> None:
        self.model, self.problem, self.status = model, problem, status
        super().__init__(f"the server of model {model} {problem}; nothing of this step was stored")


class ModelCrashed(ModelError):
    """The worker died or hung; the step was not stored and the next call starts a new worker."""


class RequestPoisonous(ModelError):
    """The worker died over this request each time; it is not tried again for a while."""

    def __init__(self, model: str, deaths: int, refused_for_s: float) -> None:
        self.deaths, self.refused_for_s = deaths, refused_for_s
        super().__init__(
            f"this request ended the worker of model {model!r} {deaths} times in a row and is"
            f" refused for {refused_for_s / 60:.0f} more minutes, or until another one succeeds;"
            " say it in another way, lower `context_tokens`, or use another model"
        )


class ReplyRoomTooSmall(ModelError):
    """A call must be made, and none fits the token limit."""

    def __init__(self, needed_tokens: int, max_tokens: int) -> None:
        self.needed_tokens, self.max_tokens = needed_tokens, max_tokens
        super().__init__(
            f"the shortest answer that is allowed now needs {needed_tokens} tokens and the reply"
            f" may have {max_tokens}; raise `context_tokens`, or offer tools with fewer required"
            " arguments"
        )


class ToolSchemaInvalid(ModelError):
    """A tool's parameters are no JSON schema that a model's output can be held to."""

    def __init__(self, tool: str, problem: str) -> None:
        self.tool, self.problem = tool, problem
        super().__init__(f"tool {tool!r} cannot be offered to the model: {problem}")


class PromptTooLong(ModelError):
    """The rendered prompt and the room for the reply exceed the window."""

    def __init__(self, prompt_tokens: int, limit_tokens: int) -> None:
        self.prompt_tokens, self.limit_tokens = prompt_tokens, limit_tokens
        super().__init__(
            f"the prompt is {prompt_tokens} tokens, {prompt_tokens - limit_tokens} over the"
            f" {limit_tokens} that leave room for a reply"
        )


class ContextTooSmall(AgentError):
    """What must be in the window does not fit it.

    system_tokens: of what stands before the messages: instructions, core memory, summary, tools.
    """

    def __init__(self, needed_tokens: int, budget_tokens: int, system_tokens: int = 0) -> None:
        self.needed_tokens, self.budget_tokens = needed_tokens, budget_tokens
        self.system_tokens = system_tokens
        super().__init__(
            f"system prompt, blocks and the new message need {needed_tokens} tokens"
            f" ({system_tokens} of them before the first message), the window has room for"
            f" {budget_tokens}; shorten the blocks or the message, or raise `context_tokens`"
        )

    @property
    def is_system_prompt(self) -> bool:
        """Whether no message at all would fit."""
        return self.system_tokens >= self.budget_tokens


class TurnLimitReached(AgentError):
    """The model kept calling tools."""

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps
        super().__init__(
            f"the agent still called tools after {max_steps} steps; what it stored so far is kept:"
            " send another message to let it go on"
        )


class InvalidReply(AgentError):
    """The model's output could not be used. kind: of its Malformed (agent/model.py)."""

    def __init__(self, problem: str, kind: str = "reply") -> None:
        self.problem, self.kind = problem, kind
        super().__init__(
            f"the model's output could not be used, twice: {problem}; nothing of this step was"
            " stored: say it in another way, or use another model"
        )


class RunCancelled(AgentError):
    """Somebody stopped the run, or deleted its agent."""

    def __init__(self, run_id: str, agent_deleted: bool = False) -> None:
        self.run_id, self.agent_deleted = run_id, agent_deleted
        rest = ": its agent was deleted" if agent_deleted else "; what its steps stored is kept"
        super().__init__(f"run {run_id} was cancelled{rest}")


class RunInterrupted(AgentError):
    """The process ended in the middle of a run, or every process did that went on with it."""

    def __init__(self, run_id: str, resumes: int = 0) -> None:
        self.run_id, self.resumes = run_id, resumes
        again = f" {resumes + 1} times in the same step" if resumes else ""
        super().__init__(
            f"run {run_id} was interrupted: mnemon ended{again}; what its steps stored is kept,"
            " send the message again"
        )


class RunWaits(AgentError):
    """Another run of the agent waits for a person."""

    def __init__(self, run_id: str, tools: Sequence[str]) -> None:
        self.run_id, self.tools = run_id, tuple(tools)
        super().__init__(
            f"the agent waits for a person's approval of {', '.join(tools)} in {run_id}; decide it"
            " with run_approve or `mnemon approve`, or stop it with run_cancel, then send the"
            " message again"
        )


class NotWaiting(AgentError):
    """There is nothing to approve."""

    def __init__(self, run_id: str, status: str) -> None:
        self.run_id, self.status = run_id, status
        super().__init__(
            f"{run_id} waits for no approval; it is {status}: run_get tells what came of it"
        )
