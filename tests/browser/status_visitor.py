"""A person at the status page: signs in, goes about, and notes what the browser complains of."""

from pathlib import Path
from typing import Any

from operator_accounts import OPERATOR, PASSWORDS
from playwright.async_api import Browser, Page
from status_ward import StatusWard

AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"

SCREENS = ("overview", "connections", "subscriptions", "slow", "alerts", "events", "trace", "system", "try")

# What must be there before a screen counts as shown: its heading, and nothing that is still awaited.
SETTLED = """() => document.querySelector('main h1') && document.querySelectorAll('.loading').length === 0
  && document.querySelectorAll('.placeholder[role=alert]').length === 0"""

# Reported by the page itself, as the console does not have them all.
POLICY = """
window.reports = [];
addEventListener("securitypolicyviolation",
  (event) => reports.push(`${event.violatedDirective} ${event.blockedURI}`));
"""

CHECK = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, any }) =>
    html.slice(0, 160) + " " + (any[0]?.message ?? "")).join(" | ")}`);
}"""


class StatusVisitor:
    """One browser window with one page."""

    def __init__(self, page: Page, ward: StatusWard) -> None:
        self.page = page
        self.ward = ward
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @classmethod
    async def arrive(
        cls, browser: Browser, ward: StatusWard, width: int = 1280, **how: Any
    ) -> "StatusVisitor":
        context = await browser.new_context(viewport={"width": width, "height": 900}, **how)
        context.set_default_timeout(20_000)
        visitor = cls(await context.new_page(), ward)
        await visitor.page.add_init_script(POLICY)
        return visitor

    def _hear(self, line: Any) -> None:
        if line.type in ("error", "warning"):
            self.complaints.append(f"{line.text} {line.location.get('url', '')}")

    async def sign_in(self, name: str = OPERATOR, password: str | None = None) -> None:
        await self.page.goto(self.ward.url)
        await self.page.get_by_label("Name").fill(name)
        await self.page.get_by_label("Password").fill(PASSWORDS[name] if password is None else password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def enter(self, name: str = OPERATOR) -> None:
        """Sign in and wait for the first live figures."""
        await self.sign_in(name)
        await self.live()

    async def live(self) -> None:
        await self.page.wait_for_function("() => document.body.dataset.feed === 'live'")
        await self.page.wait_for_function("() => document.querySelector('.masthead .facts')?.textContent")

    async def go(self, place: str) -> None:
        """To a screen, until all that it asked for is there."""
        await self.page.evaluate("(place) => { location.hash = `#/${place}`; }", place)
        title = "main h1"
        await self.page.wait_for_selector(title)
        await self.page.wait_for_function(SETTLED)

    async def violations(self) -> list[str]:
        """What axe finds on the page as it is."""
        if not await self.page.evaluate("() => typeof axe === 'object'"):
            # By evaluation: the page's own policy forbids an injected element.
            await self.page.evaluate(AXE.read_text())
        found: list[str] = await self.page.evaluate(CHECK)
        return found

    async def too_wide(self) -> int:
        """By how many pixels the page itself would have to be scrolled sideways."""
        over: int = await self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        return max(0, over)

    async def leave(self) -> None:
        """Close the window; nothing may have gone wrong in it."""
        if "/ws/status" in self.page.url:
            assert await self.page.evaluate("() => window.reports ?? []") == []
        await self.page.context.close()
        assert self.complaints == []
