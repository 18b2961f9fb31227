import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chammal_kit.address import AddressError, read_address


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("http://agent", "http://agent/"),
        ("HTTP://Agent.Example.COM:80/A?b=c%20d", "http://agent.example.com/A?b=c%20d"),
        ("https://agent:8443/x", "https://agent:8443/x"),
        ("http://10.0.0.7:9000", "http://10.0.0.7:9000/"),
        ("http://[0:0::1]:80/", "http://[::1]/"),
        ("http://llm_gateway:8002/v1", "http://llm_gateway:8002/v1"),
        ("https://참말.example/", "https://xn--pz2bp05a.example/"),
        ("https://ｅｘａｍｐｌｅ．com/", "https://example.com/"),
        ("http://h?q", "http://h/?q"),
    ],
)
def test_one_address_has_one_form(text: str, read: str) -> None:
    assert str(read_address(text)) == read
    assert str(read_address(read)) == read


@pytest.mark.parametrize(
    "text",
    [
        "", "agent", "//agent/", "ftp://agent/", "file:///etc/passwd", "gopher://h/", "javascript:1", "http:agent", "http:///x",
        "http://user@agent/", "http://user:pw@agent/", "http://allowed@127.0.0.1/", "http://a:80@b/", "http://@b/",
        "http://agent\\@other/", "http://agent\t/", "http://agent/\r\nX: y", "http://ag ent/", "http://agent/\0", " http://agent/",
        "http://agent/#x", "http://agent#@other/",
        "http://agent:/", "http://agent:0/", "http://agent:65536/", "http://agent:8o/", "http://agent:80:80/", "http://agent:-1/",
        "http://agent./", "http://.agent/", "http://a..b/", "http://-a/", "http://%61gent/", "http://a%2eb/", "http://a,b/",
        f"http://{'a' * 64}/", f"http://{'a.' * 130}a/", "http://agent/" + "a" * 2048, "http://agent/참말",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        read_address(text)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.01",
        "127.0.0.0x1", "0", "0x", "256.1.1.1", "1.2.3.4.5", "a.1", "①②⑦.⓪.⓪.①.5", "[::1%25lo]",
        "[fe80::1%eth0]", "[::ffff:127.0.0.1", "[]", "[127.0.0.1]", "[::1]x", "::1", "[:::]",
    ],
)  # fmt: skip
def test_an_odd_spelling_of_an_ip_address_is_refused(host: str) -> None:
    with pytest.raises(AddressError):
        read_address(f"http://{host}/")


@pytest.mark.parametrize(
    ("host", "ip"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("１２７。０。０。１", "127.0.0.1"),
        ("[::FFFF:7f00:1]", "::ffff:127.0.0.1"),
        ("[::]", "::"),
    ],
)
def test_a_plain_ip_address_is_seen_as_one(host: str, ip: str) -> None:
    assert read_address(f"http://{host}/").ip == ipaddress.ip_address(ip)


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a/%2e%2E/b", "/a/.%2e/", "/a%2f..%2fb", "/a/./b", "/a%5c..%5cb"])
def test_a_path_that_climbs_is_refused(path: str) -> None:
    with pytest.raises(AddressError):
        read_address(f"http://agent{path}")


@given(st.text(max_size=60) | st.from_regex(r"https?://[\w.@:%\[\]#/\\-]{0,40}", fullmatch=True))
def test_whatever_is_read_is_read_the_same_way_again(text: str) -> None:
    try:
        address = read_address(text)
    except AddressError:
        return
    assert read_address(str(address)) == address
    assert address.host.isascii()
    assert not set(address.host) & set("@/\\#?% ")
