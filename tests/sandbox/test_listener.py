"""A socket that a process opens inside and the server gets; anything else is none."""

import os
import socket

import anyio
import pytest

from sandbox.errors import SandboxUnavailable
from sandbox.inside.listener import hand_out_listener
from sandbox.listener import proxy_environment, take_listener


async def test_what_is_listened_on_inside_is_served_outside() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        hand_out_listener(theirs.fileno())
        theirs.sendall(b"what comes after it")
        listener = await take_listener(ours)
        assert listener is not None
        with listener:
            assert not os.get_inheritable(listener.fileno())
            host, port = listener.getsockname()
            assert host == "127.0.0.1"
            assert proxy_environment(listener)["https_proxy"] == f"http://127.0.0.1:{port}"
            with socket.create_connection((host, port)), listener.accept()[0]:
                assert ours.recv(100) == b"what comes after it"
    assert proxy_environment(None) == {}


async def test_a_process_that_has_ended_hands_out_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with anyio.fail_after(10):
            assert await take_listener(ours) is None


async def test_what_is_no_tcp_socket_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        theirs.sendall(b"\n")
        with pytest.raises(SandboxUnavailable, match="did not open its way"):
            await take_listener(ours)
        socket.send_fds(theirs, [b"\n"], [datagrams.fileno()])
        with pytest.raises(SandboxUnavailable, match="did not open its way"):
            await take_listener(ours)
