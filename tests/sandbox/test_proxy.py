"""What goes through a tool's proxy: the hosts it was granted, as it sent it; nothing else."""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.grants import Address
from sandbox.proxy import ProxyLimits
from sandbox.proxy_requests import parse_request
from sandbox.reach import NotReached, Reach
from tests.sandbox.proxied import (
    HERE,
    Recorder,
    ask,
    ask_connect,
    echo,
    only_loopback,
    proxy,
    public_rules,
    server,
)


async def test_bytes_go_through_a_tunnel_untouched_and_to_their_end() -> None:
    async with (
        server(echo) as port,
        proxy(f"api.test:{port}") as proxy_port,
        await anyio.connect_tcp("127.0.0.1", proxy_port) as stream,
    ):
        await stream.send(f"CONNECT API.test.:{port} HTTP/1.0\r\n\r\n".encode() + b"\x16\r\n\0")
        answer = b""
        while not answer.endswith(b"\x16\r\n\0"):
            answer += await stream.receive()
        await stream.send_eof()
        assert await stream.receive() == b"<end>"
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n\x16\r\n\0"


async def test_a_plain_request_arrives_as_one_for_the_host_and_no_byte_after_it() -> None:
    recorder = Recorder()
    async with server(recorder) as port, proxy(f"api.test:{port}") as proxy_port:
        where = f"api.test:{port}"
        answer = await ask(
            proxy_port,
            f"POST http://{where}/a?b HTTP/1.1\r\nHost: {where}\r\nContent-Length: 3\r\n"
            f"Proxy-Authorization: secret\r\nX-Key: k\r\n\r\nabc"
            f"GET http://{where}/ HTTP/1.1\r\nHost: inner.test\r\n\r\n".encode(),
        )
    assert answer == recorder.answer
    assert recorder.received.decode() == (
        f"POST /a?b HTTP/1.1\r\nHost: {where}\r\nContent-Length: 3\r\nX-Key: k\r\n"
        "Connection: close\r\n\r\nabc"
    )


async def test_a_redirect_is_handed_back_and_asking_for_its_target_is_refused() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n"
    async with server(Recorder(moved)) as port, proxy(f"api.test:{port}") as proxy_port:
        get = f"GET http://api.test:{port}/ HTTP/1.1\r\n\r\n"
        assert await ask(proxy_port, get.encode()) == moved
        answer = await ask(proxy_port, b"GET http://other.test/ HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 other.test:80 is not granted; granted: ")


@pytest.mark.parametrize(
    "target",
    [
        "api.test:444",
        "other.test:443",
        "evil-api.test:443",
        "api.test.evil.test:443",
        "9.9.9.9:443",
    ],
)
async def test_what_was_not_granted_is_not_even_resolved(target: str) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return [ip_address("127.0.0.1")]

    async with proxy("api.test:443", reach=Reach(resolve, only_loopback)) as port:
        answer = await ask_connect(port, target)
    line = f"{target} is not granted; granted: api.test:443"
    assert answer.decode().startswith(f"HTTP/1.1 403 {line}\r\n")
    assert answer.decode().endswith(f"\r\n\r\n{line}\n")
    assert asked == []


@pytest.mark.parametrize(
    "host",
    (
        "127.1 0x7f000001 2130706433 0177.0.0.1 127.0.0.1 [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] "
        "[::] 0 localhost localhost. 169.254.169.254 [fd00:ec2::254] [fe80::1%25lo] "
        "api.test@127.0.0.1 127.0.0.1#.api.test"
    ).split(),
)
async def test_this_machine_is_not_reached_by_any_spelling(host: str) -> None:
    async def seen(stream: anyio.abc.SocketStream) -> None:
        raise AssertionError("it was reached")

    async with server(seen) as port:
        grants = [f"api.test:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}"]
        grants += [f"169.254.169.254:{port}", f"[::ffff:127.0.0.1]:{port}", f"[::]:{port}"]
        async with proxy(*grants, reach=None) as proxy_port:
            for request in (
                f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n",
                f"GET http://{host}:{port}/ HTTP/1.1\r\n\r\n",
            ):
                answer = await ask(proxy_port, request.encode())
                assert re.match(rb"HTTP/1\.1 40[03] ", answer), answer


async def test_a_granted_name_that_leads_to_a_private_address_is_refused_with_what_to_do() -> None:
    reach = public_rules({"db.test": "10.0.0.3"})
    async with proxy("db.test:5432", reach=reach) as port:
        answer = (await ask_connect(port, "db.test:5432")).decode()
    assert answer.startswith(
        "HTTP/1.1 403 db.test:5432: 10.0.0.3 is a private address; tools reach"
    )
    assert "mcp_server_add" in answer


