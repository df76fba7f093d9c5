"""`mnemon reindex`: embed everything again."""

import signal
import threading
from functools import partial
from typing import Any

from memory.database import Database
from memory.embedders.factory import load_embedder
from memory.errors import DatabaseLocked
from memory.reindex import reindex
from server.config import ConfigError, Settings
from server.console import Console
from server.counted import counted
from server.owner_questions import refuse_while_owned
from server.turns import in_turn


def run(settings: Settings, options: dict[str, Any], console: Console) -> int:
    """Reindex with progress; Ctrl-C keeps what is done."""
    if settings.embedder == "none":
        raise ConfigError("the embedder is 'none', so there is nothing to reindex with")
    if settings.database is None or not settings.database.exists():
        raise ConfigError(f"there is no database in {settings.data}; nothing to reindex")
    refuse_while_owned(settings.data)
    embedder = load_embedder(settings.embedder)
    database = in_turn(partial(Database, settings.database), DatabaseLocked)
    interrupted = _watch_interrupt()

    def report(done: int, total: int) -> None:
        console.progress(done, total, "embedding")
        if interrupted.is_set():
            raise KeyboardInterrupt

    try:
        done = reindex(database, embedder, report, options["force"])
    except KeyboardInterrupt:
        console.end_progress()
        console.note("interrupted; run `mnemon reindex` again to go on from here")
        raise
    finally:
        database.close()
    console.end_progress()
    console.show(
        {"embedder": embedder.name, "embedded": done},
        f"{counted(done, 'text')} embedded with {embedder.name}"
        if done
        else "nothing to do: all is embedded",
    )
    return 0


def _watch_interrupt() -> threading.Event:
    """Have Ctrl-C set an event: raised inside native code it comes out as another exception."""
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    return interrupted
