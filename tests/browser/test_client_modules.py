"""The client's modules in a real browser, straight from the server, on a page of another origin."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from two_origins import TwoOrigins

from wsserver.web.client_files import CLIENT_FILES

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VECTORS = Path(__file__).parent.parent / "vectors"

HTML, JAVASCRIPT = "text/html", "text/javascript"
EMPTY_PAGE = '<!doctype html><link rel="icon" href="data:,"><title>ward</title>'
# What a page does that wants to see a patient; a worker does the same.
WATCH = """
import { WebSocketReconnectService } from "{server}/ws/client/index.js";

export async function watch(token, tell) {
  const service = new WebSocketReconnectService({ getToken: () => token });
  service.on("message", ({ data }) => tell(data));
  await service.connect("{socket}/ws/connect", { userId: "dr1", subscriptions: ["patient:123"] });
  return service;
}
"""
WORKER = """
import { watch } from "./watch.js";

onmessage = async ({ data: token }) => {
  await watch(token, postMessage);
  postMessage("connected");
};
"""
PAGES = {
    "/": (HTML, EMPTY_PAGE),
    "/watch.js": (JAVASCRIPT, WATCH),
    "/worker.js": (JAVASCRIPT, WORKER),
}
IN_PAGE = """async (token) => {
  window.seen = [];
  const { watch } = await import("/watch.js");
  await watch(token, (data) => seen.push(data));
  seen.push("connected");
}"""
IN_WORKER = """(token) => {
  window.seen = [];
  const worker = new Worker("/worker.js", { type: "module" });
  worker.onmessage = ({ data }) => seen.push(data);
  worker.onerror = (event) => seen.push(`broken: ${event.message}`);
  worker.postMessage(token);
}"""
# Every golden vector by the browser's own TextDecoder and typed arrays; what differs comes back.
COMPARE = """async ({ server, vectors }) => {
  const { decodeEnvelope, EnvelopeError } = await import(`${server}/ws/client/envelope.js`);
  const listed = (_, value) => (ArrayBuffer.isView(value) ? [...value] : value);
  const plain = (body) => JSON.stringify(body, listed);
  const wrong = [];
  for (const { name, hex, envelope, error, max_size } of JSON.parse(vectors)) {
    const { buffer } = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    let got;
    try {
      const { kind, topic, seq, time, body } = decodeEnvelope(buffer, { maxSize: max_size });
      got = plain({ kind, topic, seq, time, body });
    } catch (fault) {
      got = fault instanceof EnvelopeError ? fault.reason : String(fault);
    }
    const { samples, ...expected } = envelope ?? {};
    // The order of members is the wire's, but for samples: they come last.
    const moved = samples ? { ...expected, body: moveLast(expected.body, samples.field) } : expected;
    if (got !== (error ?? plain(moved))) wrong.push([name, got, error ?? plain(moved)]);
  }
  return wrong;

  function moveLast(body, field) {
    const { [field]: samples, ...others } = body;
    return { ...others, [field]: samples };
  }
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def origins() -> AsyncIterator[TwoOrigins]:
    servers = TwoOrigins()
    await servers.start(PAGES)
    yield servers
    await servers.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, origins: TwoOrigins) -> AsyncIterator[Page]:
    """A page of the other origin, on which nothing may go wrong."""
    context = await browser.new_context()
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(origins.pages_url)
    yield page
    await context.close()
    assert complaints == []


@pytest.mark.parametrize("start", [IN_PAGE, IN_WORKER], ids=["page", "worker"])
async def test_a_page_and_a_module_worker_of_another_origin_import_it_and_receive(
    page: Page, origins: TwoOrigins, start: str
) -> None:
    await page.evaluate(start, origins.token())
    await page.wait_for_function("() => seen.length > 0", timeout=20_000)
    assert await page.evaluate("seen") == ["connected"]
    report: Any = origins.manager.broadcast_to_patient("123", {"type": "vitals", "heart_rate": 61})
    assert int(report) == 1
    await page.wait_for_function("() => seen.length > 1", timeout=20_000)
    _, message = await page.evaluate("seen")
    assert (message["type"], message["heart_rate"]) == ("vitals", 61)
    assert message["_meta"]["topic"] == "patient:123"


async def test_what_the_browser_has_is_only_asked_for_again(page: Page, origins: TwoOrigins) -> None:
    load = f"async () => Object.keys(await import('{origins.url}/ws/client/index.js')).length"
    assert await page.evaluate(load) > 0
    first = dict(origins.asked)
    assert set(first.values()) == {200}
    assert {path.removeprefix("/ws/client/") for path in first} <= set(CLIENT_FILES)
    origins.asked.clear()
    await page.reload()
    assert await page.evaluate(load) > 0
    assert dict(origins.asked) == dict.fromkeys(first, 304)


async def test_chromium_agrees_with_every_golden_vector(page: Page, origins: TwoOrigins) -> None:
    vectors = [one for one in json.loads((VECTORS / "envelopes.json").read_text()) if "kinds" not in one]
    assert len(vectors) > 100
    assert await page.evaluate(COMPARE, {"server": origins.url, "vectors": json.dumps(vectors)}) == []
