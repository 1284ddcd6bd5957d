"""The real client in Chromium and the real server, through all that goes wrong with pages and networks."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from bare_chromium import BareChromium
from chaos_proxy import Ending, Fate, Fates
from chromium import ARGUMENTS, CHROMIUM
from cut_ward import HOST, CutWard, until, untold
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

START = "async ([tokens, options]) => (await import('/watch.js')).watch(tokens, options)"
SCARCELY_ANY = 3
NAME_OF_SERVER = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keeping_browser(require_tool: Callable[[bool, str], None]) -> AsyncIterator[Browser]:
    """A Chromium with its back-forward cache, which Playwright otherwise takes away."""
    require_tool(CHROMIUM.exists(), f"Chromium ({CHROMIUM}, by apt install chromium)")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*ARGUMENTS, NAME_OF_SERVER],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def ward() -> AsyncIterator[CutWard]:
    server = CutWard()
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def context(keeping_browser: Browser) -> AsyncIterator[BrowserContext]:
    window = await keeping_browser.new_context()
    window.set_default_timeout(30_000)
    yield window
    await window.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, ward: CutWard) -> Page:
    """A page that is not watching yet."""
    page = await context.new_page()
    await page.goto(ward.pages_url)
    return page


async def watch(page: Page, ward: CutWard, *tokens: str, **options: Any) -> None:
    await page.evaluate(START, [tokens or (ward.token(),), options])


async def told_all(page: Page, ward: CutWard) -> list[Any]:
    """What the page was told, once the newest number is among it."""
    await page.wait_for_function("(newest) => told.includes(newest)", arg=ward.published[-1])
    told: list[Any] = await page.evaluate("told")
    return told


async def watching(page: Page, ward: CutWard, count: int = SCARCELY_ANY) -> None:
    """A page that watches and has seen some messages."""
    await watch(page, ward)
    for _ in range(count):
        ward.publish()
    assert await told_all(page, ward) == ward.published


async def test_a_server_that_begins_anew_is_told_as_a_gap(page: Page, ward: CutWard) -> None:
    await watching(page, ward)
    await ward.restart()
    ward.publish()
    await page.wait_for_function("sessions.length === 2")
    ward.publish()
    told = await told_all(page, ward)
    assert untold(told, ward.published) == []
    assert "gap: restart" in told
    assert [resumed for resumed, _ in await page.evaluate("sessions")] == [False, False]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_cuts_at_any_byte_lose_nothing_and_double_nothing(page: Page, ward: CutWard, seed: int) -> None:
    await watching(page, ward)
    fates = Fates(seed, 3_000)
    ward.fates = (fates() for _ in itertools.count())
    ward.proxy.end_all(Ending.RESET)
    before = ward.dialled
    while ward.dialled - before < 6:
        ward.publish()
        await asyncio.sleep(0.02)
    ward.fates = ()
    ward.proxy.end_all(Ending.RESET)
    ward.publish()
    # A gap would be honest too, but the history holds all of it.
    assert await told_all(page, ward) == ward.published


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET, Ending.HALF_CLOSE])
async def test_what_is_published_during_a_cut_follows(page: Page, ward: CutWard, ending: Ending) -> None:
    await watching(page, ward)
    # Nobody gets in until it is all published.
    ward.fates = itertools.repeat(Fate(Ending.RESET, after=0))
    ward.proxy.end_all(ending)
    await until(lambda: not ward.manager.connections)
    for _ in range(5):
        ward.publish()
    ward.fates = ()
    assert await told_all(page, ward) == ward.published
    assert [resumed for resumed, _ in await page.evaluate("sessions")] == [False, True]


async def test_a_network_that_swallows_everything_is_noticed(page: Page, ward: CutWard) -> None:
    await watching(page, ward)
    ward.proxy.swallow()
    for _ in range(5):
        ward.publish()
    assert await told_all(page, ward) == ward.published
    assert await page.evaluate("ends") == [[1006, False]]


async def test_a_frozen_page_lets_go_and_is_back_with_all_of_it(
    ward: CutWard, require_tool: Callable[[bool, str], None]
) -> None:
    require_tool(CHROMIUM.exists(), f"Chromium ({CHROMIUM}, by apt install chromium)")
    async with BareChromium(NAME_OF_SERVER) as browser:
        tab = await browser.open(ward.pages_url)
        await tab.until("document.title === 'watching'")
        await tab.evaluate(f"({START})({json.dumps([[ward.token()], {}])})")
        ward.publish()
        await tab.until("told.includes(1)")
        # Chromium freezes only what nobody sees.
        await browser.open("about:blank")
        await tab.until("document.visibilityState === 'hidden'")
        await tab.send("Page.setWebLifecycleState", state="frozen")
        await until(lambda: ward.proxy.open_count == 0)
        for _ in range(5):
            ward.publish()
        await tab.send("Page.setWebLifecycleState", state="active")
        await tab.until(f"told.includes({ward.published[-1]})")
        assert await tab.evaluate("told") == ward.published
        states = ["connecting", "connected", "suspended", "reconnecting", "connected"]
        assert await tab.evaluate("states") == states


async def test_a_page_from_the_back_forward_cache_goes_on(page: Page, ward: CutWard) -> None:
    await watching(page, ward)
    await page.goto(f"{ward.pages_url}/elsewhere")
    await until(lambda: ward.proxy.open_count == 0)
    for _ in range(5):
        ward.publish()
    await page.evaluate("history.back()")
    await page.wait_for_function("window.shows?.includes(true)")
    assert await told_all(page, ward) == ward.published
    assert [resumed for resumed, _ in await page.evaluate("sessions")] == [False, True]


async def test_without_a_network_nothing_is_tried_until_it_is_back(
    page: Page, ward: CutWard, context: BrowserContext
) -> None:
    await watching(page, ward)
    # It tells the page, and does not touch sockets that are open.
    await context.set_offline(True)
    ward.proxy.end_all(Ending.RESET)
    await page.wait_for_function("states.at(-1) === 'offline'")
    dialled = ward.dialled
    for _ in range(5):
        ward.publish()
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert await page.evaluate("service.state") == "offline"
    assert ward.dialled == dialled
    await context.set_offline(False)
    assert await told_all(page, ward) == ward.published


async def test_a_duplicated_tab_has_a_session_of_its_own(
    page: Page, ward: CutWard, context: BrowserContext
) -> None:
    # Where the session is kept over reloads too; a new window gets a copy of the storage.
    start = START.replace("watch(tokens, options)", "watch(tokens, { storage: sessionStorage })")
    await page.evaluate(start, [[ward.token()], {}])
    async with context.expect_page() as opened:
        await page.evaluate("window.open(location.href)")
    twin = await opened.value
    await twin.wait_for_load_state()
    await twin.evaluate(start, [[ward.token()], {}])
    ward.publish()
    for one in (page, twin):
        assert await told_all(one, ward) == [1]
        assert await one.evaluate("ends") == []
    ward.proxy.end_all(Ending.RESET)
    ward.publish()
    for one in (page, twin):
        assert await told_all(one, ward) == [1, 2]
        await one.wait_for_function("sessions.length === 2")
        assert [resumed for resumed, _ in await one.evaluate("sessions")] == [False, True]
    assert await page.evaluate("ends") == await twin.evaluate("ends") == [[1006, False]]


async def test_a_token_that_ends_is_renewed_on_the_open_connection(page: Page, ward: CutWard) -> None:
    await watch(page, ward, ward.token(4), ward.token())
    await page.wait_for_function("reasons.includes('expiring')")
    ward.publish()
    assert await told_all(page, ward) == [1]
    # Behind the first one's end.
    await page.wait_for_timeout(4_500)
    ward.publish()
    assert await told_all(page, ward) == [1, 2]
    assert len(await page.evaluate("sessions")) == 1
    assert await page.evaluate("ends") == []


async def test_a_revoked_token_ends_it_for_good_and_aloud(page: Page, ward: CutWard) -> None:
    await watching(page, ward)
    async with aiohttp.ClientSession() as session:
        answer = await session.post(
            f"http://127.0.0.1:{ward.port}/ws/revoke",
            json={"user": "dr1"},
            headers={"Authorization": f"Bearer {ward.operator()}"},
        )
        assert answer.status == 200, await answer.text()
    await page.wait_for_function("states.at(-1) === 'closed'")
    assert await page.evaluate("ends") == [[4511, True]]
    dialled = ward.dialled
    await page.evaluate("dispatchEvent(new Event('online'))")
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert await page.evaluate("service.state") == "closed"
    assert ward.dialled == dialled


async def test_the_check_of_what_was_told_can_fail() -> None:
    assert untold([1, 2, 3], [1, 2, 3]) == []
    assert untold([1, "gap: slow", 3, "gap: restart"], [1, 2, 3, 4]) == []
    assert untold(["gap: slow", 1, 3], [1, 2, 3, 4]) == [2, 4]
    for told in ([1, 1], [2, 1]):
        with pytest.raises(AssertionError):
            untold(told, [1, 2])
