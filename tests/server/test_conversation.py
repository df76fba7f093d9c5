"""What a front tells a new owner after the old one died: pure bookkeeping over lines."""

import json
from typing import Any

from server.conversation import MAX_TIMES_SENT, Conversation
from tests.server.processes import INITIALIZE, INITIALIZED


def line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


SHAKE = [json.dumps(INITIALIZE).encode(), json.dumps(INITIALIZED).encode()]
WELCOME = b'{"jsonrpc":"2.0","id":0,"result":{}}'


def shaken() -> Conversation:
    conversation = Conversation()
    for said in SHAKE:
        conversation.host_said(said)
    assert conversation.server_said(WELCOME)
    return conversation


def test_the_handshake_is_repeated_and_its_second_answer_is_not_shown_to_the_host() -> None:
    conversation = shaken()
    assert conversation.lines_to_repeat() == SHAKE
    assert not conversation.server_said(WELCOME)
    assert conversation.server_said(WELCOME)


def test_a_handshake_without_an_answer_is_answered_once() -> None:
    conversation = Conversation()
    conversation.host_said(SHAKE[0])
    assert conversation.lines_to_repeat() == SHAKE[:1]
    assert conversation.server_said(WELCOME)
    assert not conversation.is_waiting


def test_unanswered_requests_are_repeated_in_order_and_answered_ones_are_not() -> None:
    conversation = shaken()
    asked = [line(id=i, method="tools/call") for i in (1, "two", 3)]
    for request in asked:
        conversation.host_said(request)
    assert conversation.server_said(b'{"jsonrpc":"2.0","id":1,"error":{}}')
    assert conversation.server_said(line(id=3, method="ping")), "the server's own request"
    assert conversation.lines_to_repeat() == [*SHAKE, *asked[1:]]


def test_answers_are_known_whatever_their_form() -> None:
    conversation = shaken()
    for number, answer in enumerate(
        (
            b'{"jsonrpc":"2.0","id":"%s","result":{}}' % (b"x" * 500),
            b'{ "id" : 1, "result": {}, "jsonrpc": "2.0" }',
            b'{"jsonrpc":"2.0","id":"\xc3\xa9\\"","result":{}}',
        )
    ):
        conversation.host_said(line(id=json.loads(answer)["id"], method=f"m{number}"))
        assert conversation.is_waiting
        conversation.server_said(answer)
        assert not conversation.is_waiting


def test_what_the_host_cancelled_is_not_repeated() -> None:
    conversation = shaken()
    conversation.host_said(line(id=1, method="tools/call"))
    conversation.host_said(line(method="notifications/cancelled", params={"requestId": 1}))
    assert conversation.lines_to_repeat() == SHAKE


def test_a_line_that_is_no_message_is_not_repeated() -> None:
    conversation = shaken()
    for said in (b"garbage", b"[1]", b'{"id":[1],"method":"x"}', b"\xff", b"[" * 100_000):
        conversation.host_said(said)
        assert conversation.server_said(said)
    assert conversation.lines_to_repeat() == SHAKE


def test_a_request_that_ends_every_owner_is_answered_with_an_error_at_last() -> None:
    conversation = shaken()
    conversation.host_said(line(id=7, method="tools/call"))
    for _ in range(MAX_TIMES_SENT - 1):
        assert conversation.give_up_hopeless() == []
        assert len(conversation.lines_to_repeat()) == 3
    (answer,) = map(json.loads, conversation.give_up_hopeless())
    assert answer["id"] == 7
    assert "see owner.log" in answer["error"]["message"]
    assert conversation.lines_to_repeat() == SHAKE
