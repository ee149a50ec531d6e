"""How soon the server has a web page ready after years of work, for somebody who may see all of it (p)."""

import statistics
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlencode

from _bench import table
from _bench.load import Failed
from _bench.server import PASSWORD, Instance
from _bench.table import Row

BAR = 0.03
ROUNDS = 9
PAGES = (
    "/",
    "/drafts",
    "/drafts?tab=clean",
    "/drafts?tab=answered",
    "/drafts?q=PAST-77",
    "/drafts?tab=answered&q=PAST-77",
    "/sales-orders",
    "/sales-orders?q=PAST-77",
    "/orders",
    "/orders?delivery=failed",
    "/orders?number=PAST-77",
    "/exports",
    "/follow-up",
    "/customers",
    "/articles",
    "/articles?q=A-",
    "/partners",
    "/tokens",
    "/logs",
    "/logs?level=error",
    "/logs?view=causes",
    "/changes",
    "/deliveries",
    "/users",
    "/settings",
    "/profile",
    "/search?q=PAST-77",
    "/connectors",
)


def measure(instance: Instance, past: str) -> Iterator[Row]:
    """(p) The median of every page's answer time, one visitor at a time, from the first byte asked to the last one read."""
    line = HTTPConnection("127.0.0.1", instance.port, timeout=30)
    cookie = _sign_in(line, instance)
    slow: list[str] = []
    times: list[float] = []
    for path in PAGES:
        took = [_visited(line, path, cookie) for _ in range(ROUNDS)]
        # The first visit fills caches that every later one finds filled.
        middle = statistics.median(took[1:])
        times.append(middle)
        if middle >= BAR:
            slow.append(f"{table.millis(middle)} for {path}, first {table.millis(took[0])}")
    line.close()
    figure = f"median {table.millis(statistics.median(times))}, slowest of {len(PAGES)} {table.millis(max(times))}"
    yield Row(what=f"p  web pages, {past}", figure=figure, bar="< 30 ms each", met=not slow, notes=tuple(slow))


def _sign_in(line: HTTPConnection, instance: Instance) -> str:
    form = urlencode({"email": instance.admin, "password": PASSWORD, "next": "/"})
    line.request("POST", "/sign-in", form, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = line.getresponse()
    answer.read()
    cookie = (answer.headers.get("Set-Cookie") or "").partition(";")[0]
    if answer.status != 303 or not cookie:
        raise Failed(f"Signing in was answered {answer.status}.")
    return cookie


def _visited(line: HTTPConnection, path: str, cookie: str) -> float:
    began = time.perf_counter()
    line.request("GET", path, headers={"Cookie": cookie, "Accept": "text/html", "Accept-Encoding": "gzip"})
    answer = line.getresponse()
    answer.read()
    if answer.status != 200:
        raise Failed(f"GET {path} was answered {answer.status}.")
    return time.perf_counter() - began
