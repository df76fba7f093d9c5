"""Which addresses tools may reach: public ones only.

Whoever runs a tool must not lend it the machine, its network or the metadata of its cloud. Public
addresses that lead back here by a router are not known. What a name leads to: reach.py.
"""

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

from sandbox.grants import Address, parse_endpoint

# Source: the special-purpose registries of IANA, and what clouds document of their metadata.
_SPECIAL: Final = tuple(
    (ip_network(network), what)
    for network, what in {
        "169.254.169.254/32": "the metadata of a cloud",
        "168.63.129.16/32": "the metadata of a cloud",
        "100.100.100.200/32": "the metadata of a cloud",
        "0.0.0.0/8": "an unspecified address",
        "10.0.0.0/8": "a private address",
        "100.64.0.0/10": "an address behind a provider's NAT",
        "127.0.0.0/8": "a loopback address",
        "169.254.0.0/16": "a link-local address",
        "172.16.0.0/12": "a private address",
        "192.0.0.0/24": "a reserved address",
        "192.0.2.0/24": "an address for documentation",
        "192.88.99.0/24": "a 6to4 address",
        "192.168.0.0/16": "a private address",
        "198.18.0.0/15": "an address for benchmarks",
        "198.51.100.0/24": "an address for documentation",
        "203.0.113.0/24": "an address for documentation",
        "224.0.0.0/4": "a multicast address",
        "240.0.0.0/4": "a reserved address",
        "fd00:ec2::254/128": "the metadata of a cloud",
        "fd20:ce::254/128": "the metadata of a cloud",
        "::/128": "an unspecified address",
        "::1/128": "a loopback address",
        "::ffff:0:0/96": "an IPv4 address in IPv6 form",
        "::/96": "an IPv4 address in IPv6 form",
        "2001::/32": "a Teredo address",
        "2001::/23": "a reserved address",
        "2001:db8::/32": "an address for documentation",
        "2002::/16": "a 6to4 address",
        "3fff::/20": "an address for documentation",
        "fc00::/7": "a private address",
        "fe80::/10": "a link-local address",
        "fec0::/10": "a private address",
        "ff00::/8": "a multicast address",
    }.items()
)
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_NAT64: Final = ip_network("64:ff9b::/96")

WHAT_TO_DO: Final = (
    "tools reach public addresses only. Offer what is there as an MCP server (mcp_server_add), or "
    "under a public address"
)


def judge_address(address: Address) -> str | None:
    """Say why a tool may not reach an address; None: it may."""
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address)) if address.scope_id is not None else address
        if address in _NAT64:
            return judge_address(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, what in _SPECIAL:
        if address.version == network.version and address in network:
            return what
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "a reserved address"
    if not address.is_global:
        return "a reserved address"
    return "an address of this machine" if is_own(address) else None


def never_reached(grant: str) -> str | None:
    """Say why a grant (`host:port`) leads nowhere, before it is given; None: it may lead somewhere.

    Only what needs no asking: addresses, and the names of this machine that none resolves.
    """
    endpoint = parse_endpoint(grant)
    if endpoint.literal is not None:
        return judge_address(endpoint.literal)
    is_here = endpoint.host == "localhost" or endpoint.host.endswith(".localhost")
    return "a name of this machine" if is_here else None


def is_own(address: Address) -> bool:
    """Whether the address is one of this machine; sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        # The kernel lets a socket be bound to its own addresses only.
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True
