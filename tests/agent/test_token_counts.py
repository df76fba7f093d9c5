"""Counting tokens with the model's tokenizer, and only once."""

from collections.abc import Sequence

from agent.model import ChatMessage, Measure, ModelInfo, Reply, ToolSpec
from agent.models.scripted import ScriptedModel, count_tokens
from agent.settings import AgentSettings
from agent.token_counts import Budget, TokenCounts
from memory.records import ToolCall


class Counting(ScriptedModel):
    """A model that notes what it was asked to measure."""

    def __init__(self, context_tokens: int = 8_192) -> None:
        super().__init__([Reply("never")], context_tokens=context_tokens)
        self.measured: list[tuple[str, list[str]]] = []

    async def measure(
        self, system: str, tools: Sequence[ToolSpec], texts: Sequence[str]
    ) -> Measure:
        self.measured.append((system, list(texts)))
        return await super().measure(system, tools, texts)


def user(text: str) -> ChatMessage:
    return ChatMessage("user", text)


async def test_a_text_is_measured_once_and_only_what_is_new_is_asked_for() -> None:
    model = Counting()
    counts = TokenCounts(model)
    await counts.of("head", (), [user("one"), user("one"), user("two")])
    counted = await counts.of("head", (), [user("one"), user("two"), user("three")])
    await counts.of("head", (), [user("three"), user("one")])
    assert model.measured == [("head", ["one", "two"]), ("head", ["three"])]
    assert counted.count(user("three")) == count_tokens("three") + counted.message_tokens


async def test_agents_that_alternate_do_not_forget_each_others_heads() -> None:
    model = Counting()
    counts = TokenCounts(model)
    for _ in range(3):
        for head in ("one", "two", "three"):
            await counts.of(head, (), [user("hello")])
    assert len(model.measured) == 3


async def test_what_is_needed_now_is_counted_however_much_was_counted_before() -> None:
    counts = TokenCounts(Counting())
    long = [user(str(number) * 100_000) for number in range(50)]
    counted = await counts.of("head", (), long)
    assert all(counted.count(message) > 25_000 for message in long)


async def test_what_was_used_last_is_remembered_longest() -> None:
    model = Counting()
    counts = TokenCounts(model)
    for number in range(100):
        await counts.of("head", (), [user("asked every time"), user(f"{number}" * 50_000)])
    measured = [text for _, texts in model.measured for text in texts]
    assert measured.count("asked every time") == 1
    assert [head for head, _ in model.measured] == ["head"] * 100


async def test_each_call_counts_with_what_the_template_puts_around_it() -> None:
    counts = TokenCounts(Counting())
    one = ToolCall("1", "conversation_search", {"query": "tea"})
    single = ChatMessage("assistant", "", (one,))
    double = ChatMessage("assistant", "", (one, one))
    counted = await counts.of("head", (), [single, double])
    assert counted.count(single) >= counted.message_tokens + count_tokens(
        '{"name": "conversation_search", "arguments": {"query": "tea"}}'
    )
    assert counted.count(double) >= 2 * counted.count(single)


def test_the_reply_gets_a_quarter_of_a_small_window() -> None:
    small = Budget.of(ModelInfo("m", 2_048), AgentSettings())
    large = Budget.of(ModelInfo("m", 32_768), AgentSettings())
    assert (small.reply_tokens, small.prompt_tokens) == (512, 1_536)
    assert (large.reply_tokens, large.prompt_tokens) == (1_024, 31_744)


def test_an_agent_may_take_less_of_a_window_than_the_model_has_and_never_more() -> None:
    settings = AgentSettings(context_tokens=4_096, max_reply_tokens=100)
    assert Budget.of(ModelInfo("m", 32_768), settings) == Budget(4_096, 100)
    assert Budget.of(ModelInfo("m", 2_048), settings) == Budget(2_048, 100)
