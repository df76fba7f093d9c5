"""The table of formats. To add one: write its module, put it here, run the tests of templates."""

from agent.models.formats.call_format import CallFormat
from agent.models.formats.gemma import GEMMA
from agent.models.formats.harmony import HARMONY
from agent.models.formats.hermes import HERMES
from agent.models.formats.llama import LLAMA
from agent.models.formats.mistral import MISTRAL_ARGS, MISTRAL_LIST
from agent.models.formats.qwen import QWEN
from agent.models.formats.union import UNION
from agent.models.transcript import CallStyle

# In the order in which they are tried; what reads back nothing of what a template writes is passed
# over, so the order matters only for speed.
FORMATS: dict[CallStyle, CallFormat] = {
    "qwen": QWEN,
    "hermes": HERMES,
    "mistral-args": MISTRAL_ARGS,
    "mistral-list": MISTRAL_LIST,
    "harmony": HARMONY,
    "gemma": GEMMA,
    "llama": LLAMA,
    "json": UNION,
}
ALL_MARKERS = frozenset(marker for form in FORMATS.values() for marker in form.markers)


def likely_styles(template_source: str) -> tuple[CallStyle, ...]:
    """Give the styles whose signs a chat template bears, those that need no template last."""
    return tuple(
        style
        for style, form in FORMATS.items()
        if all(sign in template_source for sign in form.signs)
    )