async def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_judged() -> None:
    answers = ["127.0.0.1", "127.0.0.2"]
    judged: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(answers.pop(0))]

    def judge(address: Address) -> str | None:
        judged.append(str(address))
        return None if str(address) == "127.0.0.1" else "a private address"

    async with (
        server(Recorder()) as port,
        proxy(f"swap.test:{port}", reach=Reach(resolve, judge)) as proxy_port,
    ):
        get = f"GET http://swap.test:{port}/ HTTP/1.1\r\n\r\n".encode()
        assert (await ask(proxy_port, get)).endswith(b"hi")
        assert answers == ["127.0.0.2"]
        assert (await ask(proxy_port, get)).startswith(b"HTTP/1.1 403 swap.test")
    assert judged == ["127.0.0.1", "127.0.0.2"]


@pytest.mark.parametrize(
    ("request_text", "why"),
    [
        ("GET / HTTP/1.1\r\nHost: api.test:1\r\n\r\n", "ask for http://host/path"),
        ("GET https://api.test:1/ HTTP/1.1\r\n\r\n", "ask for http://host/path"),
        ("GET http://u:p@api.test:1/ HTTP/1.1\r\n\r\n", "user name"),
        ("CONNECT api.test HTTP/1.1\r\n\r\n", "no host:port"),
        ("CONNECT u@api.test:1 HTTP/1.1\r\n\r\n", "user name"),
        ("CONNECT api.test:1 HTTP/1.1\r\nHost: a.test:1\r\n\r\n", "the Host header says"),
        ("CONNECT api.test:1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "has no body"),
        ("GET http://api.test:1/ HTTP/1.1\r\nHost: api.test:1\r\nhost: x\r\n\r\n", "two Host"),
        ("GET http://api.test:1/ HTTP/1.1\r\nHost: inner.test\r\n\r\n", "the Host header says"),
        ("GET http://api.test:1/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "in chunks"),
        (
            "GET http://api.test:1/ HTTP/1.1\r\nContent-Length: 3\r\n"
            "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "in chunks",
        ),
        (
            "GET http://api.test:1/ HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            "Content-Length",
        ),
        ("GET http://api.test:1/ HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", "Content-Length"),
        ("GET http://api.test:1/ HTTP/1.1\r\nA: b\rHost: x\r\n\r\n", "no header"),
        ("GET http://api.test:1/ HTTP/1.1\r\nA: b\nHost: x\r\n\r\n", "no header"),
        ("GET http://api.test:1/ HTTP/1.1\r\nHost : x\r\n\r\n", "no header"),
        ("GET http://api.test:1/ HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", "no header"),
        ("GET http://api.test:1/ HTTP/1.1\r\nA: \0\r\n\r\n", "no header"),
        ("GET http://api.test:1/\r\n\r\n", "no request line"),
        ("GET  http://api.test:1/ HTTP/1.1\r\n\r\n", "no request line"),
        ("GET http://api.test:1/ HTTP/2.0\r\n\r\n", "no request line"),
        ("GET http://api.test:1/\rX HTTP/1.1\r\n\r\n", "no request line"),
        ("\x16\x03\x01\r\n\r\n", "no request line"),
        ("GET http://api.test:1/ HTTP/1.1\r\n" + "A: b\r\n" * 101 + "\r\n", "101 headers"),
        ("GET http://api.test:1/ HTTP/1.1\r\nA: " + "b" * 17_000 + "\r\n\r\n", "over 16384"),
        ("G" * 40_000, "over 16384"),
    ],
)
async def test_what_two_programs_could_read_in_two_ways_is_refused(
    request_text: str, why: str
) -> None:
    async with proxy("api.test:1", "inner.test:80") as port:
        answer = (await ask(port, request_text.encode("latin-1"))).decode()
    assert re.match(r"HTTP/1\.1 4(00|11|31) ", answer), answer
    assert why in answer


@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"GET http://api.test:1/", b"CONNECT api.test:1", b" HTTP/1.1\r\n"]),
            st.sampled_from([b"Host: api.test:1\r\n", b"Content-Length: ", b"3", b"\n", b"\r\n"]),
            st.sampled_from([b"\r", b" ", b"\0", b"\xff", b"@", b":", b"//", b"?", b"#", b"a"]),
        ),
        max_size=12,
    ).map(b"".join)
)
def test_any_head_is_one_request_or_is_refused(head: bytes) -> None:
    try:
        parsed = parse_request(head.split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    except NotReached:
        return
    assert 0 < parsed.endpoint.port < 65_536
    if parsed.head is not None:
        first, *headers = parsed.head.split(b"\r\n")
        assert first.split(b" ")[1].startswith(b"/")
        assert sum(line.lower().startswith(b"host:") for line in headers) == 1
        assert parsed.head.count(b"\r\n\r\n") == 1
        assert b"\r" not in parsed.head.replace(b"\r\n", b"")


async def test_a_slow_head_and_a_silent_client_are_cut_off() -> None:
    limits = ProxyLimits(head_s=0.05, connections=1)
    async with proxy("api.test:1", limits=limits) as port:
        for start in (b"", b"GET http://api.test:1/ HT"):
            answer = await ask(port, start)
            assert answer.startswith(b"HTTP/1.1 408 the head of a request took more than 0.05 s")


async def test_a_host_that_does_not_answer_or_refuses_is_said_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]

    async def never(host: str, port: int) -> Sequence[Address]:
        await anyio.sleep_forever()
        return ()

    async with proxy(f"api.test:{port}") as proxy_port:
        answer = await ask_connect(proxy_port, f"api.test:{port}")
    assert answer.startswith(f"HTTP/1.1 502 api.test:{port}: not connected: ".encode())
    async with proxy("lost.test:1") as proxy_port:
        answer = await ask_connect(proxy_port, "lost.test:1")
    assert answer.startswith(b"HTTP/1.1 502 lost.test:1: the name was not resolved: nobody knows")
    slow = Reach(never, only_loopback)
    async with proxy("slow.test:1", reach=slow, limits=ProxyLimits(connect_s=0.05)) as proxy_port:
        answer = await ask_connect(proxy_port, "slow.test:1")
    assert answer.startswith(b"HTTP/1.1 504 slow.test:1: no connection within 0.05 seconds")


