"""Who may speak to the HTTP server: the rules by themselves."""

import pytest

from server.callers import Principal
from server.http import CannotListen, HttpAddress
from server.http_guard import bearer_token, host_is_allowed, origin_is_allowed
from server.principals import Principals

LOCAL = HttpAddress().names


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:80", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:1"],
)
def test_loopback_names_are_known_with_and_without_a_port(host: str) -> None:
    assert host_is_allowed([host], LOCAL)


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example"],
        ["localhost.evil.example"],
        ["localhost@evil.example"],
        ["evil.example#localhost"],
        ["127.0.0.1:80:80"],
        ["127.0.0.1.evil.example:80"],
        ["localhost:"],
        ["localhost:x"],
        [" localhost"],
        ["localhost", "evil.example"],
        ["localhost", "localhost"],
    ],
)
def test_any_other_host_is_unknown(hosts: list[str]) -> None:
    assert not host_is_allowed(hosts, LOCAL)


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        ([], True),
        (["http://localhost"], True),
        (["http://localhost:3000"], True),
        (["https://[::1]:1"], True),
        (["null"], False),
        ([""], False),
        (["http://evil.example"], False),
        (["http://localhost.evil.example"], False),
        (["http://localhost@evil.example"], False),
        (["file://localhost"], False),
        (["http://[bad"], False),
        (["http://localhost", "http://localhost"], False),
    ],
)
def test_only_pages_of_this_machine_may_use_the_server(origins: list[str], allowed: bool) -> None:
    assert origin_is_allowed(origins, LOCAL) is allowed


@pytest.mark.parametrize(
    ("authorizations", "right"),
    [
        (["Bearer secret"], True),
        (["bearer secret"], True),
        ([], False),
        ([""], False),
        (["Bearer"], False),
        (["Bearer "], False),
        (["Bearer secre"], False),
        (["Bearer secrett"], False),
        (["Bearer SECRET"], False),
        (["Basic secret"], False),
        (["secret"], False),
        (["Bearer s\u00e9cret"], False),
        (["Bearer secret", "Bearer secret"], False),
    ],
)
def test_exactly_the_bearer_token(authorizations: list[str], right: bool) -> None:
    principals = Principals("secret", None)
    token = bearer_token(authorizations)
    found = None if token is None else principals.of(token)
    assert found == (Principal("person", "person") if right else None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])  # noqa: S104
def test_an_address_that_others_can_reach_is_refused_unless_hosts_are_named(host: str) -> None:
    with pytest.raises(CannotListen, match="reached from other machines"):
        HttpAddress(host)
    assert "me.example" in HttpAddress(host, allowed_hosts=frozenset({"Me.Example"})).names


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(CannotListen, match=f"there is no port {port}"):
        HttpAddress(port=port)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_a_loopback_address_needs_no_names(host: str) -> None:
    assert HttpAddress(host).host == host
