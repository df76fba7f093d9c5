"""How a serving process is told to stop, and how it is made sure that it does."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

import anyio

logger = logging.getLogger(__name__)

EXIT_DEADLINE_S: Final = 5.0  # hosts send SIGKILL some seconds after SIGTERM; be gone before


async def wait_for_stop_signal() -> str:
    """Return the name of the signal that asks this process to end: TERM, INT or HUP.

    On Windows it waits for ever: Ctrl-C cancels the main task there, and nothing sends SIGTERM.
    """
    if sys.platform == "win32":
        await anyio.sleep_forever()
    asked = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    with anyio.open_signal_receiver(*asked) as signals:
        async for received in signals:
            return received.name
    raise AssertionError("the signal receiver ended without a signal")


def exit_after(seconds: float = EXIT_DEADLINE_S, exit_code: int = 1) -> Callable[[], None]:
    """Return a function that lets the process end itself, but no later than after `seconds`.

    The one place that ends the process by force: a tool blocked in a thread cannot be cancelled,
    and the host must not be left with an orphan for it. The store survives that by design.
    """

    def start() -> None:
        timer = threading.Timer(seconds, _exit_now, (seconds, exit_code))
        timer.daemon = True
        timer.start()

    return start


def _exit_now(seconds: float, exit_code: int) -> None:
    logger.error("still busy after %s s; ending without what runs", seconds)
    logging.shutdown()
    os._exit(exit_code)
