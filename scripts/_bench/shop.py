"""A shop on loopback that answers everything after a fixed while, in a process of its own: what flows are measured against."""

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen
from urllib.parse import parse_qsl, urlsplit

ROWS = 1_000
"""Stock rows on a page."""


async def serve(latency: float, stock: int) -> None:
    """Serve until killed; prints the port. Products are kept by SKU, `stock` rows are made up page by page."""
    products: dict[str, bytes] = {}
    numbers = itertools.count(1)

    def answer(method: str, target: str, body: bytes) -> bytes:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        if method == "POST":
            row = json.loads(body) | {"id": next(numbers)}
            products[row["sku"]] = json.dumps(row).encode()
            return products[row["sku"]]
        if parts.path.endswith("/stock"):
            begin = (int(query["page"]) - 1) * ROWS
            rows = [f'{{"id":{at},"sku":"A-{at}","qty":{at % 97}}}' for at in range(begin, min(begin + ROWS, stock))]
            return ('{"data":[' + ",".join(rows) + "]}").encode()
        found = products.get(query.get("sku", ""))
        return b'{"data":[' + (found or b"") + b"]}"

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split(" ", 2)
                lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length")]
                body = await reader.readexactly(int(lengths[0])) if lengths else b""
                said = answer(method, target, body)
                await asyncio.sleep(latency)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(said) + said)
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running(latency: float, stock: int = 0) -> Iterator[str]:
    """The shop, started; its address."""
    command = [sys.executable, "-m", "_bench.shop", str(latency), str(stock)]
    with Popen(command, stdout=PIPE, stderr=DEVNULL, text=True) as process:  # noqa: S603 - this file
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/api"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))
