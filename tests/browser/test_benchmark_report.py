"""The benchmarks' report in a browser: drawn, accessible, no wider than the screen, and harmless."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from made_up_run import CATALOGUE, made_up_run
from playwright.async_api import Browser, Page
from status_visitor import AXE, CHECK, POLICY

from benchmarks.reports.page import page as report_page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Pixels of the canvas that something was drawn on.
INK = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let seen = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at] > 0) seen += 1;
  return seen;
}"""


@pytest.fixture(scope="module")
def axe(require_tool: Callable[[bool, str], None]) -> None:
    require_tool(AXE.exists(), "axe-core (npm ci in tests/js)")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(report_page(made_up_run(), CATALOGUE))
    return path


@asynccontextmanager
async def opened(browser: Browser, report: Path, width: int, scheme: Any = "light") -> AsyncIterator[Page]:
    """The page, drawn; that the browser complains of nothing is checked at the end."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = await context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    await page.add_init_script(POLICY)
    await page.goto(report.as_uri())
    await page.wait_for_function("() => document.documentElement.dataset.drawn")
    yield page
    assert await page.evaluate("() => window.reports") == []
    assert await page.evaluate("() => window.hurt ?? null") is None
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    await context.close()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_it_is_accessible_and_no_wider_than_the_screen(
    browser: Browser, report: Path, axe: None, width: int, scheme: Any
) -> None:
    async with opened(browser, report, width, scheme) as page:
        wider = "() => document.documentElement.scrollWidth - innerWidth"
        assert await page.evaluate(wider) <= 0
        await page.locator("details").evaluate_all("(all) => all.forEach((one) => (one.open = true))")
        assert await page.evaluate(wider) <= 0
        # By evaluation: the page's own policy forbids an injected element.
        await page.evaluate(AXE.read_text())
        assert await page.evaluate(CHECK) == []


async def test_lines_are_drawn_and_bars_are_as_long_as_their_values(browser: Browser, report: Path) -> None:
    async with opened(browser, report, 1280) as page:
        canvases = page.locator("canvas")
        assert await canvases.count() == 2
        for place in range(2):
            assert await canvases.nth(place).evaluate(INK) > 2_000
        bars = page.get_by_role("img", name="Fan-out to 10,000, as bars").locator(".bar")
        widths = [await bars.nth(place).evaluate("(bar) => bar.getBBox().width") for place in (0, 5)]
        assert widths[1] / widths[0] == pytest.approx(31 / 226, rel=0.01)


async def test_every_chart_has_a_table_with_its_numbers(browser: Browser, report: Path) -> None:
    async with opened(browser, report, 390) as page:
        for title, numbers in (
            ("Growth of one broadcast, 200 B, one at a time", ["226,000210,180 to 237,300"]),
            ("Latency to the last receiver by load", ["1,870", "–"]),
            ("Fan-out to 10,000", ["12.511.6 to 13.1"]),
        ):
            figure = page.get_by_role("figure", name=title)
            await figure.locator("summary").click()
            cells = await figure.get_by_role("cell").all_text_contents()
            assert set(numbers) <= set(cells)


async def test_many_figures_are_folded_and_few_are_not(browser: Browser, report: Path) -> None:
    async with opened(browser, report, 1280) as page:
        assert await page.get_by_role("region", name="Figures of fanout").is_visible()
        folded = page.get_by_role("region", name="Figures of peers", include_hidden=True)
        assert await folded.is_hidden()
        await page.get_by_text("All 15 figures").click()
        assert await folded.is_visible()


async def test_the_legend_tells_the_numbers_under_the_pointer(browser: Browser, report: Path) -> None:
    async with opened(browser, report, 1280) as page:
        chart = page.get_by_role("img", name="Growth of one broadcast")
        await chart.scroll_into_view_if_needed()
        box = await chart.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] - 24, box["y"] + box["height"] / 2)
        legend = page.get_by_role("figure", name="Growth of one broadcast").locator(".legend li")
        assert await legend.all_text_contents() == [
            "this server 219,000", "C loop of send 233,000", "await ws.send_str 149,000",
        ]  # fmt: skip


async def test_on_paper_it_is_light_and_shows_all_numbers(browser: Browser, report: Path) -> None:
    async with opened(browser, report, 1280, "dark") as page:
        await page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
        assert await page.evaluate("() => getComputedStyle(document.body).color") == "rgb(21, 32, 43)"
        assert await page.locator("details:not([open])").count() == 0
        await page.wait_for_function("() => document.querySelector('.u-wrap').offsetWidth === 640")
        await page.evaluate("() => dispatchEvent(new Event('afterprint'))")
        assert await page.locator("details[open]").count() == 0
