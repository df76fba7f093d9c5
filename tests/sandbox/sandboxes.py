"""Real sandboxes for tests; where none is possible the test is skipped and says why."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from sandbox.namespaces import NamespaceSandbox
from sandbox.places import temporary_places
from sandbox.protocol import Availability
from sandbox.settings import SandboxSettings


@asynccontextmanager
async def isolated(settings: SandboxSettings) -> AsyncIterator[NamespaceSandbox]:
    """A sandbox of this machine; without spare processes, each call waits for its end as well."""
    async with AsyncExitStack() as stack:
        places = stack.enter_context(temporary_places())
        sandbox = NamespaceSandbox(places, settings)
        if settings.warm_workers:
            await stack.enter_async_context(sandbox.open())
        found = await sandbox.availability()
        skip_where_impossible(found)
        yield sandbox


def skip_where_impossible(found: Availability) -> None:
    """Skip where this machine cannot isolate; where an attempt to break out got through, fail."""
    if found.tier is None and found.tried:
        pytest.fail(f"{found.cause}: {found.tried}")
    if found.tier is None:
        pytest.skip(f"nothing can be isolated here: {found.cause}. {found.cure}")
