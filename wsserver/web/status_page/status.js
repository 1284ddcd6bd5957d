// @ts-check
import { Api } from "./api.js";
import { closeAll } from "./dialogs.js";
import { el, fill } from "./dom.js";
import { LiveFeed } from "./live-feed.js";
import { Masthead } from "./masthead.js";
import { Notices } from "./notices.js";
import { AlertsScreen } from "./alerts-screen.js";
import { ConnectionsScreen } from "./connections-screen.js";
import { EventsScreen } from "./events-screen.js";
import { OverviewScreen } from "./overview-screen.js";
import { SlowScreen } from "./slow-screen.js";
import { SubscriptionsScreen } from "./subscriptions-screen.js";
import { SystemScreen } from "./system-screen.js";
import { TraceScreen } from "./trace-screen.js";
import { TryScreen } from "./try-screen.js";
import { failed } from "./placeholder.js";
import { Router } from "./router.js";
import { Series } from "./series.js";
import { Session } from "./session.js";
import { Shortcuts } from "./shortcuts.js";
import { refusal, signIn } from "./sign-in.js";
import { ThemeChoice } from "./theme.js";
/** @import {App, Screen} from "./app.js" */

/** @type {Record<string, {title: string, key: string, screen: new (app: App) => Screen}>} */
const SCREENS = {
  overview: { title: "Overview", key: "o", screen: OverviewScreen },
  connections: { title: "Connections", key: "c", screen: ConnectionsScreen },
  subscriptions: { title: "Subscriptions", key: "s", screen: SubscriptionsScreen },
  slow: { title: "Slow consumers", key: "w", screen: SlowScreen },
  alerts: { title: "Alerts", key: "a", screen: AlertsScreen },
  events: { title: "Events", key: "e", screen: EventsScreen },
  trace: { title: "Message trace", key: "m", screen: TraceScreen },
  system: { title: "System", key: "y", screen: SystemScreen },
  try: { title: "Try it", key: "t", screen: TryScreen },
};

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
const session = new Session();
const api = new Api(session);
const router = new Router(Object.keys(SCREENS));
const theme = new ThemeChoice();
const shortcuts = new Shortcuts();
const notices = new Notices();
document.body.append(notices.element);

/** What there is while somebody is signed in. */
class Desk {
  #feed = new LiveFeed(session);
  #series = new Series(session);
  #main = el("main", { id: "main", tabindex: -1 });
  #masthead;
  #place = "";
  /** @type {Screen | null} */
  #screen = null;
  #left = new AbortController();
  #closed = new AbortController();

  constructor() {
    const tabs = Object.entries(SCREENS).map(([screen, { title }]) => ({ screen, title, href: Router.href(screen) }));
    const act = { theme: () => theme.next(), help: () => shortcuts.help(), signOut: () => session.signOut().catch((error) => notices.failed(error)) };
    this.#masthead = new Masthead({ feed: this.#feed, who: session, tabs, act });
    this.#feed.watch("overview", (overview) => {
      this.#masthead.show(overview);
      this.#series.append({ at: overview.point_at, values: overview.point });
    });
    router.addEventListener("moved", () => this.#move(), { signal: this.#closed.signal });
    shortcuts.set([
      ...Object.entries(SCREENS).map(([screen, { title, key }]) => ({ keys: `g ${key}`, what: title, act: () => router.go(Router.href(screen)) })),
      { keys: "/", what: "To the first field", act: () => /** @type {HTMLElement | null} */ (this.#main.querySelector("input, textarea"))?.focus() },
      { keys: "p", what: "Pause or resume updates", act: () => (this.#feed.paused = !this.#feed.paused) },
      { keys: "d", what: "Light, dark or as the system", act: act.theme },
      { keys: "?", what: "This list", act: act.help },
    ]);
    fill(page, this.#masthead.element, this.#main);
    this.#feed.start();
    this.#series.load();
    this.#move();
  }

  close() {
    this.#closed.abort();
    this.#left.abort();
    this.#feed.stop();
    shortcuts.set([]);
    closeAll();
  }

  #move() {
    const { place } = router;
    const { title, screen: Wanted } = SCREENS[place.screen];
    document.title = `${title} · wsserver`;
    if (this.#place !== place.screen || this.#screen === null) {
      const moved = this.#place !== "";
      this.#left.abort();
      this.#left = new AbortController();
      this.#place = place.screen;
      this.#screen = new Wanted({ api, session, feed: this.#feed, series: this.#series, router, notices, theme, left: this.#left.signal });
      fill(this.#main, this.#screen.element);
      this.#masthead.select(place.screen);
      scrollTo(0, 0);
      // For those who hear the page: the new screen begins here.
      if (moved) this.#main.focus({ preventScroll: true });
    }
    this.#screen.show(place);
  }
}

/** @type {Desk | null} */
let desk = null;

/** @param {boolean} [isKnown] came with a cookie, and did not have to sign in */
function enter(isKnown = false) {
  desk = new Desk();
  // The form that had the focus is gone.
  if (!isKnown) document.getElementById("main")?.focus({ preventScroll: true });
}

/** @param {string} [told] */
function leave(told) {
  desk?.close();
  desk = null;
  document.title = "Sign in · wsserver";
  fill(page, signIn(session, enter, told));
}

session.addEventListener("ended", () => leave("You are signed out."));

/** A key that stands in the address once, from the terminal of a developer: used, and gone. */
function takeKey() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key !== null) history.replaceState(null, "", location.pathname + location.search);
  return key;
}

async function begin() {
  const key = takeKey();
  try {
    if (key !== null) {
      await session.signIn({ key });
      return enter();
    }
    if (await session.resume()) return enter(true);
    leave();
  } catch (error) {
    if (key !== null) leave(refusal(error));
    else fill(page, failed(error, begin));
  }
}

begin();
