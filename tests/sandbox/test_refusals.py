"""Where nothing can be isolated, the reader learns why and what to do."""

import pytest

from sandbox.output import Kept, bounded_error, visible
from sandbox.refusals import explain
from sandbox.worker import ended_without_answer

UID_MAP = "bwrap: setting up uid map: Permission denied\n"


@pytest.mark.parametrize(
    ("printed", "settings", "container", "cause", "cure"),
    [
        (UID_MAP, {"apparmor_restrict_unprivileged_userns": "1"}, False,
         "AppArmor forbids user namespaces", "sudo apparmor_parser -r"),
        (UID_MAP, {"max_user_namespaces": "0"}, False,
         "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces"),
        (UID_MAP, {"unprivileged_userns_clone": "0"}, False,
         "kernel.unprivileged_userns_clone is 0", "unprivileged_userns_clone=1"),
        ("bwrap: No permissions to create a new namespace", {}, True,
         "this container forbids new namespaces", "--security-opt seccomp=unconfined"),
        ("bwrap: Creating new namespace failed: nesting depth or max_*_namespaces exceeded "
         "(ENOSPC)", {}, False, "no more namespaces", "outside of the sandbox"),
        ("", {}, False, "it printed nothing", "bwrap --unshare-all"),
    ],
)  # fmt: skip
def test_what_forbids_namespaces_is_named_with_its_cure(
    printed: str, settings: dict[str, str], container: bool, cause: str, cure: str
) -> None:
    refused = explain(printed, settings, container=container)
    assert cause in refused.cause
    assert " ".join(printed.split()) in refused.cause
    assert cure in refused.cure
    assert "sandbox_minimum=landlock" in refused.cure


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (0, "killed", "exit code 0"),
        (152, "limit", "7 s of processor time"),
        (139, "killed", "SIGSEGV"),
        (159, "killed", "system call that is not allowed"),
        (-1, "killed", "closed its channel"),
    ],
)
def test_an_exit_without_an_answer_is_put_into_words(code: int, status: str, words: str) -> None:
    verdict = ended_without_answer(code, 7)
    assert verdict.status == status
    assert words in (verdict.error or "")


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    assert visible("\x1b[31mred\x07\x00\x9b2J\u202ereverse\r\nnext\tcolumn") == (
        "[31mred2Jreverse\nnext\tcolumn"
    )


def test_output_is_kept_to_its_limit_and_the_rest_is_counted() -> None:
    kept = Kept(limit_bytes=5)
    for piece in (b"abc", b"\xffdef", b"gh"):
        kept.add(piece)
    assert kept.text() == "abc\ufffdd\n[4 more bytes were not kept]\n"


@pytest.mark.parametrize("text", ["x" * 10_000, "é" * 10_000, "😀" * 10_000, "short"])
def test_an_error_is_at_most_4_kb(text: str) -> None:
    shown = bounded_error(text)
    assert len(shown.encode()) <= 4_000
    assert shown[:4] == text[:4]
