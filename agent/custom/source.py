"""Reading a tool's source without running any of it: parsing, and finding the function.

The source is anybody's. Whatever it is, it is read or refused with an UnreadableTool.
"""

import ast
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from memory.errors import InvalidValue
from memory.limits import check_source

Function = ast.FunctionDef | ast.AsyncFunctionDef

_TYPING: Final = ("typing", "typing_extensions", "collections.abc", "pydantic", "dataclasses")
_quiet = threading.Lock()


class UnreadableTool(InvalidValue):
    """No tool can be made of a source; the message names the line and what would work."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(problem if line is None else f"line {line}: {problem}")


@dataclass(frozen=True, slots=True)
class Source:
    """What a source defines at its top level.

    functions, classes: by name, in order; the last of a name counts. aliases: other names of types,
    as `Colour = Literal["red"]`. imported: what a name stands for that was imported from typing and
    its like, e.g. {"Opt": "Optional"}.
    """

    functions: Mapping[str, Function] = field(default_factory=dict)
    classes: Mapping[str, ast.ClassDef] = field(default_factory=dict)
    aliases: Mapping[str, ast.expr] = field(default_factory=dict)
    imported: Mapping[str, str] = field(default_factory=dict)


def read_source(text: str) -> Source:
    """Parse a source.

    Raises:
        UnreadableTool: it is no Python.
        InvalidValue: it is too long, or no text that can be stored.
    """
    functions = dict[str, Function]()
    classes = dict[str, ast.ClassDef]()
    aliases = dict[str, ast.expr]()
    imported = dict[str, str]()
    for node in parse(check_source(text)).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                functions.pop(name, None)  # the place of the last definition counts
                functions[name] = node
            case ast.ClassDef(name=name):
                classes[name] = node
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                aliases[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                aliases[name] = value
            case ast.ImportFrom(module=module, names=names) if module in _TYPING:
                imported |= {a.asname: a.name for a in names if a.asname}
    return Source(functions, classes, aliases, imported)


def find_function(source: Source, name: str | None) -> Function:
    """Return the function that is the tool: the one of this name, else the last public one.

    Raises:
        UnreadableTool: there is none.
    """
    if name is not None and name in source.functions:
        return source.functions[name]
    public = [function for key, function in source.functions.items() if not key.startswith("_")]
    if not public:
        raise UnreadableTool(
            "the source has no public function at its top level; write the tool as"
            ' `def name(argument: str) -> str:` with a docstring, not inside of a class or an "if"'
        )
    return public[-1]


def parse(text: str, line: int = 0) -> ast.Module:
    """Parse Python.

    line: where it stands, where it is part of another text.

    Raises:
        UnreadableTool: it is none, or nested too deeply.
    """
    try:
        # Odd escapes are warned about on stderr, in the words of whoever wrote the source.
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        where = line or error.lineno
        raise UnreadableTool(f"this is no valid Python: {error.msg}", where) from None
    except (RecursionError, MemoryError):
        raise UnreadableTool("the source is nested too deeply; flatten it", line or None) from None
    except ValueError as error:
        raise UnreadableTool(f"this is no valid Python: {error}", line or None) from None


def literal(node: ast.expr) -> object:
    """The value of a literal.

    Raises:
        ValueError: it is none.
    """
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("no literal") from error
