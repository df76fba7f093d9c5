"""What is remembered of workspaces that are gone is bounded, and enough for runs in them."""

from pathlib import Path

from server.deleted_workspaces import REMEMBERED, DeletedWorkspaces


def test_the_last_ones_are_remembered_and_those_that_a_run_is_in() -> None:
    deleted, first, later = DeletedWorkspaces(), Path("/w/first"), Path("/w/later")
    with deleted.in_use(first):
        deleted.add(first)
        for number in range(3 * REMEMBERED):
            deleted.add(Path(f"/w/{number}"))
        assert first in deleted
        assert Path("/w/0") not in deleted
    deleted.add(later)
    assert later in deleted
    assert first not in deleted
    assert len(deleted) == REMEMBERED


def test_a_run_without_a_workspace_is_in_none() -> None:
    deleted = DeletedWorkspaces()
    with deleted.in_use(None):
        assert None not in deleted
