"""Files as passages: JSON Lines as they stand, any other text cut into pieces.

Read twice, as a stream: once to find what is wrong before anything is stored and to count, once to
send. So a file may be far larger than what is held of it.
"""

import codecs
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Literal

from memory.archival import check_passage
from memory.embedders.text import split_text
from memory.errors import InvalidValue
from server.arguments import InvalidArguments, parse_arguments
from server.config import expanded
from server.errors import OperatorError
from server.import_tool import ImportedPassage
from server.memory_tools import HostPassage, new_passage

Format = Literal["jsonl", "text"]

JSONL_ENDINGS: Final = frozenset({".jsonl", ".ndjson"})

PIECE_TOKENS: Final = 200
"""Of a piece of a text, some 150 words: an embedder reads it whole, and it is about one thing."""
# About what a tokenizer makes of words; which one will read them is not known here.
_WORD_PIECE: Final = re.compile(r"\w{1,5}|[^\w\s]")

MAX_LINE_BYTES: Final = 2_000_000
"""More than the longest passage takes, every character of it escaped, with its notes."""
CHUNK_BYTES: Final = 1_000_000

BATCH_PASSAGES: Final = 500
BATCH_CHARS: Final = 250_000
"""One transaction, during which other writers wait: a tenth of a second."""


_FIELDS: Final = ", ".join(HostPassage.model_fields)


class CannotImport(OperatorError):
    """A file cannot be read, or something in it cannot be stored."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened file. notes: fields of each passage that does not have them itself."""

    name: str
    file: IO[bytes]
    format: Format
    notes: Mapping[str, Any]


def open_sources(
    files: Sequence[str], format_: Format | None, notes: Mapping[str, Any], opened: ExitStack
) -> list[Source]:
    """Open files, closed with `opened`; `-` is standard input, of which a copy is read.

    Args:
        format_: of all of them; None: by their names; standard input is JSON Lines.
        notes: fields of every passage that does not have them itself; source: else the file's name.

    Raises:
        CannotImport: one cannot be opened.
    """
    sources = []
    for name in files:
        kind = format_ or _format_of(name)
        said = "standard input" if name == "-" else Path(name).as_posix()
        own = {"source": said, **({"session": said} if kind == "text" else {})}
        file = _standard_input(opened) if name == "-" else _open(name, opened)
        sources.append(Source(said, file, kind, {**own, **notes}))
    return sources


def read_passages(sources: Sequence[Source]) -> Iterator[ImportedPassage]:
    """The passages of all files, in their order; each is known to be such that it can be stored.

    Raises:
        CannotImport: naming file and line of what cannot.
    """
    seen: Counter[int] = Counter()
    for source in sources:
        source.file.seek(0)
        found = _of_lines(source) if source.format == "jsonl" else _of_text(source)
        for place, fields in found:
            try:
                given = parse_arguments("passage", ImportedPassage, {**source.notes, **fields})
                assert isinstance(given, ImportedPassage)  # noqa: S101 - what was asked for
                # The agent's time zone is not known here; every moment is a moment in UTC, too.
                new = check_passage(new_passage(given, "UTC"))
            except InvalidArguments as error:
                raise CannotImport(
                    f"{place}: {'; '.join(error.problems)}; a passage has {_FIELDS}"
                ) from None
            except InvalidValue as error:
                raise CannotImport(f"{place}: {error}") from None
            same = hash((new.text, new.author, new.source, new.session, new.occurred_at))
            yield given.model_copy(update={"copy_number": seen[same]})
            seen[same] += 1


def in_batches(passages: Iterator[ImportedPassage]) -> Iterator[list[ImportedPassage]]:
    """What is sent in a call each."""
    batch: list[ImportedPassage] = []
    chars = 0
    for passage in passages:
        if batch and (len(batch) == BATCH_PASSAGES or chars + len(passage.content) > BATCH_CHARS):
            yield batch
            batch, chars = [], 0
        batch.append(passage)
        chars += len(passage.content)
    if batch:
        yield batch


def _of_lines(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of JSON Lines: an object with the fields of a passage, or only its text, on each line."""
    read = partial(source.file.readline, MAX_LINE_BYTES + 1)
    for number, line in enumerate(iter(read, b""), start=1):
        place = f"{source.name}, line {number}"
        if not line.strip():
            continue
        if len(line) > MAX_LINE_BYTES:
            raise CannotImport(f"{place} has more than {MAX_LINE_BYTES} bytes; make passages of it")
        try:
            found = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise CannotImport(f"{place} is no JSON: {error}") from None
        fields = {"content": found} if isinstance(found, str) else found
        if not isinstance(fields, dict):
            raise CannotImport(f"{place} is neither an object nor a text: {line[:80]!r}")
        if "text" in fields and "content" not in fields:
            fields["content"] = fields.pop("text")
        yield place, {name: value for name, value in fields.items() if value is not None}


def _of_text(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of a text: pieces that end where a paragraph does, or a line or sentence, in a session."""
    line, number = 1, 0
    try:
        for piece in _pieces(source.file):
            if piece.strip():
                number += 1
                yield f"{source.name}, line {line}", {"content": piece.strip(), "sequence": number}
            line += piece.count("\n")
    except UnicodeDecodeError as error:
        raise CannotImport(f"{source.name} is no UTF-8 text: {error.reason}") from None


def _pieces(file: IO[bytes]) -> Iterator[str]:
    """The pieces of a text; joined they are the text. The same each time it is read."""
    decoder, text = codecs.getincrementaldecoder("utf-8-sig")(), ""
    while chunk := file.read(CHUNK_BYTES):
        pieces = split_text(text + decoder.decode(chunk), PIECE_TOKENS, _word_pieces)
        # Where the last ones end depends on what comes.
        yield from pieces[:-2]
        text = "".join(pieces[-2:])
    yield from split_text(text + decoder.decode(b"", final=True), PIECE_TOKENS, _word_pieces)


def _word_pieces(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _WORD_PIECE.finditer(text)]


def _format_of(name: str) -> Format:
    return "jsonl" if name == "-" or Path(name).suffix.lower() in JSONL_ENDINGS else "text"


def _open(name: str, opened: ExitStack) -> IO[bytes]:
    path = expanded(Path(name))
    try:
        file = opened.enter_context(path.open("rb"))
        return file if file.seekable() else _kept(file, opened)
    except OSError as error:
        raise CannotImport(f"{path} cannot be read: {error.strerror}") from error


def _standard_input(opened: ExitStack) -> IO[bytes]:
    if sys.stdin is None:
        raise CannotImport("standard input cannot be read: it is closed")
    return _kept(sys.stdin.buffer, opened)


def _kept(stream: IO[bytes], opened: ExitStack) -> IO[bytes]:
    """A copy of what can be read once."""
    kept = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with `opened`
    shutil.copyfileobj(stream, kept)
    return kept
