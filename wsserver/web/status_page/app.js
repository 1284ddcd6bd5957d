// @ts-check
/** What the screens share, in one place for the type checker. */

/**
 * @typedef {object} App
 * @property {import("./api.js").Api} api
 * @property {import("./session.js").Session} session
 * @property {import("./live-feed.js").LiveFeed} feed
 * @property {import("./series.js").Series} series
 * @property {import("./router.js").Router} router
 * @property {import("./notices.js").Notices} notices
 * @property {import("./theme.js").ThemeChoice} theme
 * @property {AbortSignal} left aborted when the screen is left: requests, listeners and timers end with it
 */

/**
 * @typedef {object} Screen
 * @property {HTMLElement} element
 * @property {(place: import("./router.js").Place) => void} show called at first, and when the address changes within the screen
 */

/** Do something now and every few seconds until the screen is left; a pause holds it up. @param {App} app @param {number} milliseconds @param {() => void} act */
export function repeat(app, milliseconds, act) {
  const timer = setInterval(() => {
    if (!app.feed.paused && document.visibilityState === "visible") act();
  }, milliseconds);
  app.left.addEventListener("abort", () => clearInterval(timer));
  act();
}

/** Watch a panel until the screen is left. @param {App} app @param {string} panel @param {(data: any) => void} listener */
export function watch(app, panel, listener) {
  app.left.addEventListener("abort", app.feed.watch(panel, listener));
}
