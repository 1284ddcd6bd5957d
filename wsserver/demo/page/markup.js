// @ts-check
/** The page's own elements, and what others said made into text for them. Nothing here writes markup. */

/** Longer texts are cut: a wall of letters hides what stands beside it. */
const MOST_CHARACTERS = 2_000;

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);
/** A copy of what a template holds. @param {string} id @returns {any} */
export const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);
/** @param {Element} use @param {string} name of a symbol of this page */
export const setIcon = (use, name) => use.setAttribute("href", `#icon-${name}`);

/**
 * Whatever a publisher sent, as text. `String` would not do: it calls the members `toString` and `valueOf` of
 * an object, which a message may have, as values that cannot be called.
 *
 * @param {unknown} value
 */
export function textOf(value) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** Put a time of the day into a `<time>`. @param {any} stamp @param {Date} when */
export function showTime(stamp, when) {
  stamp.textContent = when.toLocaleTimeString();
  stamp.dateTime = when.toISOString();
  stamp.title = when.toISOString();
}
