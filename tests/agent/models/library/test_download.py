"""Fetching over real sockets, from servers that break off, lie, redirect and refuse."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from agent.models.library.choice import RemoteFile
from agent.models.library.download import Fetched, Order, fetch, new_client
from agent.models.library.errors import DownloadFailed, HubRefused, NoRoom, PullBusy
from agent.models.library.hub import Hub as HubClient
from agent.models.library.part_file import PartFile, note_path, part_path
from agent.models.library.wanted import FromHub
from tests.agent.models.library.given import Hub, gguf_bytes, serving_hub

DATA = gguf_bytes(weights=50_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
PATH = "/org/repo/resolve/c0ffee/m.gguf"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving_hub() as hub:
        hub.files[PATH] = DATA
        yield hub


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with new_client() as client:
        yield client


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "org" / "m.gguf"


def order(hub: Hub, target: Path, **known: object) -> Order:
    return Order(f"{hub.url}{PATH}", target, "org/repo:m.gguf", **known)  # type: ignore[arg-type]


def fetch_now(client: httpx2.Client, wanted: Order, waits: tuple[float, ...] = ()) -> Fetched:
    """Fetch, with no more tries than these."""
    return fetch(client, wanted, lambda done, total: None, waits)


def break_off(client: httpx2.Client, hub: Hub, wanted: Order, *cuts: int) -> int:
    """Have a fetch fail on the way; how much is kept."""
    hub.cut_after = list(cuts)
    with pytest.raises(DownloadFailed, match="run the same command again"):
        fetch_now(client, wanted)
    return part_path(wanted.target).stat().st_size


def test_a_file_is_there_only_when_whole_and_says_how_far_it_is(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    told = list[tuple[int, int | None]]()

    def report(done: int, total: int | None) -> None:
        assert not target.exists()
        told.append((done, total))

    fetched = fetch(client, order(hub, target, sha256=SHA256, size_bytes=len(DATA)), report)

    assert target.read_bytes() == DATA
    assert fetched == Fetched(target, len(DATA), SHA256, checked=True, resumed_from=0)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(DATA), len(DATA))
    assert sorted(path.name for path in target.parent.iterdir()) == ["m.gguf"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    hub.cut_after = [1000, 70_000]
    fetched = fetch_now(client, order(hub, target, sha256=SHA256))
    assert target.read_bytes() == DATA
    assert fetched.checked
    assert hub.ranges_asked() == ["bytes=1000-", "bytes=71000-"]


def test_what_came_is_kept_for_the_next_time(client: httpx2.Client, hub: Hub, target: Path) -> None:
    wanted = order(hub, target, sha256=SHA256)
    assert break_off(client, hub, wanted, 1000, 0) == 1000
    assert not target.exists()
    fetched = fetch_now(client, wanted)
    assert fetched.resumed_from == 1000
    assert target.read_bytes() == DATA


def test_without_ranges_it_begins_again(client: httpx2.Client, hub: Hub, target: Path) -> None:
    hub.ranges = False
    hub.cut_after = [1000]
    fetch_now(client, order(hub, target, sha256=SHA256), waits=(0.0,))
    assert target.read_bytes() == DATA


def test_without_a_digest_the_server_s_own_mark_says_whether_to_go_on(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    hub.etag = '"one"'
    wanted = order(hub, target)
    break_off(client, hub, wanted, 1000, 0)
    fetched = fetch_now(client, wanted)
    assert (fetched.resumed_from, fetched.checked) == (1000, False)
    assert hub.seen[-1][1]["if-range"] == '"one"'
    assert target.read_bytes() == DATA


def test_another_version_of_a_file_is_not_joined_to_the_first(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    hub.etag = '"one"'
    wanted = order(hub, target)
    break_off(client, hub, wanted, 1000, 0)
    hub.etag, hub.files[PATH] = '"two"', gguf_bytes(weights=60_000)
    fetch_now(client, wanted)
    assert target.read_bytes() == hub.files[PATH]


def test_a_part_of_another_file_is_dropped(client: httpx2.Client, hub: Hub, target: Path) -> None:
    break_off(client, hub, order(hub, target, sha256=SHA256), 1000, 0)
    other = gguf_bytes(weights=70_000)
    hub.files[PATH] = other
    fetched = fetch_now(client, order(hub, target, sha256=hashlib.sha256(other).hexdigest()))
    assert fetched.resumed_from == 0
    assert target.read_bytes() == other


def test_a_part_that_is_longer_than_the_file_is_begun_again(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    wanted = order(hub, target, sha256=SHA256)
    break_off(client, hub, wanted, 1000, 0)
    with part_path(target).open("ab") as part:
        part.write(bytes(len(DATA)))
    fetch_now(client, wanted)  # answered 416
    assert target.read_bytes() == DATA


def test_a_wrong_checksum_leaves_nothing_behind(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    with pytest.raises(DownloadFailed, match=f"has the SHA-256 {SHA256}, not 0000"):
        fetch_now(client, order(hub, target, sha256="0" * 64))
    assert list(target.parent.iterdir()) == []


def test_the_bytes_may_come_from_another_host_which_gets_no_token(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    with serving_hub() as cdn:
        cdn.files[PATH] = DATA
        hub.cdn, hub.linked_etag = cdn.url, f'"{SHA256}"'
        cdn.cut_after = [1000]
        headers = {"Authorization": "Bearer secret"}
        fetched = fetch_now(client, order(hub, target, headers=headers), waits=(0.0,))
        assert fetched.checked
        assert target.read_bytes() == DATA
        assert hub.seen[0][1]["authorization"] == "Bearer secret"
        assert all("authorization" not in seen for _, seen in cdn.seen)


def test_a_digest_that_the_hub_names_is_held_to(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    with serving_hub() as cdn:
        cdn.files[PATH] = DATA
        hub.cdn, hub.linked_etag = cdn.url, f'"{"1" * 64}"'
        with pytest.raises(DownloadFailed, match="not 1111"):
            fetch_now(client, order(hub, target))


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refusal_says_what_to_do(
    client: httpx2.Client, hub: Hub, target: Path, status: int
) -> None:
    hub.status = status
    with pytest.raises(DownloadFailed, match=f"answers {status}: "):
        fetch_now(client, order(hub, target))
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!doctype html>" * 9999, "is no GGUF file: it begins with b'<!doctype html>"),
        (gguf_bytes()[:-1], "is cut off"),
        (b"GGUF" + bytes(4000), "has version 0 of the format"),
    ],
)
def test_what_is_no_model_is_not_kept(
    client: httpx2.Client, hub: Hub, target: Path, data: bytes, said: str
) -> None:
    hub.files[PATH] = data
    with pytest.raises(DownloadFailed) as caught:
        fetch_now(client, order(hub, target))
    assert said in str(caught.value)
    assert list(target.parent.iterdir()) == []


def test_another_size_than_the_hub_said_is_another_file(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    with pytest.raises(DownloadFailed, match="it is another file"):
        fetch_now(client, order(hub, target, size_bytes=5))


def test_a_server_that_does_not_say_how_much_comes_is_believed_when_the_file_is_whole(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    hub.lengths = False
    assert fetch_now(client, order(hub, target)).size_bytes == len(DATA)
    target.unlink()
    hub.cut_after = [len(DATA) // 2]
    with pytest.raises(DownloadFailed, match="is cut off"):
        fetch_now(client, order(hub, target))


def test_nobody_answering_is_explained(client: httpx2.Client, hub: Hub, target: Path) -> None:
    nobody = Order("http://127.0.0.1:1/m.gguf", target, "m")
    with pytest.raises(DownloadFailed, match="is this machine online"):
        fetch_now(client, nobody)


def test_a_disk_too_full_is_said_before_anything_comes(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    hub.lengths = False
    with pytest.raises(NoRoom, match="take a smaller quantisation"):
        fetch_now(client, order(hub, target, size_bytes=1 << 60))
    assert list(target.parent.iterdir()) == []


def test_two_at_once_do_not_write_one_file(client: httpx2.Client, hub: Hub, target: Path) -> None:
    with PartFile(target), pytest.raises(PullBusy, match=r"fetching m\.gguf right now"):
        fetch_now(client, order(hub, target))


def test_a_link_in_the_place_of_a_part_is_not_written_through(
    client: httpx2.Client, hub: Hub, target: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    target.parent.mkdir(parents=True)
    part_path(target).symlink_to(precious)
    with pytest.raises(DownloadFailed, match="cannot be written"):
        fetch_now(client, order(hub, target))
    assert precious.read_text() == "mine"


def test_a_note_that_cannot_be_read_means_to_begin_again(
    client: httpx2.Client, hub: Hub, target: Path
) -> None:
    wanted = order(hub, target, sha256=SHA256)
    break_off(client, hub, wanted, 1000, 0)
    note_path(target).write_text("{")
    assert fetch_now(client, wanted).resumed_from == 0


REPOSITORY = {
    "id": "org/repo",
    "sha": "c0ffee",
    "cardData": {"license": "apache-2.0"},
    "siblings": [
        {"rfilename": "README.md", "size": 10},
        {
            "rfilename": "sub/m.gguf",
            "size": 5,
            "lfs": {"sha256": SHA256, "size": len(DATA), "pointerSize": 134},
        },
    ],
}


def test_the_hub_tells_files_digests_and_where_they_are(client: httpx2.Client, hub: Hub) -> None:
    hub.repositories["org/repo"] = REPOSITORY
    asked = HubClient(client, {"HF_ENDPOINT": hub.url + "/", "HF_TOKEN": "secret"})
    listing = asked.list_files(FromHub("org/repo", revision="a/b"))
    file = RemoteFile("sub/m.gguf", len(DATA), SHA256)
    assert listing.files == (RemoteFile("README.md", 10), file)
    assert (listing.commit, listing.licence) == ("c0ffee", "apache-2.0")
    assert asked.url_of(listing, file) == f"{hub.url}/org/repo/resolve/c0ffee/sub/m.gguf"
    path, headers = hub.seen[0]
    assert path == "/api/models/org/repo/revision/a%2Fb?blobs=true"
    assert headers["authorization"] == "Bearer secret"


def test_a_token_is_not_sent_in_the_clear(client: httpx2.Client) -> None:
    assert HubClient(client, {"HF_ENDPOINT": "http://hub.lan", "HF_TOKEN": "t"}).headers == {}


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (0, None, "has no repository org/repo, or does not show it to everybody"),
        (403, None, "agreed to its terms"),
        (429, None, "fewer requests"),
        (503, None, "answers 503"),
        (0, {"siblings": 3}, "gave no list of files"),
    ],
)
def test_what_the_hub_refuses_is_explained(
    client: httpx2.Client, hub: Hub, status: int, answer: object, said: str
) -> None:
    hub.status = status
    if answer is not None:
        hub.repositories["org/repo"] = answer
    with pytest.raises(HubRefused, match=said):
        HubClient(client, {"HF_ENDPOINT": hub.url}).list_files(FromHub("org/repo"))


def test_a_hub_that_is_not_there_or_not_wanted_is_explained(client: httpx2.Client) -> None:
    with pytest.raises(HubRefused, match="does not answer"):
        HubClient(client, {"HF_ENDPOINT": "http://127.0.0.1:1"}).list_files(FromHub("org/repo"))
    with pytest.raises(HubRefused, match="HF_HUB_OFFLINE"):
        HubClient(client, {"HF_HUB_OFFLINE": "1"})
