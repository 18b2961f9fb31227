import asyncio
import ipaddress
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chammal_contracts.stages import FailureType
from chammal_kit.address import AddressError, read_address
from chammal_kit.egress import Egress, may_connect
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Timeouts, Upstream, UpstreamError, UpstreamPolicy

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POLICY = UpstreamPolicy(timeouts=Timeouts(connect=5), max_response_bytes=1000, retry=RetryPolicy(retries=0))
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Names:
    """Answers each look-up of a name with the next of its lists of addresses, the last one for ever."""

    def __init__(self) -> None:
        self.lists: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def __call__(self, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self.lists:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        self.asked.append(name)
        lists = self.lists[name]
        found = lists.pop(0) if len(lists) > 1 else lists[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (ip, port, 0, 0))
            if ":" in ip
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))
            for ip in found
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    subject = Names()
    monkeypatch.setattr(socket, "getaddrinfo", subject)
    yield subject
    monkeypatch.undo()


def upstream(egress: Egress, text: str) -> Upstream:
    address = egress.admit(text)
    return Upstream("agent", address.origin, POLICY, transport=egress.transport(address, keep_alive=4))


async def asked(egress: Egress, text: str) -> bytes:
    async with aclosing(upstream(egress, text)) as agent:
        return (await agent.request("GET", "/")).body


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("http://agent:9000/analyse", "HTTP://Agent:9000/analyse"),
        ("https://agent/a?b=c", "https://agent:443/a?b=c"),
        ("https://*.example.com/agent", "https://a.b.example.com/agent"),
        ("https://*.example.com/agents/*", "https://a.example.com/agents/1?x=y"),
        ("http://10.0.0.7/*", "http://10.0.0.7/agent"),
        ("https://agent/*", "https://agent"),
    ],
)
def test_an_address_on_the_list_is_admitted(entry: str, text: str) -> None:
    assert Egress([entry]).admit(text) == read_address(text)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("http://agent/a", "http://agent/b"),
        ("http://agent/a", "http://agent/a/b"),
        ("http://agent/a", "http://agent/a?x"),
        ("http://agent/a", "https://agent/a"),
        ("http://agent/a", "http://agent:81/a"),
        ("http://agent/a", "http://agent.evil.example/a"),
        ("https://*.example.com/", "https://example.com/"),
        ("https://*.example.com/", "https://evilexample.com/"),
        ("https://*.example.com/", "https://example.com.evil/"),
        ("https://*.example.com/", "https://a.example.com:8443/"),
        ("https://*.example.com/agents/*", "https://a.example.com/admin"),
        ("https://*.example.com/agents/*", "https://a.example.com/agents/%2e%2e/admin"),
        ("http://127.0.0.1/", "http://[::ffff:127.0.0.1]/"),
        ("http://169.254.169.253/", "http://169.254.169.254/"),
    ],
)
def test_an_address_beside_the_list_is_refused(entry: str, text: str) -> None:
    with pytest.raises(AddressError):
        Egress([entry]).admit(text)


def test_an_empty_list_admits_nothing() -> None:
    with pytest.raises(AddressError):
        Egress([]).admit("https://example.com/")


@pytest.mark.parametrize(
    "entry", ["https://*.com/", "https://*/", "https://a.*.com/", "https://u:p@a/", "*", "http://*.0.0.1/"]
)
def test_a_list_with_an_entry_that_would_mean_too_much_is_refused(entry: str) -> None:
    with pytest.raises(AddressError):
        Egress([entry])


@pytest.mark.parametrize(
    "place",
    [
        "0.0.0.0", "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
        "169.254.1.1", "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "2002:7f00:1::", "2001:0:7f00:1::", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1",
        "2001:db8::1", "100::1", "4000::1",
    ],
)  # fmt: skip
def test_a_place_that_is_not_public_is_refused(place: str) -> None:
    assert not may_connect(place)


