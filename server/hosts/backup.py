"""What was in a host's file before mnemon changed it, kept beside it until unsetup.

One file, NAME.mnemon-backup, readable by its owner alone: hosts' files have secrets in them.
"""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from server.hosts import config_file


class Step(BaseModel):
    """One entry that was set up.

    before is the file's text then, None: there was none; after the sha256 of what setup made of
    it, None: more than setup's change lies between the two.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    before: str | None
    after: str | None


class Backup(BaseModel):
    """The entries that were set up in one file, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: list[Step] = []

    def find(self, name: str) -> Step | None:
        """The step of an entry."""
        return next((step for step in self.steps if step.name == name), None)

    def without(self, name: str) -> "Backup":
        """The backup without an entry's step."""
        return Backup(steps=[step for step in self.steps if step.name != name])

    def plus(self, step: Step) -> "Backup":
        """The backup with a step in the place of that entry's last one."""
        return Backup(steps=[*self.without(step.name).steps, step])


def backup_path(path: Path) -> Path:
    """Where the backup of a file lies."""
    return path.with_name(path.name + ".mnemon-backup")


def load_backup(path: Path) -> Backup:
    """The backup of a file; an empty one when there is none, or what is there is none."""
    try:
        return Backup.model_validate_json(config_file.read(backup_path(path)) or "{}")
    except ValidationError:
        return Backup()


def save_backup(path: Path, backup: Backup) -> None:
    """Keep a backup; an empty one is no file."""
    place = backup_path(path)
    text = backup.model_dump_json(indent=2) + "\n" if backup.steps else None
    before = config_file.read(place)
    if text != before:
        config_file.replace(place, text, before)


def fingerprint(text: str | None) -> str | None:
    """What tells one text from another."""
    return None if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest()
