"""Which addresses may be called (ruling 29), as far as the address alone tells."""

import ipaddress
import re

import httpx2
import msgspec

from prodsys.kit.outbound.outcomes import Forbidden, Trust

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PARTNER_PORTS = frozenset({443, 8443})

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)", re.ASCII)

_INTERNET6 = ipaddress.IPv6Network("2000::/3")

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An address that was read once; what is checked is what is called."""

    scheme: str
    host: str
    port: int
    netloc: bytes
    path: bytes


def read_address(url: str, trust: Trust) -> Target | Forbidden:
    """Read an address and hold it against the rules that need no name look-up (ruling 29)."""
    try:
        read = httpx2.URL(url)
        host = read.raw_host.decode("ascii").lower().removesuffix(".")
    except (httpx2.InvalidURL, UnicodeError, ValueError, TypeError):
        return _bad_address("The address cannot be read.")
    if read.scheme not in ("http", "https") or (trust == "partner" and read.scheme != "https"):
        detail = "The address must begin with https://, unless it is this machine's own and PRODSYS_ALLOWED_NETWORKS names it."
        return Forbidden(reason="not_https", detail=detail)
    if read.userinfo:
        return _bad_address("The address must not hold a user name or a password.")
    if literal(host) is None and not _NAME.fullmatch(host):
        return _bad_address("The address does not name a host.")
    # The resolver would read 2130706433, 0x7f.1 and 127.1 as addresses; a person reads them as something else.
    if literal(host) is None and _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _bad_address("The address spells an IP address in an unusual way.")
    port = read.port if read.port is not None else (443 if read.scheme == "https" else 80)
    if not 0 < port < 65_536:
        return Forbidden(reason="port_not_allowed", detail="There is no such port.")
    if trust == "partner" and port not in PARTNER_PORTS:
        detail = "A partner's address must use port 443 or 8443, unless it is this machine's own and PRODSYS_ALLOWED_NETWORKS names it."
        return Forbidden(reason="port_not_allowed", detail=detail)
    return Target(scheme=read.scheme, host=host, port=port, netloc=read.netloc, path=read.raw_path)


def is_public(address: Address) -> bool:
    """Whether an address is reached over the internet, also when an IPv4 address is wrapped in an IPv6 one."""
    inner = meant(address)
    if isinstance(inner, ipaddress.IPv6Address) and inner not in _INTERNET6:
        return False
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def _bad_address(detail: str) -> Forbidden:
    return Forbidden(reason="bad_address", detail=detail)


def literal(host: str) -> Address | None:
    """The IP address a host is, where it is one and not a name."""
    if "%" in host:  # the zone of an IPv6 address names one of our own network cards
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
