"""How answers leave: head and body in one piece."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, where what is written in one turn of the loop is one call to the system and one packet.

    Of its own accord it sends an answer's head and body apart, which is a call to the system and a packet more.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client has connected."""
        super().connection_made(cast("Any", _Gathered(transport, self.loop)))


class _Gathered:
    """A transport that writes at the end of the turn; everything else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def write(self, piece: bytes) -> None:
        """Send this before the loop turns again."""
        if not self._held:
            self._loop.call_soon(self._let_go)
        self._held.append(piece)

    def close(self) -> None:
        """Send what was written and let the client go."""
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
