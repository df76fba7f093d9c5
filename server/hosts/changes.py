"""Setting an entry up in a host's file, and taking it out again: what to do, and doing it.

plan_setup and plan_unsetup only read; apply writes. An entry that starts another program is
touched only when forced, and comes back with unsetup.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from server.errors import OperatorError
from server.hosts import config_file
from server.hosts.backup import Backup, Step, fingerprint, load_backup, save_backup
from server.hosts.config_file import ConfigFileError
from server.hosts.entry import is_ours
from server.hosts.jsonc import JsoncError
from server.hosts.jsonc_edit import has_section, is_bare, read_entry, remove_entry, set_entry

Kind = Literal["added", "updated", "replaced", "removed", "restored", "nothing"]


class ForeignEntry(OperatorError):
    """An entry of this name starts another program."""

    def __init__(self, path: Path, name: str, entry: Any) -> None:
        self.path, self.name = path, name
        command = entry.get("command") or entry.get("url") if isinstance(entry, dict) else entry
        super().__init__(
            f"{path} has an entry {name!r} that is not mnemon's ({command!r});"
            " take another name with --name, or --force it"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """An entry's place: a file, the section in it, and the name."""

    path: Path
    section: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to a file; texts are None where there is no file."""

    kind: Kind
    place: Place
    before: str | None
    after: str | None
    backup: Backup


def find_entry(place: Place) -> Any:
    """What stands there; None: nothing.

    Raises:
        ConfigFileError: the file cannot be read, or is not JSON.
    """
    return _entry(place, config_file.read(place.path))


def plan_setup(place: Place, entry: Mapping[str, Any], force: bool) -> Change:
    """How the file comes to have the entry; what a host added to an entry of ours stays in it.

    Raises:
        ForeignEntry: another program's entry has the name.
        ConfigFileError: the file cannot be read, or is not JSON.
    """
    before = config_file.read(place.path)
    backup = load_backup(place.path)
    current = _entry(place, before)
    ours = is_ours(current)
    if ours and {**current, **entry} == current:
        return Change("nothing", place, before, before, backup)
    if current is not None and not ours and not force:
        raise ForeignEntry(place.path, place.name, current)
    merged = {**current, **entry} if ours else entry
    after = set_entry(before or "", place.section, place.name, merged)
    kept = backup.find(place.name) if ours else None
    step = Step(name=place.name, before=before, after=fingerprint(after))
    if kept is not None:
        alone = kept.after is not None and kept.after == fingerprint(before)
        step = Step(name=place.name, before=kept.before, after=step.after if alone else None)
    kind: Kind = "added" if current is None else "updated" if ours else "replaced"
    return Change(kind, place, before, after, backup.plus(step))


def plan_unsetup(place: Place, force: bool) -> Change:
    """How the file comes to be without the entry, and if possible as it was before it.

    Raises:
        ForeignEntry: the entry is another program's by now.
        ConfigFileError: the file cannot be read, or is not JSON.
    """
    before = config_file.read(place.path)
    backup = load_backup(place.path)
    current = _entry(place, before)
    step, backup = backup.find(place.name), backup.without(place.name)
    if before is None or current is None:
        return Change("nothing", place, before, before, backup)
    if not is_ours(current) and not force:
        raise ForeignEntry(place.path, place.name, current)
    if step is None:
        after = remove_entry(before, place.section, place.name, with_section=False)
        return Change("removed", place, before, after, backup)
    earlier = _entry(place, step.before)
    kind: Kind = "removed" if earlier is None else "restored"
    if step.after == fingerprint(before):
        return Change(kind, place, before, step.before, backup)
    return Change(kind, place, before, _taken_out(place, before, step.before, earlier), backup)


def apply(change: Change) -> None:
    """Make a change; the backup is there first, and goes last.

    Raises:
        ConfigFileError: the file cannot be written, or was changed since; it is as it was.
    """
    path = change.place.path
    if change.after == change.before:
        save_backup(path, change.backup)
        return
    earlier = load_backup(path)
    if change.kind in ("added", "updated", "replaced"):
        save_backup(path, change.backup)
    try:
        config_file.replace(path, change.after, change.before)
    except ConfigFileError:
        save_backup(path, earlier)
        raise  # an interruption may come after the change; a backup too many does no harm
    save_backup(path, change.backup)


def _entry(place: Place, text: str | None) -> Any:
    try:
        return read_entry(text or "", place.section, place.name)
    except JsoncError as error:
        raise ConfigFileError(place.path, f"not valid JSON: {error}") from error


def _taken_out(place: Place, text: str, original: str | None, earlier: Any) -> str | None:
    """The text of a file that changed since setup, without the entry or with the earlier one."""
    if earlier is not None:
        return set_entry(text, place.section, place.name, earlier)
    empty_section = not has_section(original or "", place.section)
    after = remove_entry(text, place.section, place.name, with_section=empty_section)
    return None if original is None and is_bare(after) else after
