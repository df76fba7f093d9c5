"""Which lists of packages are taken, and what a lock is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InvalidRequirements
from sandbox.requirements import make_lock, parse_lock, parse_report, parse_requirements

HASH = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("numpy", "numpy"),
        ("NumPy >= 2, <3", "numpy<3,>=2"),
        ("zope.interface==6.0", "zope-interface==6.0"),
        ("a_b__c~=1.4.2", "a-b-c~=1.4.2"),
        ("requests[socks, Security]>=2.31", "requests[security,socks]>=2.31"),
        ("x==1.*", "x==1.*"),
        ("x!=1.0rc1,>=1!2.0+local.1", "x!=1.0rc1,>=1!2.0+local.1"),
    ],
)
def test_a_name_with_versions_is_taken_in_one_spelling(written: str, meant: str) -> None:
    assert parse_requirements([written, f" {written} "]) == (meant,)
    assert parse_requirements([meant]) == (meant,)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "-e .",
        "--index-url=http://evil.test",
        "-r other.txt",
        "x --hash=sha256:00",
        "x\n--pre",
        "x\r--pre",
        "x @ https://evil.test/x-1.0.tar.gz",
        "git+https://evil.test/x",
        "https://evil.test/x-1.0-py3-none-any.whl",
        "./x",
        "../x",
        "/home/x",
        "x/y",
        "x\\y",
        "~/x",
        "x-1.0-py3-none-any.whl",
        "x.tar.gz",
        "x.zip",
        "..",
        "x; python_version<'4'",
        "x===1.0",
        "x==1.0 # comment",
        "x==$VERSION",
        "${HOME}",
        "x==",
        "x,y",
        "x y",
        "x>=1,",
        "\N{MULTIPLICATION SIGN}",
        "x" * 300,
    ],
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(InvalidRequirements, match="is no requirement: write a name"):
        parse_requirements([written])


def test_a_list_is_bounded() -> None:
    with pytest.raises(InvalidRequirements, match="51 requirements are more than 50"):
        parse_requirements([f"x{n}" for n in range(51)])


@given(st.lists(st.text(max_size=40), max_size=3))
def test_no_text_gets_through_that_an_installer_could_read_as_more_than_a_name(
    written: list[str],
) -> None:
    try:
        parsed = parse_requirements(written)
    except InvalidRequirements:
        return
    for line in parsed:
        assert line[0].isalnum()
        assert not set(line) & set("/\\ \t\n\r;@#$'\"")


def test_a_lock_is_read_back_as_it_was_written_and_its_key_says_for_which_python() -> None:
    lock = make_lock([("B_b", "2", [HASH]), ("a", "1.0", [HASH, HASH])], "python 3.11")
    assert lock.packages == ("a==1.0", "b-b==2")
    assert lock.text == f"a==1.0 --hash={HASH}\nb-b==2 --hash={HASH}\n"
    assert parse_lock(lock.text, "python 3.11") == lock
    assert parse_lock(lock.text.replace(" --", " \\\n    --"), "python 3.11").key == lock.key
    assert parse_lock(lock.text, "python 3.12").key != lock.key


@pytest.mark.parametrize(
    "text",
    [
        "a==1.0\n",
        f"a>=1 --hash={HASH}",
        "a==1.0 --hash=md5:00",
        f"a==1.0 --pre --hash={HASH}",
        "--index-url x\n",
        f"a @ file:///x --hash={HASH}",
    ],
)
def test_a_lock_without_exact_versions_and_hashes_is_none(text: str) -> None:
    with pytest.raises(InvalidRequirements):
        parse_lock(text, "python")


def test_where_packages_come_from_is_named_without_credentials_and_tells_no_locks_apart() -> None:
    text = f"a==1.0 --hash={HASH}\n"
    lock = parse_lock(f"{text}    # from https://me:secret@index.test/simple\n", "python")
    assert lock.sources == ("index.test",)
    assert lock == parse_lock(text, "python")
    assert parse_lock(f"{text}# from /wheels\n", "python").sources == ("this machine",)


def test_a_report_with_what_is_no_wheel_of_an_index_is_refused() -> None:
    def report(**changes: object) -> dict[str, object]:
        item = {
            "metadata": {"name": "a", "version": "1.0"},
            "download_info": {
                "url": "https://index.test/a-1.0-py3-none-any.whl",
                "archive_info": {"hashes": {"sha256": "0" * 64}},
            },
            "is_direct": False,
        }
        return {"install": [item | changes]}

    assert parse_report(report(), "python").packages == ("a==1.0",)
    assert parse_report(report(), "python").sources == ("index.test",)
    for changes in (
        {"is_direct": True},
        {"download_info": {"url": "https://index.test/a-1.0.tar.gz"}},
        {"download_info": {"url": "https://index.test/a-1.0.whl", "archive_info": {}}},
        {"metadata": {"name": "../a", "version": "1.0"}},
    ):
        with pytest.raises(InvalidRequirements):
            parse_report(report(**changes), "python")
    with pytest.raises(InvalidRequirements, match="not as expected"):
        parse_report({"install": {}}, "python")
