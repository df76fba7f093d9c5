"""Asking the person at the host in the middle of a call, in either protocol era.

Handshake era: a request to the client, which waits for the answer. 2026-07-28: the call ends with
the question, and the client repeats it with the answer; so whatever a call does before it asks
happens again. Answers to earlier questions travel in the sealed request state.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from server.registry import Answer, Ask

ANSWER_S: Final = 300.0  # a person may be away; hosts give a call up long before

Context = ServerRequestContext[Any, Any]


class Unanswered(BaseException):
    """The call ends here, with a question for the client; no error, so no `except Exception`."""

    def __init__(self, result: InputRequiredResult) -> None:
        self.result = result


def ask_of(ctx: Context, params: CallToolRequestParams) -> Ask | None:
    """How to ask the person at the host of a call; None: that host cannot show a form."""
    capabilities = ctx.session.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    # An empty capability means forms: 2025-06-18 knew nothing else.
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return None
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return _Rounds(params)
    return _Asking(ctx) if ctx.session.can_send_request else None


class _Asking:
    """Asks at once and waits."""

    answered = ""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def __call__(
        self, question: str, schema: Mapping[str, Any], about: str = ""
    ) -> Answer | None:
        ctx = self._ctx
        with anyio.move_on_after(ANSWER_S), suppress(MCPError, ValidationError):
            return _answer(await ctx.session.elicit_form(question, dict(schema), ctx.request_id))
        return None


class _Rounds:
    """Ends the call with the question, unless this round or an earlier one brought its answer."""

    def __init__(self, params: CallToolRequestParams) -> None:
        self._answers: dict[str, Any] = json.loads(params.request_state or "{}")
        self.answered = ""
        for key, given in (params.input_responses or {}).items():
            if isinstance(given, ElicitResult):
                self._answers[key] = given.model_dump(mode="json", by_alias=True)
                self.answered = key.rpartition("|")[0]

    async def __call__(self, question: str, schema: Mapping[str, Any], about: str = "") -> Answer:
        # The question itself is in the key: were it another by now, it would be asked anew.
        asked = json.dumps([question, schema], sort_keys=True)
        key = f"{about}|{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
        if key in self._answers:
            return _answer(ElicitResult.model_validate(self._answers[key]))
        form = ElicitRequestFormParams(message=question, requested_schema=dict(schema))
        # What a question names need not be carried along, and so outlives this process.
        state = json.dumps(self._answers) if self._answers and not about else None
        request = ElicitRequest(params=form)
        raise Unanswered(InputRequiredResult(input_requests={key: request}, request_state=state))


def _answer(result: ElicitResult) -> Answer:
    accepted = result.action == "accept"
    return Answer(accepted, result.content or {} if accepted else {})