async def test_a_tunnel_in_which_nothing_moves_is_closed() -> None:
    limits = ProxyLimits(idle_s=0.05)
    async with server(echo) as port, proxy(f"api.test:{port}", limits=limits) as proxy_port:
        answer = await ask_connect(proxy_port, f"api.test:{port}")
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"


async def test_a_run_has_so_many_bytes_of_network_and_no_more() -> None:
    large = Recorder(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)
    limits = ProxyLimits(total_bytes=100_000)
    async with server(large) as port, proxy(f"api.test:{port}", limits=limits) as proxy_port:
        get = f"GET http://api.test:{port}/ HTTP/1.1\r\n\r\n".encode()
        assert len(await ask(proxy_port, get)) <= 100_000
        answer = await ask(proxy_port, get)
    assert answer.startswith(f"HTTP/1.1 403 api.test:{port}: this run has used its 100000".encode())


async def test_fifty_at_once_are_served_eight_at_a_time() -> None:
    at_once, most = 0, 0

    async def count(stream: anyio.abc.SocketStream) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await echo(stream)
        at_once -= 1

    async with server(count) as port, proxy(f"api.test:{port}") as proxy_port:
        answers: list[bytes] = []

        async def one() -> None:
            async with await anyio.connect_tcp("127.0.0.1", proxy_port) as stream:
                await stream.send(f"CONNECT api.test:{port} HTTP/1.1\r\n\r\nping".encode())
                await stream.send_eof()
                answers.append(b"".join([data async for data in stream]))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(one)
    assert [answer.endswith(b"ping<end>") for answer in answers] == [True] * 50
    assert most <= 8


async def test_when_the_run_ends_nothing_listens_and_no_connection_is_open() -> None:
    async with server(echo) as port:
        async with proxy(f"api.test:{port}") as proxy_port:
            stream = await anyio.connect_tcp("127.0.0.1", proxy_port)
            await stream.send(f"CONNECT api.test:{port} HTTP/1.1\r\n\r\n".encode())
            await stream.receive()
        async with stream:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        with pytest.raises(OSError, match="attempts failed"):
            await anyio.connect_tcp("127.0.0.1", proxy_port)


async def test_a_client_that_leaves_in_the_middle_hurts_nobody_else() -> None:
    async with server(echo) as port, proxy(f"api.test:{port}", reach=HERE) as proxy_port:
        for part in (b"", b"CONN", f"CONNECT api.test:{port} HTTP/1.1\r\n\r\nx".encode()):
            with socket.create_connection(("127.0.0.1", proxy_port)) as rude:
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                rude.sendall(part)
        async with await anyio.connect_tcp("127.0.0.1", proxy_port) as stream:
            await stream.send(f"CONNECT api.test:{port} HTTP/1.1\r\n\r\n".encode())
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
