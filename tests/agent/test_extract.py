"""The summary that needs no model."""

from hypothesis import given
from hypothesis import strategies as st

from agent.extract import LINE_CHARS, extract
from agent.model import ChatMessage
from memory.records import ToolCall

CALL = ToolCall("1", "core_memory_append", {"label": "human"})
texts = st.text(max_size=400) | st.text("雨が降る。 ", max_size=400)
said = st.builds(ChatMessage, st.sampled_from(["user", "assistant", "tool"]), texts)


def test_each_message_gives_the_beginning_of_its_first_sentence() -> None:
    messages = [
        ChatMessage("user", "My dog is called Rex. He is old."),
        ChatMessage("assistant", "", (CALL,)),
        ChatMessage("tool", "Memory updated.", tool_call_id="1"),
        ChatMessage("assistant", "A fine\nname!"),
    ]
    assert extract("", messages, 1_000) == "User: My dog is called Rex.\nI: A fine"


def test_the_newest_lines_stay_and_some_of_what_was_said_before_them() -> None:
    earlier = "\n".join(f"User: Old fact {number}." for number in range(100))
    messages = [ChatMessage("user", f"New fact {number}.") for number in range(100)]
    lines = extract(earlier, messages, 500).splitlines()
    assert lines[-1] == "User: New fact 99."
    assert "User: Old fact 99." in lines
    assert sum(line.startswith("User: New") for line in lines) > 12


def test_of_a_long_earlier_summary_in_one_paragraph_some_stays() -> None:
    earlier = " ".join(f"Sam owns item {number}." for number in range(100))
    lines = extract(earlier, [ChatMessage("user", "And now?")], 300).splitlines()
    assert lines[-2:] == ["Sam owns item 99.", "User: And now?"]
    without_end = extract("雨" * 5_000, [], 300)
    assert without_end == "雨" * (LINE_CHARS - 1) + "…"


@given(texts, st.lists(said, max_size=10), st.integers(0, 800))
def test_it_never_has_more_characters_than_it_may(
    earlier: str, messages: list[ChatMessage], max_chars: int
) -> None:
    assert len(extract(earlier, messages, max_chars)) <= max_chars


@given(st.lists(said, max_size=10))
def test_an_extract_of_an_extract_says_the_same(messages: list[ChatMessage]) -> None:
    once = extract("", messages, 10_000)
    assert extract(once, [], 10_000) == extract(extract(once, [], 10_000), [], 10_000)
