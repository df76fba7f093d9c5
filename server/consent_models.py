"""Arguments and results of the tools that need a person's yes, and of the list of orphans."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from agent.memory_tools import Arguments, Result
from server.counted import counted
from server.memory_tools import ChangesAgent
from server.once import Once


class Delete(ChangesAgent):
    """Arguments of agent_delete."""

    delete_orphans: bool = Field(True, description="False: blocks and archive stay.")


class ListOrphans(Arguments):
    """Arguments of orphan_list."""

    limit: Annotated[int, Field(ge=1, le=100), WithJsonSchema({"type": "integer"})] = 50
    cursor: str | None = None


class DeleteOrphans(Once):
    """Arguments of orphan_delete."""

    ids: Annotated[list[str], Field(min_length=1, max_length=100)] = Field(
        description="Of blocks and archives."
    )


class Awaited(Result):
    """What was done once a person agreed, or what would be: it waits for approval_id.

    `said` is the result as a model reads it.
    """

    status: Literal["done", "waiting"] = "done"
    approval_id: str | None = None

    def said(self) -> str:
        """What was done, or what waits for whom."""
        if self.status == "done":
            return self.done()
        return (
            f"Nothing is changed yet: {self.question()} Ask the person; then call approval_decide"
            f" with approval_id {self.approval_id}."
        )

    def question(self) -> str:
        """What the person is asked."""
        raise NotImplementedError

    def done(self) -> str:
        """What was done."""
        raise NotImplementedError


class AgentDeleted(Awaited):
    """What went with a deleted agent, or what would.

    blocks: labels of those it alone had; shared_blocks: of those that others have, too, and keep.
    orphans: ids of the blocks and of the archive that stay without an agent.
    """

    id: str
    name: str
    messages: int
    passages: int
    blocks: list[str]
    shared_blocks: list[str]
    orphans: list[str]

    def question(self) -> str:
        """What the person is asked."""
        return f"Delete {self._what()} This cannot be undone."

    def done(self) -> str:
        """What was deleted."""
        return f"Deleted {self._what('.')}"

    def _what(self, end: str = "?") -> str:
        passages = [counted(self.passages, "passage")] if self.passages else []
        blocks = [f"the blocks {', '.join(self.blocks)}"] if self.blocks else []
        own = " and ".join(passages + blocks)
        kept = bool(self.orphans)
        gone = "" if kept or not own else f", {own}"
        messages = counted(self.messages, "message")
        text = f"agent {self.name} ({self.id}) with {messages}{gone}{end}"
        if kept:
            text += f" What it alone has stays without an agent ({own}): {', '.join(self.orphans)}."
        if self.shared_blocks:
            text += f" Other agents keep the shared blocks {', '.join(self.shared_blocks)}."
        return text


class MessagesReset(Awaited):
    """How many messages were forgotten, or would be."""

    id: str
    name: str
    messages: int

    def question(self) -> str:
        """What the person is asked."""
        return (
            f"Forget {counted(self.messages, 'message')} of agent {self.name} ({self.id})?"
            " Blocks and archive stay. This cannot be undone."
        )

    def done(self) -> str:
        """What was forgotten."""
        return f"Forgot {counted(self.messages, 'message')} of agent {self.name} ({self.id})."


class OrphanShown(Result):
    """A block or an archive that no agent has. size: characters, or passages."""

    kind: Literal["block", "archive"]
    id: str
    name: str
    size: int


class OrphanPage(Result):
    """Orphans in the order in which they were made."""

    orphans: list[OrphanShown]
    next_cursor: str | None = None


class OrphansDeleted(Awaited):
    """Which orphans were deleted, or would be."""

    orphans: list[OrphanShown]

    def question(self) -> str:
        """What the person is asked."""
        return f"Delete {self._what()}? This cannot be undone."

    def done(self) -> str:
        """What was deleted."""
        return f"Deleted {self._what()}."

    def _what(self) -> str:
        return ", ".join(orphan_line(orphan) for orphan in self.orphans)


def orphan_line(orphan: OrphanShown) -> str:
    """An orphan as a model reads it."""
    held = counted(orphan.size, "character" if orphan.kind == "block" else "passage")
    return f"{orphan.kind} {orphan.name} ({orphan.id}, {held})"
