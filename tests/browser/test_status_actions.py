"""What people do at the status page: come in, look into things, act, and leave; by keyboard as well."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from operator_accounts import OPERATOR
from playwright.async_api import Browser, expect
from status_visitor import StatusVisitor
from status_ward import StatusWard

from wsserver.web.app import LIVE

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

expect.set_options(timeout=20_000)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def ward() -> AsyncIterator[StatusWard]:
    server = StatusWard()
    await server.start(10)
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, ward: StatusWard) -> AsyncIterator[StatusVisitor]:
    person = await StatusVisitor.arrive(browser, ward)
    yield person
    await person.leave()


async def test_a_wrong_password_is_told_and_forgotten(visitor: StatusVisitor) -> None:
    await visitor.sign_in(password="not-the-one")
    await expect(visitor.page.get_by_role("alert")).to_have_text("This does not match any operator.")
    assert await visitor.page.get_by_label("Password").input_value() == ""
    refused = [line for line in visitor.complaints if "401" in line]
    assert refused == visitor.complaints
    # The browser's own line about the answer, which no page can keep from the console.
    visitor.complaints.clear()


async def test_a_token_signs_in_as_viewer(visitor: StatusVisitor, ward: StatusWard) -> None:
    await visitor.page.goto(ward.url)
    await visitor.page.get_by_role("button", name="Use a token instead").click()
    await visitor.page.get_by_label("Token").fill(ward.token("machine", scopes=("admin:read",)))
    await visitor.page.get_by_role("button", name="Sign in").click()
    await visitor.live()
    await expect(visitor.page.locator(".who")).to_contain_text("viewer")


async def test_a_key_in_the_address_is_used_once_and_gone(visitor: StatusVisitor, ward: StatusWard) -> None:
    await visitor.page.goto(f"{ward.url}#key=unknown-key")
    await visitor.page.get_by_role("alert").wait_for()
    assert visitor.page.url == ward.url
    visitor.complaints.clear()


async def test_who_is_signed_out_elsewhere_comes_back_to_the_same_screen(
    visitor: StatusVisitor, ward: StatusWard
) -> None:
    await visitor.enter()
    await visitor.go("connections")
    # The cookie alone is not enough to stay: the server has forgotten it.
    (cookie,) = await visitor.page.context.cookies()
    sessions = ward.service.sign_in.sessions
    session = sessions.find(cookie["value"])
    assert session is not None
    sessions.end(session)
    await expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert visitor.page.url.endswith("#/connections")
    visitor.complaints.clear()
    await visitor.page.get_by_label("Name").fill(OPERATOR)
    await visitor.page.get_by_label("Password").fill("ward-round-at-seven")
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.page.get_by_role("heading", name="Connections")).to_be_visible()


async def test_an_operator_ends_a_connection_after_a_question(
    visitor: StatusVisitor, ward: StatusWard
) -> None:
    client = await ward.join("leaver", "doctor", "patient:1")
    connection = next(one for one, data in ward.manager.connections.items() if data.user_id == "leaver")
    await visitor.enter()
    await visitor.go(f"connections/{connection}")
    page = visitor.page
    await expect(page.get_by_role("table", name="Subscriptions of this connection")).to_contain_text(
        "patient"
    )
    await page.get_by_role("button", name="Disconnect").click()
    await page.get_by_role("button", name="Cancel").click()
    assert connection in ward.manager.connections
    await page.get_by_role("button", name="Disconnect").click()
    await page.get_by_label("Reason, which the client is told").fill("see you")
    await page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    await expect(page.get_by_text("The connection is being closed.")).to_be_visible()
    async for _ in client:
        pass
    assert client.close_code == 4523
    await expect(page.locator(".title").get_by_text("ended")).to_be_visible()
    visitor.complaints.clear()


async def test_drain_and_emergency_want_a_word_typed(visitor: StatusVisitor, ward: StatusWard) -> None:
    await visitor.enter()
    await visitor.go("system")
    page = visitor.page
    await page.get_by_role("button", name="Emergency…").click()
    declare = page.get_by_role("button", name="Declare")
    await expect(declare).to_be_disabled()
    await page.get_by_label("Type emergency to go on").fill("emergenc")
    await expect(declare).to_be_disabled()
    assert not ward.service.overload.active
    await page.get_by_label("Type emergency to go on").fill("emergency")
    await declare.click()
    await page.get_by_role("button", name="End the emergency").click()
    await expect(page.get_by_role("button", name="Emergency…")).to_be_visible()
    assert not ward.service.overload.active
    actions = [record.action for record in ward.service.audit.latest(10)]
    assert actions.count("emergency") == 2
    await page.get_by_role("button", name="Drain…").click()
    await expect(page.get_by_role("dialog").get_by_role("button", name="Drain")).to_be_disabled()
    await page.keyboard.press("Escape")
    assert ward.service.departure is None


async def test_the_filter_tester_says_which_clause_fails(visitor: StatusVisitor) -> None:
    await visitor.enter()
    await visitor.go("subscriptions")
    page = visitor.page
    message = page.get_by_label("Message, as JSON")
    await message.fill("{")
    await page.get_by_role("button", name="Who would get it?").click()
    await expect(page.get_by_text("This is no JSON")).to_be_visible()
    await message.fill(json.dumps({"type": "vitals", "heart_rate": 61}))
    await page.get_by_role("textbox", name="Topic").fill("patient:1")
    await page.get_by_role("button", name="Who would get it?").click()
    await expect(page.get_by_text("heart_rate is 61, wanted > 90")).to_be_visible()
    await expect(page.get_by_text("its filter does not match")).to_be_visible()


async def test_why_a_connection_did_not_get_a_message(visitor: StatusVisitor, ward: StatusWard) -> None:
    report = ward.manager.broadcast_to_patient(1, {"type": "vitals", "heart_rate": 61})
    filtered = next(one for one, data in ward.manager.connections.items() if data.user_id == "staff1")
    await visitor.enter()
    await visitor.go("trace")
    page = visitor.page
    await page.get_by_role("textbox", name="Message id").fill(report.message_id)
    await page.get_by_label("Whom it was for").fill(filtered)
    await page.get_by_role("button", name="Explain").click()
    await expect(page.get_by_label("Why did they not get it?")).to_contain_text("its filter does not match")
    await expect(page.get_by_label("Why did they not get it?")).to_contain_text("filter of each subscription")


async def test_a_trace_shows_the_stages_of_the_next_messages(
    visitor: StatusVisitor, ward: StatusWard
) -> None:
    await visitor.enter()
    await visitor.go("trace")
    page = visitor.page
    await page.get_by_label("That is", exact=True).fill("vitals")
    await page.get_by_label("At most, messages").fill("2")
    await page.get_by_role("button", name="Arm").click()
    messages = page.get_by_label("Traced messages")
    await expect(messages.locator("li.verdict")).to_have_count(2)
    for stage in ("received", "validated", "matched", "queued", "written"):
        await expect(messages.locator(".stages").first).to_contain_text(stage)


async def test_a_pause_holds_the_figures_and_a_loss_is_told(visitor: StatusVisitor, ward: StatusWard) -> None:
    await visitor.enter()
    await visitor.go("overview")
    page = visitor.page
    await page.keyboard.press("p")
    await expect(page.get_by_text("Updates are paused")).to_be_visible()
    before = await page.locator(".masthead .facts").text_content()
    await page.wait_for_timeout(1_500)
    assert await page.locator(".masthead .facts").text_content() == before
    await page.get_by_role("button", name="Resume").click()
    await page.wait_for_function(
        "(before) => document.querySelector('.masthead .facts').textContent !== before", arg=before
    )
    # What stops coming is marked: the feed is held up for longer than a page waits.
    feed = ward.app[LIVE].feed
    real, feed.tick = feed.tick, lambda *_: None
    try:
        await expect(page.get_by_text("No news from the server.")).to_be_visible()
        # And nothing says in green that all is well.
        await expect(page.locator(".masthead .badge").first).to_have_text("Unknown")
    finally:
        feed.tick = real
    await visitor.live()
    await expect(page.locator(".masthead .badge").first).to_have_text("Accepting")


async def test_everything_is_reached_by_the_keyboard(visitor: StatusVisitor) -> None:
    page = visitor.page
    await visitor.page.goto(visitor.ward.url)
    await page.get_by_label("Name").wait_for()
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type(OPERATOR)
    await page.keyboard.press("Tab")
    await page.keyboard.type("ward-round-at-seven")
    await page.keyboard.press("Enter")
    await visitor.live()
    await expect(page.locator("main")).to_be_focused()
    await page.reload()
    await visitor.live()
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    for keys, title in (
        ("gc", "Connections"),
        ("gs", "Subscriptions"),
        ("gy", "System"),
        ("gm", "Message trace"),
    ):
        for key in keys:
            await page.keyboard.press(key)
        await expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    # Behind a dialog they rest.
    await page.keyboard.press("g")
    await page.keyboard.press("o")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    for key in "gc":
        await page.keyboard.press(key)
    await page.get_by_role("table", name="Connections").wait_for()
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("() => document.activeElement.closest('tbody') !== null"):
            break
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="All connections")).to_be_visible()


async def test_signing_out_leaves_nothing_behind(visitor: StatusVisitor) -> None:
    await visitor.enter()
    await visitor.page.get_by_role("button", name="Sign out").click()
    await expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await visitor.page.context.cookies() == []
    assert await visitor.page.evaluate("() => Object.keys(localStorage).length") == 0
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_a_client_of_this_server_in_the_page_itself(visitor: StatusVisitor) -> None:
    await visitor.enter()
    await visitor.go("try")
    page = visitor.page
    await page.get_by_role("button", name="Take a demo token").click()
    await expect(page.get_by_label("Topics")).to_have_value("patient:demo-1")
    await page.get_by_role("button", name="Connect", exact=True).click()
    await expect(page.locator(".log li").first).to_contain_text("patient:demo-1")
    await page.get_by_role("button", name="Disconnect").click()
