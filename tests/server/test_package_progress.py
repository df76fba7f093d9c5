"""What a person is told while packages are resolved and installed."""

from sandbox.install_process import Progress
from server.packages import with_progress

LINES = (
    "Resolved 2 packages in 168ms",
    "idna==3.20 \\",
    "    --hash=sha256:a7db850025b95d \\",
    "    --hash=sha256:ab7ae712297455",
    "    # from https://example.com/simple",
    "Downloading aiohttp (1.8MiB)",
)


async def test_hashes_of_what_was_resolved_are_not_told() -> None:
    told: list[str] = []

    async def report(done: float, total: float | None, message: str | None) -> None:
        told.append(str(message))

    async def work(tell: Progress) -> None:
        for line in LINES:
            tell(line)

    await with_progress(report, work)
    assert told == [LINES[0], LINES[-1]]
