"""``no_proxy`` in all its forms, and deliberate differences from ``requests``."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from requests.utils import should_bypass_proxies

from serverless_flags._transport.connector import Connector

PROXY = "http://proxy.example:3128"


def bypasses(url: str, no_proxy: str) -> bool:
    """Whether the URL is requested without a proxy."""
    environ = {"http_proxy": PROXY, "https_proxy": PROXY, "no_proxy": no_proxy}
    return Connector(url, environ).proxy is None


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("http://flags.example.com", "flags.example.com"),
        ("http://FLAGS.example.com", "flags.EXAMPLE.com"),
        ("http://flags.example.com", "other, flags.example.com ,"),
        ("http://flags.example.com", "example.com"),
        ("http://flags.example.com", ".example.com"),
        ("http://example.com", ".example.com"),
        ("http://flags.example.com", "*"),
        ("http://flags.example.com:4242", "flags.example.com:4242"),
        ("http://10.1.2.3", "10.1.2.3"),
        ("http://10.1.2.3", "10.0.0.0/8"),
        ("http://10.1.2.3", "10.1.2.3/32"),
    ],
)
def test_both_connect_directly(url, no_proxy) -> None:
    """Hosts, domains, addresses and networks are read as by ``requests``."""
    assert should_bypass_proxies(url, no_proxy)
    assert bypasses(url, no_proxy)


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("http://flags.example.com", ""),
        ("http://flags.example.com", " , "),
        ("http://flags.example.com", "flags.example"),
        ("http://flags.example.com", "flags.example.com.evil"),
        ("http://flags.example.com:4242", "flags.example.com:4243"),
        ("http://11.1.2.3", "10.0.0.0/8"),
        ("http://10.1.2.3", "10.1.2.0/40"),
        ("http://flags.example.com", "10.0.0.0/8"),
    ],
)
def test_both_use_the_proxy(url, no_proxy) -> None:
    """Servers that ``no_proxy`` does not list are requested through the proxy."""
    assert not should_bypass_proxies(url, no_proxy)
    assert not bypasses(url, no_proxy)


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("http://flags.example.com", "*.example.com"),
        ("http://flags.example.com", "10.0.0.1,*"),
        ("https://flags.example.com", "flags.example.com:443"),
        ("http://10.1.2.3:80", "10.1.2.3:80"),
        ("http://10.1.2.3", "0.0.0.0/0"),
        ("http://[2001:db8::1]", "2001:db8::/32"),
    ],
)
def test_only_this_package_connects_directly(url, no_proxy) -> None:
    """Stars, default ports and IPv6 networks have their intended meaning."""
    assert not should_bypass_proxies(url, no_proxy)
    assert bypasses(url, no_proxy)


def test_part_of_a_label_is_not_a_domain() -> None:
    """Older versions of ``requests`` accept any ending of the host."""
    assert not bypasses("http://flags.example.com", "ample.com")


labels = st.sampled_from(["a", "b", "flags", "example", "com", "internal"])
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
addresses = st.ip_addresses(v=4).map(str)
networks = st.tuples(addresses, st.integers(1, 32)).map(
    lambda net: f"{net[0]}/{net[1]}"
)
ports = st.sampled_from(["", ":80", ":4242"])


@given(
    host=names | addresses,
    port=ports,
    entries=st.just(["*"])
    | st.lists(
        st.one_of(names, names.map(".{}".format), addresses, networks), max_size=4
    ),
)
@example(host="10.1.2.3", port="", entries=["10.255.0.0/9"])
def test_no_proxy_is_read_as_by_requests(host, port, entries) -> None:
    """For entries that end at a label of the host, the result is the same."""
    assume(not any(_cuts_a_label(host, entry) for entry in entries))
    url, no_proxy = f"http://{host}{port}/api", ",".join(entries)

    assert bool(should_bypass_proxies(url, no_proxy)) is bypasses(url, no_proxy)


def _cuts_a_label(host: str, entry: str) -> bool:
    rest = host.removesuffix(entry)
    return rest not in {host, ""} and not rest.endswith(".") and entry[0] != "."
