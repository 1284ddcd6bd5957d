// @ts-check

/** @typedef {{screen: string, id: string, query: Record<string, string>}} Place */

/** Where the page is: `#/connections/c_1?sort=-pending`. */
export class Router extends EventTarget {
  #screens;

  /** @param {string[]} screens the first one is shown where the address names none */
  constructor(screens) {
    super();
    this.#screens = screens;
    addEventListener("hashchange", () => this.dispatchEvent(new Event("moved")));
  }

  /** @returns {Place} */
  get place() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
    const [name, ...rest] = path.split("/");
    const screen = this.#screens.includes(name) ? name : this.#screens[0];
    return { screen, id: decoded(rest.join("/")), query: Object.fromEntries(new URLSearchParams(query ?? "")) };
  }

  /** @param {string} screen @param {string} [id] @param {Record<string, string | undefined>} [query] what is empty is left out */
  static href(screen, id = "", query = {}) {
    const wanted = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const asked = new URLSearchParams(/** @type {[string, string][]} */ (wanted)).toString();
    return `#/${screen}${id && `/${encodeURIComponent(id)}`}${asked && `?${asked}`}`;
  }

  /** @param {string} href */
  go(href) {
    location.hash = href;
  }

  /** Another address for what is shown already. @param {string} href */
  rename(href) {
    history.replaceState(null, "", href);
  }
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
