"""What an address of Redis says: one server, Sentinels that know it, or nodes of a Cluster. Settings read it too."""

import re
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

import msgspec

Kind = Literal["address", "sentinel", "cluster"]
DEFAULT_PORT: Final = {"sentinel": 26379, "cluster": 6379}
EXAMPLES: Final = {
    "sentinel": "redis+sentinel://:password@host1:26379,host2:26379,host3:26379/mymaster",
    "cluster": "redis+cluster://:password@host1:6379,host2:6379",
}
_NODE: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:@/,\s]+)(?::(\d{1,5}))?")


class Node(NamedTuple):
    """A server to ask."""

    host: str
    port: int


class Place(msgspec.Struct, frozen=True):
    """An address as it was given: `url` says how to talk to the server, and where it is unless others know.

    `nodes` are the Sentinels, which know it by the name `primary`, or some nodes of the Cluster.
    """

    kind: Kind
    url: str
    nodes: tuple[Node, ...] = ()
    primary: str = ""
    sentinel_account: dict[str, str] = {}


def place_of(url: str) -> Place:
    """Read an address; raises ValueError saying what it lacks."""
    scheme, _, rest = url.partition("://")
    plain, plus, kind = scheme.partition("+")
    if not plus:
        return Place("address", url)
    if plain not in ("redis", "rediss") or kind not in ("sentinel", "cluster"):
        raise ValueError(f"an address like {EXAMPLES['sentinel']} or {EXAMPLES['cluster']}")
    where, _, options = rest.partition("?")
    netloc, _, steps = where.partition("/")  # urlsplit refuses a list of hosts with an IPv6 address in it
    account, _, hosts = netloc.rpartition("@")
    nodes = tuple(_node(host, DEFAULT_PORT[kind]) for host in hosts.split(",") if host)
    path = [unquote(step) for step in steps.strip("/").split("/") if step]
    most = 2 if kind == "sentinel" else 0
    if not nodes or len(path) > most or (most and not path) or not all(step.isdecimal() for step in path[1:]):
        raise ValueError(f"an address like {EXAMPLES[kind]}")
    query = dict(parse_qsl(options))
    sentinel = {name: query.pop(f"sentinel_{name}", "") for name in ("username", "password")}
    server = f"{plain}://{account + '@' if account else ''}127.0.0.1/{''.join(path[1:])}?{urlencode(query)}"
    if kind == "cluster":
        return Place("cluster", server, nodes)
    return Place("sentinel", server, nodes, path[0], {name: value for name, value in sentinel.items() if value})


def prefix_at(url: str, prefix: str) -> str:
    """How keys begin: in a Cluster all of an installation are in one slot, so that a script may take any of them."""
    return f"{{{prefix}}}" if place_of(url).kind == "cluster" else prefix


def _node(text: str, port: int) -> Node:
    found = _NODE.fullmatch(text)
    if found is None or int(found[2] or port) > 65535:
        raise ValueError(f"hosts like host1:{port},host2:{port}")
    return Node(found[1].strip("[]"), int(found[2] or port))
