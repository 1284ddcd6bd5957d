"""Names, messages and errors that others choose are text on the demonstration's page, and nothing else."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from fake_ward import FakeWard
from injections import INJECTIONS, PROTOTYPE_TRICKS, SIGNATURE, WATCHED
from playwright.async_api import Browser, Page

from wsserver.demo.page import load_page
from wsserver.demo.ward import SimulatedPatient
from wsserver.web.client_files import CLIENT_FILES

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# How the elements that a selector finds are built; one line for all that are built the same.
SHAPES = """(selector) => {
  const word = (one) => `${one.localName} ${one.getAttributeNames().sort()}`;
  const shape = (item) => [item, ...item.querySelectorAll("*")].map(word).join("; ");
  return [...new Set([...document.querySelectorAll(selector)].map(shape))];
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def ward() -> AsyncIterator[FakeWard]:
    server = FakeWard()
    server.muted = True
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, ward: FakeWard) -> AsyncIterator[Page]:
    """A page on which nothing may run, open, be asked for or complain."""
    window = await browser.new_context(viewport={"width": 390, "height": 844})
    window.set_default_timeout(30_000)
    page = await window.new_page()
    wrong: list[str] = []
    asked: set[str] = set()

    async def dismiss(dialog: Any) -> None:
        wrong.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    page.on("popup", lambda opened: wrong.append(f"opened {opened.url}"))
    window.on("request", lambda request: asked.add(request.url))
    await page.add_init_script(WATCHED)
    yield page
    assert await page.evaluate("hits") == []
    assert await page.evaluate("({}).polluted === undefined && [].polluted === undefined")
    assert page.url == f"{ward.url}/demo"
    await window.close()
    assert wrong == []
    known = {*load_page(), *(f"/ws/client/{name}" for name in CLIENT_FILES), "/demo/config.json"}
    own = ward.url.removeprefix("http://")
    strangers = [
        url for url in asked if not url.startswith("data:image/svg+xml,%3Csvg xmlns=")
        and (urlsplit(url).netloc != own or urlsplit(url).path not in known)
    ]  # fmt: skip
    assert strangers == []


async def visit(page: Page, ward: FakeWard) -> None:
    await page.goto(f"{ward.url}/demo")
    await page.wait_for_function("() => document.getElementById('link').dataset.state === 'connected'")


def shown(text: str) -> str:
    return text if len(text) <= 2_000 else f"{text[:2_000]}…"


async def texts(page: Page, selector: str) -> list[str | None]:
    return await page.locator(selector).evaluate_all("(all) => all.map((one) => one.textContent)")


async def touch(page: Page) -> None:
    """What event handlers in the text would wait for; and no text may stretch the page."""
    for place in (".bed h3", "#alerts li", "#events li", "#codec", "#notice", "#ended .text"):
        if await page.locator(place).first.is_visible():
            await page.locator(place).first.hover()
            await page.locator(place).first.click()
            await page.keyboard.press("Tab")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_names_and_ids_of_patients(page: Page, ward: FakeWard) -> None:
    ward.patients = [SimulatedPatient(f"p{n}", text, 0) for n, text in enumerate(INJECTIONS)]
    ward.patients += [SimulatedPatient(text, "Bed", 0) for text in INJECTIONS]
    await visit(page, ward)
    labels = [shown(text) for text in INJECTIONS]
    assert await texts(page, ".bed h3") == labels + ["Bed"] * len(INJECTIONS)
    pictures = page.get_by_role("img")
    names = [await picture.get_attribute("aria-label") for picture in await pictures.all()]
    assert names[: len(labels)] == [f"ECG of {label}, lead MLII" for label in labels]
    ids = await page.locator(".bed").evaluate_all("(all) => all.map((one) => one.dataset.patient)")
    assert ids[len(labels) :] == list(INJECTIONS)
    # One bed is built as the other.
    assert len(await page.evaluate(SHAPES, ".bed")) == 1
    await touch(page)


