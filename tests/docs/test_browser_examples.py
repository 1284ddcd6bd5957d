"""The JavaScript of the documents, run in a real browser against a real server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from documents import DOCS, README, blocks
from live import AUTH, serving, token
from playwright.async_api import Page, async_playwright

from wsserver.connection_manager import ConnectionManager
from wsserver.settings import Settings
from wsserver.web.app import setup

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
WATCH = """async ({source, url, tokens}) => {
  const {watch} = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
  window.seen = [];
  window.ends = [];
  watch({
    url,
    topics: ["patient:123"],
    getToken: async () => tokens.length > 1 ? tokens.shift() : tokens[0],
    onMessage: (message) => seen.push(message),
    onEnd: (code) => ends.push(code),
  });
}"""


@pytest.fixture
async def page(require_tool: Callable[[bool, str], None]):
    require_tool(CHROMIUM.exists(), f"Chromium ({CHROMIUM}, by apt install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield await browser.new_page()
        await browser.close()


def make_app() -> tuple[web.Application, ConnectionManager]:
    settings = Settings(auth=AUTH)
    app, manager = web.Application(), ConnectionManager(settings)
    setup(app, settings, manager=manager)
    return app, manager


async def seen(page: Page, condition: str) -> None:
    await page.wait_for_function(condition, timeout=20_000)


async def test_the_snippet_of_the_readme_shows_what_arrives_as_text(page: Page):
    snippet, _ = blocks(README, "js")
    app, manager = make_app()
    hostile = "<img src=x onerror=document.title='run'><script>document.title='run'</script>"
    async with serving(app) as port:
        await page.goto(f"http://127.0.0.1:{port}/health")
        source = snippet.text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        await page.add_script_tag(content=f"const TOKEN = '{token()}';\n{source}", type="module")
        while not manager.broadcast_to_patient(123, {"type": "vitals", "hr": 61, "note": hostile}):
            await page.wait_for_timeout(20)
        await page.wait_for_function("document.body.textContent.includes('\"hr\":61')", timeout=20_000)
    assert hostile in await page.evaluate("document.body.textContent")
    assert await page.evaluate("document.querySelectorAll('body img, body script').length") == 0
    assert await page.title() == ""


async def test_the_client_reconnects_and_renews_and_ends_as_the_close_code_says(page: Page):
    (source,) = blocks(DOCS / "protocol.md", "js")
    app, manager = make_app()
    async with serving(app) as port:
        url = f"ws://127.0.0.1:{port}/ws/connect"
        await page.goto(f"http://127.0.0.1:{port}/health")
        tokens = ["not.a.token", token()]
        await page.evaluate(WATCH, {"source": source.text, "url": url, "tokens": tokens})

        # The first token is refused (4501); the client asks for another one and gets in.
        await seen(page, "seen.filter(m => m.type === 'connected').length === 1")
        manager.broadcast_to_patient(123, {"type": "vitals", "hr": 61})
        await seen(page, "seen.some(m => m._meta && m.hr === 61)")

        (connection_id,) = manager.connections
        manager.disconnect(connection_id, "reconnect")
        await seen(page, "seen.filter(m => m.type === 'connected').length === 2")

        (connection_id,) = manager.connections
        manager.disconnect(connection_id, "operator")
        await seen(page, "ends.length === 1")
        assert await page.evaluate("ends[0]") == 4523
