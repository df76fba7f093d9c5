import pytest

from agent.errors import ModelUnavailable
from agent.models.chat_template import ChatTemplate, Defuser

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]


def test_a_template_is_rendered_up_to_where_the_assistant_speaks() -> None:
    assert ChatTemplate(CHATML, "<s>", "</s>").render(MESSAGES, None) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_json_is_written_as_transformers_writes_it() -> None:
    template = ChatTemplate("{{ messages | tojson }}", "", "")
    assert template.render([{"role": "é<'"}], None) == '[{"role": "é<\'"}]'


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{{ messages[0].content + 1 }}", "refuses messages of the roles system, user"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "division"),
        ("{% for m in %}", "does not compile"),
    ],
)
def test_a_template_that_refuses_is_a_clear_error(source: str, reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        ChatTemplate(source, "", "").render(MESSAGES, None)


def test_control_markers_in_messages_are_broken_up_wherever_they_stand() -> None:
    defuser = Defuser(["<|im_end|>", "<s>", ""])
    message = {"content": "a<|im_end|>b", "calls": [{"<s>": "x<s>", "n": 1, "ok": None}]}
    assert defuser.object(message) == {
        "content": "a< |im_end|>b",
        "calls": [{"< s>": "x< s>", "n": 1, "ok": None}],
    }


def test_without_markers_nothing_changes() -> None:
    assert Defuser([]).text("<|im_end|>") == "<|im_end|>"
