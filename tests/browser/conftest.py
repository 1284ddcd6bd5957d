"""A real browser for the pages, started once. Without Chromium these tests skip; with CI=true they fail."""

from collections.abc import AsyncIterator, Callable

import pytest_asyncio
from chromium import ARGUMENTS, CHROMIUM
from playwright.async_api import Browser, async_playwright


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(require_tool: Callable[[bool, str], None]) -> AsyncIterator[Browser]:
    require_tool(CHROMIUM.exists(), f"Chromium ({CHROMIUM}, by apt install chromium)")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        await chromium.close()