async def test_every_field_of_messages(page: Page, ward: FakeWard) -> None:
    await visit(page, ward)
    before = await page.evaluate(SIGNATURE)
    for text in [*INJECTIONS, *PROTOTYPE_TRICKS]:
        for kind in ("ecg_data", "vitals"):
            odd = dict.fromkeys(
                ("patient_id", "data", "sampling_rate", "heart_rate", "timestamp", "severity"), text
            )
            await ward.publish({"type": kind, **odd}, "patient:demo-1")
        whole = {"type": "ecg_data", "sampling_rate": 360, "timestamp": text}
        await ward.publish({**whole, "data": [text] * 20}, "patient:demo-1")
        await ward.publish({**whole, "data": {"length": 3, "0": text}}, "patient:demo-1")
        await ward.publish(
            {"type": text, "message": text, text if isinstance(text, str) else "x": text}, "patient:demo-1"
        )
    for rate in (1e300, -1, 0.5, 1e9):
        await ward.publish({**whole, "sampling_rate": rate, "data": [1.0, 1e308, -1e308]}, "patient:demo-1")
    await ward.publish({"type": "vitals", "heart_rate": 61, "timestamp": "x"}, "patient:demo-1")
    await ward.publish({"type": "ecg_data", "sampling_rate": 360, "data": [0.0] * 360}, "patient:demo-1")
    # What comes after all that is shown as ever.
    await page.wait_for_function("() => document.querySelector('.rate strong').textContent === '61'")
    assert await page.evaluate(SIGNATURE) == before
    await touch(page)


async def test_alerts(page: Page, ward: FakeWard) -> None:
    await visit(page, ward)
    before = await page.evaluate(SIGNATURE)
    await ward.publish({"type": "alert", "severity": "info", "message": "plain"}, "patient:demo-1")
    await page.wait_for_function("() => document.querySelectorAll('#alerts > li').length === 1")
    shape = await page.evaluate(SHAPES, "#alerts > li")
    for kind in ("alert", "system_alert"):
        for text in INJECTIONS:
            odd = dict.fromkeys(("severity", "patient_id", "timestamp"), text)
            await ward.publish({"type": kind, **odd, "message": text}, "patient:demo-1")
        await page.wait_for_function(
            "(text) => document.querySelector('#alerts .text').textContent === text",
            arg=shown(INJECTIONS[-1]),
        )
        newest = await texts(page, "#alerts .text")
        assert newest[: len(INJECTIONS)] == [shown(text) for text in reversed(INJECTIONS)]
        assert set(await texts(page, "#alerts .bed-name")) == {"Bed 1"}
    for trick in PROTOTYPE_TRICKS:
        odd = dict.fromkeys(("severity", "patient_id", "timestamp"), trick)
        await ward.publish({"type": "alert", **odd, "message": trick}, "patient:demo-1")
    await page.wait_for_function(
        "() => document.querySelector('#alerts .text').textContent.startsWith('{\"toString\"')"
    )
    assert await page.evaluate(SHAPES, "#alerts > li") == shape
    await page.wait_for_function("() => document.querySelector('.bed').dataset.signal !== undefined")
    assert await page.evaluate(SIGNATURE) == before
    await touch(page)


async def test_errors_shutdowns_gaps_and_what_connected_says(page: Page, ward: FakeWard) -> None:
    await visit(page, ward)
    before = await page.evaluate(SIGNATURE)
    await ward.tell({"type": "gap", "log": "fake", "reason": "slow"})
    await page.wait_for_function("() => document.querySelectorAll('#events > li').length === 1")
    shape = await page.evaluate(SHAPES, "#events > li")
    for text in INJECTIONS:
        odd = dict.fromkeys(("name", "topic", "request_id", "details"), text)
        await ward.tell({"type": "error", "code": 1003, **odd, "message": text})
        await page.wait_for_function(
            "(text) => document.getElementById('notice').textContent === text", arg=shown(text)
        )
        await ward.tell({"type": "system_shutdown", "message": f"{text}!"})
        await page.wait_for_function(
            "(text) => document.getElementById('notice').textContent === text", arg=shown(f"{text}!")
        )
        await ward.tell({"type": "gap", "log": "fake", "topic": text, "reason": text})
        await ward.tell({"type": text, "message": text})
    await page.wait_for_function(
        "(count) => document.querySelectorAll('#events > li').length > count", arg=len(INJECTIONS)
    )
    assert (await texts(page, "#events .bed-name"))[: len(INJECTIONS)] == [
        shown(text) for text in reversed(INJECTIONS)
    ]
    assert await page.evaluate(SHAPES, "#events > li") == shape
    assert await page.evaluate(SIGNATURE) == before
    await touch(page)


@pytest.mark.parametrize("text", INJECTIONS[:8:3])
async def test_who_one_is_and_why_it_ended(page: Page, ward: FakeWard, text: str) -> None:
    ward.user, ward.role = text, text
    ward.welcome = {
        "protocol": text,
        "user_id": text,
        "role": text,
        "connection_id": text,
        "session_id": text,
    }
    await visit(page, ward)
    assert await texts(page, "#codec") == [text]
    await ward.close_all(4523, text)
    await page.wait_for_function("() => document.querySelector('#ended .text') !== null")
    assert text in str(await texts(page, "#ended .text"))
    assert await page.locator("#ended *").count() == 5
    await touch(page)
