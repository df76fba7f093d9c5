"""What a new agent is made of: the fields given, or those of a template with them.

Imported when one is created: its tools and rules are checked, which takes the whole table of them.
"""

from pathlib import Path
from typing import Final

from agent.models.library.names import is_name
from agent.models.spec import GgufFile, parse_spec
from agent.outside import ToolSource
from agent.settings import merged
from memory.agents import NewAgent
from memory.errors import InvalidValue
from memory.limits import check_object
from memory.records import Block
from server.agent_changes import UNBORN, changed_settings
from server.agent_models import Create
from server.config import expanded
from server.templates import fill, find_template

DEFAULT_BLOCKS: Final = (
    Block("persona", description="Who you are: your role, character and way of working."),
    Block("human", description="What is known about the person you talk with."),
)


def new_agent(asked: Create, templates: Path | None, source: ToolSource) -> NewAgent:
    """What the store is asked to create.

    Args:
        templates: the folder of the templates that can be named.
        source: of the tools outside of memory, which its rules may name.

    Raises:
        MemoryStoreError: there is no such template, tool or rule, or a value cannot be.
        ModelSpecInvalid: says what is wrong with its model.
    """
    name = asked.template
    arguments = asked if name is None else fill(asked, find_template(templates, name))
    given = arguments.blocks
    check_model(arguments.model)
    return NewAgent(
        name=arguments.name,
        description=arguments.description,
        system=arguments.system,
        timezone=arguments.timezone or "UTC",
        model=arguments.model,
        tags=tuple(arguments.tags),
        blocks=DEFAULT_BLOCKS
        if given is None
        else tuple(Block(**block.model_dump(exclude_none=True)) for block in given),
        metadata=merged({}, check_object(arguments.metadata, "metadata")),
        settings=changed_settings(UNBORN, arguments.settings, source),
    )


def check_model(model: str | None) -> None:
    """Refuse what names no model, or a path that means another file wherever mnemon is started.

    Raises:
        ModelSpecInvalid: says what is wrong with it.
    """
    found = parse_spec(model) if model else None
    if (
        isinstance(found, GgufFile)
        and not expanded(found.path).is_absolute()
        and not is_name(str(found.path))
    ):
        raise InvalidValue(
            f"model {model!r} is no absolute path; give the whole path, or a name of"
            " `mnemon models list`"
        )
