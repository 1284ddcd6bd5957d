// @ts-check
/** @import {EventSource, Page} from "./types.js" */

/**
 * What a page goes through, where there is a page: in a worker or in Node fewer of these events exist, or none.
 *
 * @typedef {object} LifecycleHandlers
 * @property {() => void} onOnline the network is back
 * @property {() => void} onOffline
 * @property {() => void} onVisible the page is seen again
 * @property {() => void} onHidden
 * @property {() => void} onSuspend the page is frozen, or goes to the back-forward cache
 * @property {() => void} onResume it is back from there
 * @property {() => void} onLeave the page goes, for good or not
 */

export class PageLifecycle {
  /** @type {(() => void)[]} */
  #detach = [];
  /** @type {Page} */ #page;

  /** @param {Page | null} [page] default the global object's */
  constructor(page) {
    const { document, navigator } = /** @type {any} */ (globalThis);
    this.#page = page ?? { window: globalThis, document, navigator };
  }

  /** False only if the page is known to have no network. */
  get isOnline() {
    return this.#page.navigator?.onLine !== false;
  }

  get isHidden() {
    return this.#page.document?.visibilityState === "hidden";
  }

  /** @param {LifecycleHandlers} handlers */
  attach(handlers) {
    this.detach();
    const { window, document } = this.#page;
    this.#listen(window, "online", () => handlers.onOnline());
    this.#listen(window, "offline", () => handlers.onOffline());
    this.#listen(window, "pagehide", (/** @type {any} */ event) => {
      handlers.onLeave();
      // Without `persisted` the page is not kept, and the browser closes the socket itself.
      if (event?.persisted) handlers.onSuspend();
    });
    this.#listen(window, "pageshow", (/** @type {any} */ event) => {
      if (event?.persisted) handlers.onResume();
    });
    this.#listen(document, "visibilitychange", () => (this.isHidden ? handlers.onHidden() : handlers.onVisible()));
    this.#listen(document, "freeze", () => {
      handlers.onLeave();
      handlers.onSuspend();
    });
    this.#listen(document, "resume", () => handlers.onResume());
  }

  detach() {
    for (const remove of this.#detach.splice(0)) remove();
  }

  /** @param {EventSource | undefined} target @param {string} type @param {(event: any) => void} listener */
  #listen(target, type, listener) {
    if (typeof target?.addEventListener !== "function") return;
    target.addEventListener(type, listener);
    this.#detach.push(() => target.removeEventListener?.(type, listener));
  }
}
