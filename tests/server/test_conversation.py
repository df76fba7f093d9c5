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


def test_what_lasts_is_repeated_after_the_handshake_and_its_answers_are_not_shown_again() -> None:
    conversation = shaken()
    lasting = [
        line(id=1, method="resources/subscribe", params={"uri": "memory://a"}),
        line(id="two", method="logging/setLevel", params={"level": "info"}),
    ]
    for request, answered in zip(lasting, (1, "two"), strict=True):
        conversation.host_said(request)
        assert conversation.server_said(line(id=answered, result={}))
    asked = line(id=3, method="tools/call")
    conversation.host_said(asked)
    for _ in range(2):
        assert conversation.lines_to_repeat() == [*SHAKE, *lasting, asked]
        assert not conversation.server_said(WELCOME)
        assert conversation.hears_again
        assert conversation.server_said(line(id=3, result={})) is True
        assert not conversation.server_said(line(id="two", result={}))
        assert not conversation.server_said(line(id=1, result={}))
        assert not conversation.hears_again
        conversation.host_said(asked)


def test_a_subscription_without_an_answer_is_repeated_once_and_answered() -> None:
    conversation = shaken()
    subscribe = line(id=1, method="resources/subscribe", params={"uri": "memory://a"})
    conversation.host_said(subscribe)
    assert conversation.lines_to_repeat() == [*SHAKE, subscribe]
    assert conversation.server_said(line(id=1, result={}))


def test_what_was_unsubscribed_is_not_repeated_and_the_last_log_level_counts() -> None:
    conversation = shaken()
    for number, (method, params) in enumerate(
        (
            ("resources/subscribe", {"uri": "memory://a"}),
            ("resources/subscribe", {"uri": "memory://b"}),
            ("resources/unsubscribe", {"uri": "memory://a"}),
            ("logging/setLevel", {"level": "info"}),
            ("logging/setLevel", {"level": "error"}),
        )
    ):
        conversation.host_said(line(id=number, method=method, params=params))
        conversation.server_said(line(id=number, result={}))
    repeated = [json.loads(said) for said in conversation.lines_to_repeat()[2:]]
    assert [message["params"] for message in repeated] == [
        {"uri": "memory://b"},
        {"level": "error"},
    ]


def test_listening_is_repeated_for_ever_without_counting_as_waiting() -> None:
    conversation = Conversation()
    listen = line(id=1, method="subscriptions/listen", params={"notifications": {}})
    conversation.host_said(listen)
    assert conversation.is_listening
    assert not conversation.is_waiting
    for _ in range(MAX_TIMES_SENT + 1):
        assert conversation.give_up_hopeless() == []
        assert conversation.lines_to_repeat() == [listen]
    assert conversation.server_said(line(id=1, result={})), "the end of listening"
    assert conversation.lines_to_repeat() == []


def test_listening_that_the_host_cancelled_is_over() -> None:
    conversation = Conversation()
    conversation.host_said(line(id=1, method="subscriptions/listen"))
    conversation.host_said(line(method="notifications/cancelled", params={"requestId": 1}))
    assert not conversation.is_listening
    assert conversation.lines_to_repeat() == []


def test_a_line_that_is_no_message_is_not_repeated() -> None:
    conversation = shaken()
    for said in (
        b"garbage",
        b"[1]",
        b'{"id":[1],"method":"x"}',
        b'{"method":"x","params":[1]}',
        b"\xff",
        b"[" * 100_000,
    ):
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


def test_what_a_dead_owner_asked_the_host_is_withdrawn_and_what_was_answered_is_not() -> None:
    conversation = shaken()
    for number in ("a-1", "a-2"):
        conversation.server_said(line(id=number, method="elicitation/create", params={}))
    conversation.server_said(line(method="notifications/progress", params={"id": 1}))
    conversation.host_said(line(id="a-1", result={"action": "accept"}))
    (withdrawn,) = conversation.withdrawn_questions()
    assert json.loads(withdrawn)["params"]["requestId"] == "a-2"
    assert conversation.withdrawn_questions() == []
