"""Real sandboxes for tests; where none is possible the test is skipped and says why."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sandbox.namespaces import NamespaceSandbox
from sandbox.places import temporary_places
from sandbox.settings import SandboxSettings


@asynccontextmanager
async def isolated(settings: SandboxSettings) -> AsyncIterator[NamespaceSandbox]:
    """A sandbox of this machine."""
    with temporary_places() as places:
        async with NamespaceSandbox(places, settings).open() as sandbox:
            found = await sandbox.availability()
            if found.tier is None:
                pytest.skip(f"{found.cause}. {found.cure}")
            yield sandbox
