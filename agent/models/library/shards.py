"""Names of models that are split over several files: NAME-00001-of-00003.gguf."""

import re
from dataclasses import dataclass
from typing import Final

_SHARD: Final = re.compile(r"(.+)-([0-9]{5})-of-([0-9]{5})", re.DOTALL)
MAX_SHARDS: Final = 999


@dataclass(frozen=True, slots=True)
class ShardName:
    """A file's place in its model; a whole model is the first of one."""

    stem: str
    number: int = 1
    count: int = 1

    @property
    def is_split(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    def all_names(self) -> tuple[str, ...]:
        """Names of all files of the model, in order."""
        if not self.is_split:
            return (f"{self.stem}.gguf",)
        return tuple(
            f"{self.stem}-{number:05}-of-{self.count:05}.gguf"
            for number in range(1, self.count + 1)
        )


def shard_name(file_name: str) -> ShardName:
    """Read a file name, with or without its directory's part of a path before it."""
    stem = file_name[: -len(".gguf")] if file_name.lower().endswith(".gguf") else file_name
    found = _SHARD.fullmatch(stem)
    if found:
        number, count = int(found[2]), int(found[3])
        if 1 <= number <= count and 1 < count <= MAX_SHARDS:
            return ShardName(found[1], number, count)
    return ShardName(stem)
