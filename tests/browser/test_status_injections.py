"""What clients, publishers and operators choose is text on the status page, and nothing else."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from injections import INJECTIONS, WATCHED
from operator_accounts import OPERATOR
from playwright.async_api import Browser
from status_visitor import SCREENS, StatusVisitor
from status_ward import StatusWard

from wsserver.errors import ServerError

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SHAPE = """() => [...new Set([...document.querySelectorAll('main *')]
  .map((element) => `${element.localName} ${element.getAttributeNames().sort()}`))].sort()"""
MARKUP = ("script", "iframe", "object", "embed", "img", "style", "math", "base", "meta", "link", "template")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def ward() -> AsyncIterator[StatusWard]:
    server = StatusWard()
    await server.start(3)
    yield server
    await server.stop()


async def fill(ward: StatusWard) -> str:
    """Put every text wherever somebody else can put one; returns the connection that did the most."""
    service, manager = ward.service, ward.manager
    client = await ward.join("mallory", "doctor", agent="<script>hit()</script>")
    mallory = next(one for one, data in manager.connections.items() if data.user_id == "mallory")
    for number, text in enumerate(INJECTIONS):
        # Filters: as values, and as the names of fields.
        short = text.replace("\x00", "")[:250]
        for filters in ({"note": short}, {short.replace(".", "_"): 1}):
            topic = f"patient:{number}"
            await client.send_json({"type": "subscribe", "topic": topic, "filters": filters})
        service.alerts.notify(f"alert{number}", {"what": text, text[:50]: number})
        try:
            manager.broadcast_to_patient(number, {"type": text[:100], "note": text, "patient_id": number})
        except ServerError:
            manager.broadcast_to_patient(number, {"type": "note", "note": text})
        service.audit.note(
            "subscribe", actor=text[:120], role=text[:60], right=text[:120], details={"x": text}
        )
        manager.subscription_manager.history.note("hint", connection_id=mallory, detail=text)
    for text in INJECTIONS[:5]:
        other = await ward.join("goner", "doctor", "patient:1")
        gone = next(one for one, data in manager.connections.items() if data.user_id == "goner")
        manager.disconnect(gone, text[:100])
        async for _ in other:
            pass
    return mallory


async def test_nothing_that_others_chose_runs(browser: Browser, ward: StatusWard) -> None:
    visitor = await StatusVisitor.arrive(browser, ward)
    page = visitor.page
    await page.add_init_script(WATCHED)
    page.on("dialog", lambda dialog: visitor.complaints.append(f"dialog {dialog.message}"))
    page.on("popup", lambda opened: visitor.complaints.append(f"opened {opened.url}"))
    page.on("request", lambda asked: "/hit" in asked.url and visitor.complaints.append(asked.url))
    await visitor.enter()
    mallory = await fill(ward)
    for place in (*SCREENS, f"connections/{mallory}"):
        await visitor.go(place)
        for name in MARKUP:
            assert await page.locator(f"main {name}").count() == 0, (place, name)
        attributes = " ".join(await page.evaluate(SHAPE))
        assert " on" not in attributes
        assert ",on" not in attributes
        assert "srcdoc" not in attributes
    await visitor.go("events")
    text = str(await page.locator("main").text_content())
    assert "<script>hit()</script>" in text
    await visitor.go("alerts")
    assert "<img src=x onerror=hit()>" in str(await page.locator("main").text_content())
    await visitor.go("system")
    await page.get_by_label("Show ids").check()
    await page.get_by_role("table", name="Audit records").get_by_text("<svg onload=hit()>").first.wait_for()
    # What the person types comes back as well.
    await visitor.go("subscriptions")
    for text in INJECTIONS[:4]:
        await page.get_by_role("textbox", name="Topic").fill(text)
        await page.get_by_role("button", name="Who would get it?").click()
        told = page.get_by_label("Filter tester").locator(".fault:not(:empty), .verdict")
        await told.first.wait_for()
    for place in ("connections/<img src=x onerror=hit()>", "connections?q=<script>hit()</script>"):
        await page.evaluate("(place) => { location.hash = `#/${place}`; }", place)
    await page.wait_for_timeout(500)
    assert await page.evaluate("hits") == []
    assert page.url.startswith(ward.url)
    visitor.complaints = [line for line in visitor.complaints if " 404 " not in line and " 400 " not in line]
    await visitor.leave()


async def test_traced_messages_are_text_too(browser: Browser, ward: StatusWard) -> None:
    visitor = await StatusVisitor.arrive(browser, ward)
    page = visitor.page
    await page.add_init_script(WATCHED)
    await visitor.enter(OPERATOR)
    await visitor.go("trace")
    await page.get_by_label("Messages by").select_option("topic")
    await page.get_by_label("That is", exact=True).fill("patient:77")
    await page.get_by_label("At most, messages").fill("30")
    await page.get_by_role("button", name="Arm").click()
    await page.get_by_text("The trace is armed.").wait_for()
    taken = 0
    for text in INJECTIONS:
        try:
            ward.manager.broadcast_to_patient(77, {"type": text[:100], "note": text})
            taken += 1
        except ServerError:
            continue
    assert taken > 10
    await page.get_by_label("Traced messages").locator("li.verdict").nth(taken - 1).wait_for()
    for name in MARKUP:
        assert await page.locator(f"main {name}").count() == 0, name
    assert await page.evaluate("hits") == []
    await visitor.leave()
