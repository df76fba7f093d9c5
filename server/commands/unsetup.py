"""`mnemon unsetup`: take mnemon out of a host's configuration, which is then as it was before."""

from typing import Any

from server.commands.setup import find_place
from server.config import Settings
from server.console import Console
from server.hosts.changes import apply, plan_unsetup

_DONE = {
    "removed": "removed {name} from {file}",
    "restored": "brought back the {name} of before in {file}",
    "nothing": "{name} is not set up in {file}; nothing was changed",
}


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Remove the entry, or bring back the one that setup replaced."""
    place = find_place(options)
    change = plan_unsetup(place, options["force"])
    if not options["dry_run"]:
        apply(change)
    text = _DONE[change.kind].format(name=place.name, file=place.path)
    if options["dry_run"] and change.kind != "nothing":
        text = f"would have {text}"
    elif change.before is not None and change.after is None:
        text = f"removed {place.path}, which setup had made"
    console.show(
        {
            "host": options["host"],
            "file": str(place.path),
            "name": place.name,
            "result": change.kind,
            "dry_run": options["dry_run"],
        },
        text,
    )
    return 0
