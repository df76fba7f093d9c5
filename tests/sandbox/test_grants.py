"""What a grant names, and which addresses nobody reaches whatever is granted."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import InvalidRun
from sandbox.grants import Endpoint, parse_endpoint
from sandbox.policy import Policy
from sandbox.public_addresses import is_own, judge_address
from sandbox.reach import NotReached, Reach
from tests.sandbox.proxied import names, public_rules


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("api.example.com:443", "api.example.com:443"),
        ("API.Example.COM.:443", "api.example.com:443"),
        ("bücher.example:443", "xn--bcher-kva.example:443"),
        ("XN--BCHER-KVA.example:443", "xn--bcher-kva.example:443"),
        ("8.8.8.8:53", "8.8.8.8:53"),
        ("8.8.8.8.:53", "8.8.8.8:53"),
        ("[2606:4700:0:0::1111]:443", "[2606:4700::1111]:443"),
        ("\uff11\uff12\uff17.0.0.1:80", "127.0.0.1:80"),  # digits of full width
    ],
)
def test_a_host_has_one_spelling(written: str, meant: str) -> None:
    assert str(parse_endpoint(written)) == meant
    assert parse_endpoint(str(parse_endpoint(written))) == parse_endpoint(written)


@pytest.mark.parametrize(
    "written",
    [
        "example.com",
        "example.com:0",
        "example.com:00443",
        "example.com:65536",
        "example.com:٤٤٣",
        "*.example.com:443",
        "user@example.com:443",
        "exa mple.com:443",
        "example.com/x:443",
        "a..b:443",
        ":443",
        ".:443",
        "127.1:443",
        "0x7f000001:443",
        "0x7f.1:443",
        "2130706433:443",
        "0177.0.0.1:443",
        "127.0.0.01:443",
        "::1:443",
        "[::1:443",
        "[fe80::1%eth0]:443",
        "[::1]443",
        "a" * 64 + ":443",
        "example.com:443\n",
        "example.com\0:443",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_host(written: str) -> None:
    with pytest.raises(ValueError, match="is no host:port"):
        parse_endpoint(written)
    with pytest.raises(InvalidRun):
        Policy(network=(written,))


@given(st.text(max_size=80))
def test_any_text_is_a_host_and_port_or_is_refused(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except ValueError:
        return
    assert parse_endpoint(str(endpoint)) == endpoint
    assert str(endpoint).isascii()


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "a loopback address"),
        ("127.255.1.2", "a loopback address"),
        ("0.0.0.0", "an unspecified address"),  # noqa: S104
        ("10.1.2.3", "a private address"),
        ("172.31.0.1", "a private address"),
        ("192.168.0.1", "a private address"),
        ("100.64.0.1", "an address behind a provider's NAT"),
        ("169.254.169.254", "the metadata of a cloud"),
        ("168.63.129.16", "the metadata of a cloud"),
        ("169.254.1.1", "a link-local address"),
        ("224.0.0.251", "a multicast address"),
        ("255.255.255.255", "a reserved address"),
        ("::", "an unspecified address"),
        ("::1", "a loopback address"),
        ("fd00:ec2::254", "the metadata of a cloud"),
        ("fd12::1", "a private address"),
        ("fe80::1%eth0", "a link-local address"),
        ("ff02::1", "a multicast address"),
        ("::ffff:127.0.0.1", "an IPv4 address in IPv6 form"),
        ("::ffff:8.8.8.8", "an IPv4 address in IPv6 form"),
        ("::127.0.0.1", "an IPv4 address in IPv6 form"),
        ("2002:7f00:1::", "a 6to4 address"),
        ("64:ff9b::7f00:1", "a loopback address"),
        ("64:ff9b::a9fe:a9fe", "the metadata of a cloud"),
        ("64:ff9b:1::1", "a reserved address"),
        ("2001:0:53aa:64c:0:7f:80ff:fffe", "a Teredo address"),
        ("2001:db8::1", "an address for documentation"),
        ("4000::1", "a reserved address"),
        ("8.8.8.8", None),
        ("2606:4700::1111", None),
        ("64:ff9b::808:808", None),
    ],
)
def test_only_public_addresses_are_reached(address: str, what: str | None) -> None:
    assert judge_address(ip_address(address)) == what


@given(st.ip_addresses(v=4).map(lambda a: IPv6Address(0x64FF9B << 96 | int(a))))
def test_an_address_translated_from_ipv4_is_judged_as_that(address: IPv6Address) -> None:
    assert judge_address(address) == judge_address(IPv4Address(int(address) & 0xFFFFFFFF))


@given(st.ip_addresses())
def test_whatever_python_knows_to_be_private_is_refused(
    address: IPv4Address | IPv6Address,
) -> None:
    if address.is_private or address.is_multicast or not address.is_global:
        translated = address in ip_network("64:ff9b::/96")
        assert translated or judge_address(address) is not None


def test_an_address_of_this_machine_is_told_from_others() -> None:
    assert is_own(ip_address("127.0.0.1"))
    assert not is_own(ip_address("192.0.2.1"))
    assert not is_own(ip_address("2001:db8::1"))


async def test_one_bad_address_of_a_name_spoils_it() -> None:
    reach = public_rules({"both.test": "8.8.8.8 10.0.0.7"})
    with pytest.raises(NotReached, match=r"both.test:443: 10.0.0.7 is a private address") as no:
        await reach.addresses_of(Endpoint("both.test", 443))
    assert no.value.status == 403
    assert "mcp_server_add" in str(no.value)


async def test_a_name_without_an_address_is_no_host() -> None:
    with pytest.raises(NotReached, match=r"nowhere\.test:443: the name was not resolved"):
        await public_rules({}).addresses_of(Endpoint("nowhere.test", 443))
    with pytest.raises(NotReached, match="has no address"):
        await Reach(names({"empty.test": ""})).addresses_of(Endpoint("empty.test", 443))


@pytest.mark.parametrize("name", ["localhost", "localhost.", "LOCALHOST"])
async def test_this_machines_own_name_is_refused_as_it_resolves(name: str) -> None:
    with anyio.fail_after(10), pytest.raises(NotReached, match="is a loopback address"):
        await Reach().addresses_of(parse_endpoint(f"{name}:80"))
