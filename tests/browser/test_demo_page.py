import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from fake_ward import FakeWard
from playwright.async_api import Browser, Page, expect
from real_server import RealServer

from wsserver.demo.page import CONTENT_SECURITY_POLICY, load_page

# One browser for all of them: starting it is most of a test's time, and it belongs to one loop.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# A busy machine draws few pictures a second.
expect.set_options(timeout=20_000)

Server = FakeWard | RealServer
Open = Callable[..., Awaitable[Page]]

PICTURES = "() => [...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())"
ALL_MOVED = """(before) => {
  const now = [...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL());
  return now.length === before.length && now.every((picture, i) => picture !== before[i]);
}"""
# For each column of the first canvas whether anything is drawn in it.
INKED = """() => {
  const { width, height } = document.querySelector('canvas');
  const { data } = document.querySelector('canvas').getContext('2d').getImageData(0, 0, width, height);
  const inked = new Array(width).fill(false);
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) inked[((i - 3) / 4) % width] = true;
  return inked;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def ward() -> AsyncIterator[FakeWard]:
    server = FakeWard()
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


@pytest_asyncio.fixture(loop_scope="session", params=[FakeWard, RealServer])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    made: Server = request.param()
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says of errors and warnings, and exceptions nobody caught."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, complaints: list[str]) -> AsyncIterator[Open]:
    """Open a server's demonstration page, in a window as wanted."""
    windows = []

    async def open_page(
        server: Server, width: int = 1280, height: int = 860, script: str = "", **context: Any
    ) -> Page:
        window = await browser.new_context(viewport={"width": width, "height": height}, **context)
        windows.append(window)
        window.set_default_timeout(20_000)
        page = await window.new_page()
        if script:
            await page.add_init_script(script)
        page.on(
            "console",
            lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{server.url}/demo")
        return page

    yield open_page
    for window in windows:
        await window.close()


async def see_state(page: Page, word: str) -> None:
    await expect(page.locator("#link-word")).to_have_text(word, timeout=20_000)


async def see_signals(page: Page) -> None:
    await expect(page.locator('.bed:is([data-signal="live"], [data-signal="alert"])')).to_have_count(6)


BED_1 = "patient:demo-1"


def ecg(values: list[float], second: float) -> dict[str, Any]:
    return {
        "type": "ecg_data",
        "patient_id": "demo-1",
        "data": values,
        "timestamp": f"2026-01-01T00:00:{second:06.3f}Z",
        "sampling_rate": 360,
    }


async def test_traces_move_and_an_alert_appears_with_a_clean_console(
    server: Server, visit: Open, complaints: list[str]
) -> None:
    page = await visit(server)
    await see_state(page, "Live")
    await see_signals(page)
    before = await page.evaluate(PICTURES)
    shot = await page.locator("canvas").first.screenshot()
    await page.wait_for_function(ALL_MOVED, arg=before)
    assert await page.locator("canvas").first.screenshot() != shot
    alert = page.locator("#alerts li").first
    await expect(alert).to_contain_text(re.compile("Warning.*Bed \\d.*beat", re.DOTALL), timeout=20_000)
    await expect(page.locator('.bed[data-signal="alert"] .signal-word').first).to_contain_text("beat")
    for rate in await page.locator(".rate strong").all():
        await expect(rate).to_have_text(re.compile(r"^\d{2,3}$"))
    assert complaints == []


async def test_the_policy_is_strict_and_the_page_obeys_it(
    server: Server, visit: Open, complaints: list[str]
) -> None:
    page = await visit(server)
    response = await page.request.get(f"{server.url}/demo")
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    for path in load_page():
        assert (await page.request.get(f"{server.url}{path}")).ok
    await see_state(page, "Live")
    assert complaints == []


async def stay_inside_at_every_width(page: Page) -> None:
    clipped = "(boxes) => boxes.filter((box) => box.getBoundingClientRect().right > innerWidth).length"
    for width in (320, 390, 768, 1100, 1280):
        await page.set_viewport_size({"width": width, "height": 844})
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        boxes = page.locator("header, button, dl, canvas, .link, .rate")
        assert await boxes.evaluate_all(clipped) == 0


async def test_nothing_scrolls_sideways_at_any_width(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await see_signals(page)
    await expect(page.locator("#alerts li").first).to_be_visible(timeout=20_000)
    await stay_inside_at_every_width(page)
    await ward.tell({"type": "system_shutdown", "message": "Back soon.", "reconnect_after_ms": 60_000})
    await ward.close_all(4020)
    await see_state(page, "Reconnecting")
    await stay_inside_at_every_width(page)


async def test_a_killed_server_is_shown_and_its_return_is_noticed(server: Server, visit: Open) -> None:
    page = await visit(server)
    await see_state(page, "Live")
    await see_signals(page)
    await server.stop()
    await see_state(page, "Reconnecting")
    await expect(page.locator('.bed[data-signal="lost"] .signal-word').first).to_have_text("No signal")
    await expect(page.locator(".rate strong").first).to_have_text("––")
    await server.start()
    await see_state(page, "Live")
    await see_signals(page)
    before = await page.evaluate(PICTURES)
    await page.wait_for_function(ALL_MOVED, arg=before)


async def test_the_first_frame_carries_the_token_and_every_patient(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await see_state(page, "Live")
    assert ward.frames[0] == {
        "type": "connect",
        "token": "token-1",
        "user_id": "demo",
        "role": "nurse",
        "subscriptions": [f"patient:demo-{n}" for n in range(1, 7)],
    }


async def test_the_round_trip_is_measured_by_pings(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await expect(page.locator("#round-trip")).to_have_text(re.compile(r"^\d+\.\d ms$"))
    assert "ping" in {frame["type"] for frame in ward.frames}


async def test_missing_samples_leave_a_hole_of_their_length(ward: FakeWard, visit: Open) -> None:
    ward.muted = True
    page = await visit(ward)
    await see_state(page, "Live")
    # Half a second, a second of nothing, and half a second again; 100 pixels each second.
    for second in (1.0, 1.25, 2.5, 2.75):
        await ward.publish(ecg([0.0] * 90, second), BED_1)
    await page.wait_for_function(f"() => ({INKED})().filter(Boolean).length > 60")
    ink = "".join("#" if inked else "." for inked in await page.evaluate(INKED))
    drawn = re.fullmatch(r"(#+)(\.+)(#+)\.*", ink)
    assert drawn is not None, ink
    assert len(drawn[1]) == pytest.approx(50, abs=3)
    assert len(drawn[2]) == pytest.approx(100, abs=4)


async def test_samples_that_follow_each_other_are_joined(ward: FakeWard, visit: Open) -> None:
    ward.muted = True
    page = await visit(ward)
    await see_state(page, "Live")
    for second in (1.0, 1.25, 1.5, 1.75):
        await ward.publish(ecg([0.0] * 90, second), BED_1)
    await page.wait_for_function(f"() => ({INKED})().filter(Boolean).length > 60")
    ink = "".join("#" if inked else "." for inked in await page.evaluate(INKED))
    assert re.fullmatch(r"#+\.*", ink), ink


async def test_a_gap_is_counted_and_not_drawn_over(ward: FakeWard, visit: Open) -> None:
    ward.muted = True
    page = await visit(ward)
    await see_state(page, "Live")
    await ward.publish(ecg([0.0] * 180, 1.0), BED_1)
    gap = {"type": "gap", "log": "fake", "topic": "patient:demo-1", "from": 5, "to": 9}
    await ward.tell({**gap, "count": 2, "reason": "slow"})
    await ward.tell({**gap, "count": 1, "reason": "slow"})
    await ward.publish(ecg([0.0] * 180, 1.5), BED_1)
    await expect(page.locator("#missed")).to_have_text("3")
    line = page.get_by_role("log").get_by_role("listitem")
    await expect(line).to_have_text(
        re.compile(r"Gap\s+Bed 1\s.*3 messages missed: this page took them too slowly", re.DOTALL)
    )
    await page.wait_for_function(f"() => /#+[.]+#/.test(({INKED})().map((i) => (i ? '#' : '.')).join(''))")


@pytest.mark.parametrize(
    ("gap", "who", "text", "missed"),
    [
        ({"count": 1, "topic": "patient:demo-2"}, "Bed 2", "1 message missed: the server does not", "1"),
        ({"count": 7, "topic": "ecg:*"}, "ecg:*", "7 messages missed", "7"),
        ({}, "All beds", "Messages may be missing", "0+"),
    ],
)
async def test_a_gap_says_whose_messages_are_missing_and_why(
    ward: FakeWard, visit: Open, gap: dict[str, Any], who: str, text: str, missed: str
) -> None:
    ward.muted = True
    page = await visit(ward)
    await see_state(page, "Live")
    await ward.tell({"type": "gap", "log": "fake", "from": 5, "to": 9, "reason": "trimmed", **gap})
    line = page.get_by_role("log").get_by_role("listitem")
    await expect(line.locator(".bed-name")).to_have_text(who)
    await expect(line.locator(".text")).to_contain_text(text)
    await expect(page.locator("#missed")).to_have_text(missed)


async def test_a_return_says_whether_the_session_went_on(server: Server, visit: Open) -> None:
    page = await visit(server)
    await see_state(page, "Live")
    await expect(page.locator("#session")).to_have_text("New")
    # The fake one has no binary frames: the page takes what there is.
    codec = "Binary" if isinstance(server, RealServer) else "JSON"
    await expect(page.locator("#codec")).to_have_text(codec)
    await expect(page.locator("#byte-rate")).to_have_text(re.compile(r"^\d+\.\d kB/s$"))
    await expect(page.locator("#events-empty")).to_be_visible()
    await server.stop()
    await see_state(page, "Reconnecting")
    await server.start()
    await see_state(page, "Live")
    newest = page.get_by_role("log").get_by_role("listitem")
    await expect(newest.filter(has_text="New session")).to_contain_text("the server did not have the old one")
    await expect(newest.filter(has_text="Connection lost")).to_have_count(1)
    await expect(page.locator("#events-empty")).to_be_hidden()


@pytest.mark.parametrize("code", [4511, 1009])
async def test_a_final_close_is_final(ward: FakeWard, visit: Open, code: int) -> None:
    page = await visit(ward)
    await see_state(page, "Live")
    await ward.close_all(code)
    await see_state(page, "Closed")
    await expect(page.locator("#link-detail")).to_have_text(f"code {code}")
    await expect(page.get_by_role("alert")).to_contain_text(f"(code {code})")
    connects = len([frame for frame in ward.frames if frame["type"] == "connect"])
    assert connects == 1
    await page.keyboard.press("Tab")
    await page.get_by_role("button", name="Connect again").press("Enter")
    await see_state(page, "Live")
    await expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.parametrize("code", [4001, 4005, 1011])
async def test_other_closes_are_followed_by_a_return(ward: FakeWard, visit: Open, code: int) -> None:
    page = await visit(ward)
    await see_state(page, "Live")
    await ward.close_all(code)
    await page.wait_for_function("() => document.getElementById('link').dataset.state !== 'connected'")
    await see_state(page, "Live")
    connects = [frame for frame in ward.frames if frame["type"] == "connect"]
    assert len(connects) == 2
    assert (connects[1]["token"] != connects[0]["token"]) == (code == 4001)


async def test_a_refused_token_is_renewed_once_and_then_given_up(ward: FakeWard, visit: Open) -> None:
    ward.refuse_with = 4501
    ward.refusal = {"type": "error", "code": 1001, "name": "authentication_failed", "message": "No."}
    page = await visit(ward)
    await see_state(page, "Closed")
    tokens = [frame["token"] for frame in ward.frames if frame["type"] == "connect"]
    assert tokens == ["token-1", "token-2"]
    await expect(page.locator("#notice")).to_have_text("No.")


async def test_the_servers_word_on_when_to_come_back_is_kept(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await see_state(page, "Live")
    limited = {"type": "error", "code": 1010, "name": "rate_limit_exceeded", "message": "Too many."}
    await ward.tell({**limited, "retry_after_ms": 60_000})
    await ward.close_all(4110)
    await see_state(page, "Reconnecting")
    await expect(page.locator("#link-detail")).to_have_text(re.compile(r"^in (5\d|60) s$"))


async def test_coming_back_online_cuts_the_wait_short(ward: FakeWard, visit: Open) -> None:
    # A wait that never ends by itself.
    script = """const wait = window.setTimeout;
    const isWaiting = () => document.getElementById("link")?.dataset.state === "reconnecting";
    window.setTimeout = (callback, delay) => isWaiting() && delay < 10000 ? 0 : wait(callback, delay);"""
    page = await visit(ward, script=script)
    await see_state(page, "Live")
    await ward.close_all(4000)
    await see_state(page, "Reconnecting")
    await expect(page.locator("#link-detail")).to_have_text(re.compile(r"^in \d s$"))
    await page.evaluate("dispatchEvent(new Event('online'))")
    await see_state(page, "Live")


async def test_the_servers_wait_is_kept_and_its_word_shown_until_then(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await see_state(page, "Live")
    await ward.tell({"type": "system_shutdown", "message": "Back soon.", "reconnect_after_ms": 2_000})
    await ward.close_all(4020)
    await see_state(page, "Reconnecting")
    await expect(page.locator("#notice")).to_have_text("Back soon.")
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.locator("#link-detail")).to_have_text(re.compile(r"^in \d s$"))
    await see_state(page, "Live")
    await expect(page.locator("#notice")).to_be_hidden()


async def test_an_expiring_token_is_renewed_in_place(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await see_state(page, "Live")
    async with page.expect_response("**/demo/config.json?user_id=demo"):
        await ward.tell({"type": "token_expiring", "expires_in": 60})
    await expect(page.locator("#round-trip")).to_have_text(re.compile("ms$"))
    (renewal,) = [frame for frame in ward.frames if frame["type"] == "auth"]
    assert renewal["token"] == "token-2"
    await see_state(page, "Live")


async def test_close_codes_and_delays_follow_the_protocol(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    codes = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011, 1012, 1013]
    codes += [4000, 4099, 4100, 4199, 4500, 4999]
    returns = await page.evaluate(
        "async (codes) => { const { verdict } = await import('/ws/client/index.js');"
        " return codes.filter((code) => verdict(code) !== 'final'); }",
        codes,
    )
    assert returns == [1001, 1005, 1006, 1011, 1012, 1013, 4000, 4099, 4100, 4199]


@pytest.mark.parametrize(("chance", "waits"), [(1, (1500, 2500, 4500)), (0, (500, 500, 500))])
async def test_waits_are_spread_from_half_a_second_on(
    ward: FakeWard, visit: Open, chance: int, waits: tuple[int, ...]
) -> None:
    # The waits that the page asks for, and each of them over at once.
    script = f"""Math.random = () => {chance};
    window.waits = [];
    const wait = window.setTimeout;
    const isWaiting = () => document.getElementById("link")?.dataset.state === "reconnecting";
    window.setTimeout = (callback, delay) => {{
      if (!isWaiting() || delay === 10000) return wait(callback, delay);
      waits.push(delay);
      return wait(callback, 0);
    }};"""
    page = await visit(ward, script=script)
    await see_state(page, "Live")
    ward.refuse_with = 4000
    await ward.close_all(4000)
    await page.wait_for_function("() => waits.length >= 3")
    assert await page.evaluate("waits.slice(0, 3)") == list(waits)


async def test_paused_traces_stand_still_and_alerts_keep_coming(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await see_signals(page)
    await page.get_by_role("button", name="Pause traces").click()
    before = await page.evaluate(PICTURES)
    alerts = await page.locator("#alerts li").count()
    alert = {"type": "alert", "severity": "critical", "patient_id": "demo-4", "message": "<b>Bold</b>"}
    await ward.publish({**alert, "timestamp": "2026-01-01T00:00:00Z"}, "patient:demo-4")
    item = page.locator("#alerts li", has_text="<b>Bold</b>")
    await expect(item).to_contain_text("Critical")
    assert await page.locator("#alerts li").count() > alerts
    assert await page.evaluate(PICTURES) == before
    await page.get_by_role("button", name="Resume traces").click()
    await page.wait_for_function(ALL_MOVED, arg=before)


async def test_with_reduced_motion_the_traces_move_in_steps(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward, reduced_motion="reduce")
    await see_signals(page)
    distinct = """async () => {
      const seen = new Set();
      for (let i = 0; i < 30; i += 1) {
        await new Promise(requestAnimationFrame);
        seen.add(document.querySelector('canvas').toDataURL());
      }
      return seen.size;
    }"""
    assert await page.evaluate(distinct) <= 3
    before = await page.evaluate(PICTURES)
    await page.wait_for_function(ALL_MOVED, arg=before)


async def test_what_is_seen_is_also_said(ward: FakeWard, visit: Open) -> None:
    page = await visit(ward)
    await see_signals(page)
    await expect(page.get_by_role("img", name="ECG of Bed 3, lead MLII")).to_have_count(1)
    await expect(page.get_by_role("status").filter(has_text="Live")).to_have_count(1)
    assert await page.locator("#alerts").get_attribute("aria-live") == "polite"
    assert await page.locator(".rate[aria-live], .rate [aria-live]").count() == 0
    for landmark in ("banner", "main", "contentinfo"):
        await expect(page.get_by_role(landmark, exact=True)).to_have_count(1)
    assert await page.locator("h1").count() == 1
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the traces")).to_be_focused()
