"""Ports of this machine for servers that are about to start."""

import random
import socket

_CALLERS_FROM = 32_768
"""From here on Linux gives ports to whoever calls out, so one of those may be gone before its server has started."""
_chance = random.SystemRandom()


def a_free_port() -> int:
    """A port nobody listens on, nor gets by chance when he calls somebody."""
    while True:
        port = _chance.randrange(10_000, _CALLERS_FROM)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
