"""Sources that the tests of tools share."""

STRUCTURES = '''
import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar, NotRequired, TypedDict as TD
from pydantic import BaseModel, Field

Colour = Literal["red", "blue"]


class Base(TD):
    """Where it is.

    Attributes:
        x: From the left.
    """

    x: int
    y: NotRequired[int]


class Point(Base, total=False):
    colour: Colour


@dataclasses.dataclass(frozen=True)
class Line:
    start: Point
    width: float = 1.5
    names: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "line"

    def length(self) -> float:
        return 0.0


class Drawing(BaseModel):
    """A drawing.

    With lines.
    """

    title: str = Field(..., description="Of the drawing.", max_length=80)
    lines: list["Line"] = Field(default_factory=list)
    scale: int = Field(2, gt=0)
    note: str | None = None
'''