@pytest.mark.parametrize(
    "place", ["1.1.1.1", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_a_public_place_is_allowed(place: str) -> None:
    assert may_connect(place)


def test_a_network_that_the_operator_names_is_allowed_and_its_neighbour_is_not() -> None:
    networks = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")]
    assert may_connect("10.1.2.3", networks)
    assert may_connect("::ffff:10.1.2.3", networks)
    assert may_connect("fd12::1", networks)
    assert not may_connect("10.2.0.1", networks)


def test_a_metadata_service_must_be_named_alone() -> None:
    wide, alone = ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("169.254.169.254/32")
    assert not may_connect("169.254.169.254", [wide])
    assert not may_connect("fd00:ec2::254", [ipaddress.ip_network("fd00::/8")])
    assert may_connect("169.254.169.254", [wide, alone])


async def test_a_number_that_the_operator_wrote_may_be_connected_to(faults: Any) -> None:
    faults.always(OK)
    assert await asked(Egress([f"{faults.url}/"]), faults.url) == b"ok"


async def test_a_name_that_leads_into_a_private_network_is_never_connected_to(faults: Any, names: Names) -> None:
    faults.always(OK)
    names.lists["agent.example"] = [["127.0.0.1"]]
    url = f"http://agent.example:{faults.port}/"
    with pytest.raises(UpstreamError) as failed:
        await asked(Egress([url]), url)
    assert (failed.value.failure, faults.connections) == (FailureType.CONNECT_ERROR, 0)
    assert "127.0.0.1" not in str(failed.value), "what our names lead to is not for callers"


async def test_a_network_of_the_operator_makes_the_same_name_work(faults: Any, names: Names) -> None:
    faults.always(OK)
    names.lists["agent.example"] = [["127.0.0.1"]]
    url = f"http://agent.example:{faults.port}/"
    assert await asked(Egress([url], LOOPBACK), url) == b"ok"
    assert faults.seen[0].headers["host"] == f"agent.example:{faults.port}"


async def test_a_name_that_changes_its_answer_gains_nothing(faults: Any, names: Names) -> None:
    """DNS rebinding: fine at first, 127.0.0.2 at the second look-up, where the same server listens too."""

    async def once(seen: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    faults.answer = once
    names.lists["agent.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    url = f"http://agent.example:{faults.port}/"
    async with aclosing(upstream(Egress([url], [ipaddress.ip_network("127.0.0.1/32")]), url)) as agent:
        assert (await agent.request("GET", "/")).body == b"ok"
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await agent.request("GET", "/")
    assert names.asked == ["agent.example"] * 4
    assert faults.connections == 1


async def test_of_several_addresses_only_those_allowed_are_tried(faults: Any, names: Names) -> None:
    faults.always(OK)
    names.lists["agent.example"] = [["127.0.0.2", "127.0.0.3", "127.0.0.1"]]
    url = f"http://agent.example:{faults.port}/"
    assert await asked(Egress([url], [ipaddress.ip_network("127.0.0.1/32")]), url) == b"ok"
    names.lists["agent.example"] = [["127.0.0.2", "127.0.0.3"]]
    with pytest.raises(UpstreamError):
        await asked(Egress([url], [ipaddress.ip_network("127.0.0.1/32")]), url)
    assert faults.connections == 1


async def test_a_redirect_is_not_followed(faults: Any) -> None:
    faults.always(b"HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(UpstreamError) as failed:
        await asked(Egress([f"{faults.url}/"]), faults.url)
    assert failed.value.failure is FailureType.INVALID_RESPONSE
    assert len(faults.seen) == 1


@pytest.mark.parametrize("head", [b"Content-Length: 1001\r\n\r\n", b"\r\n"])
async def test_an_answer_ends_at_its_limit(faults: Any, head: bytes) -> None:
    faults.always(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 1001)
    with pytest.raises(UpstreamError) as failed:
        await asked(Egress([f"{faults.url}/"]), faults.url)
    assert failed.value.failure is FailureType.RESPONSE_TOO_LARGE


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For agent.example, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=agent.example", "-addext", "subjectAltName=DNS:agent.example",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("trusted", [True, False])
async def test_over_tls_the_checked_address_is_connected_to_and_the_name_is_what_is_verified(
    certificate: Path, names: Names, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    told: list[str | None] = []
    context.sni_callback = lambda sock, name, _: told.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Host: agent.example:{port}\r\n".encode().lower() in head.lower()
        writer.write(OK)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    names.lists["agent.example"] = [["127.0.0.1"]]
    url = f"https://agent.example:{port}/"
    client = ssl.create_default_context(cafile=certificate / "cert.pem" if trusted else None)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", client)
    async with server:
        if trusted:
            assert await asked(Egress([url], LOOPBACK), url) == b"ok"
        else:
            with pytest.raises(UpstreamError) as failed:
                await asked(Egress([url], LOOPBACK), url)
            assert failed.value.failure is FailureType.CONNECT_ERROR
            assert "certificate" in failed.value.detail
    assert told == ["agent.example"]
