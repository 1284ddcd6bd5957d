// @ts-check
/** Elements, and what others said made into text in them. Nothing on this page writes markup. */

/** Longer texts are cut: a wall of letters hides what stands beside it. */
const MOST_CHARACTERS = 2_000;
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. Attributes with `on` before them are listeners; `true` is an attribute without a value, `false`,
 * null and undefined are none.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, any> | null} [attributes]
 * @param {...(Child | Child[])} children strings become text
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** @param {(Child | Child[])[]} children @returns {(Node | string)[]} */
function nodes(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : textOf(child)));
}

/** Put other children into an element. @param {Element} element @param {...(Child | Child[])} children */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/** Another text, and no work for the browser if it is the same. @param {Element} element @param {unknown} text */
export function say(element, text) {
  const words = textOf(text);
  if (element.textContent !== words) element.textContent = words;
}

/** A symbol of the document; says nothing to a screen reader. @param {string} name */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  picture.append(use);
  return picture;
}

/** Another symbol for the one in an element. @param {Element} holder @param {string} name */
export function setIcon(holder, name) {
  holder.querySelector("use")?.setAttribute("href", `#icon-${name}`);
}

/**
 * Whatever somebody sent, as text. `String` would not do: it calls the members `toString` and `valueOf` of an
 * object, which a message may have, as values that cannot be called.
 *
 * @param {unknown} value
 */
export function textOf(value) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** The product's mark and name. */
export const brand = () => el("div", { class: "brand" }, icon("brand"), el("span", null, "wsserver"));

/** A button. @param {string} text @param {() => void} onclick @param {{icon?: string, kind?: string, title?: string}} [look] */
export function button(text, onclick, look = {}) {
  const attributes = { type: "button", class: `button ${look.kind ?? ""}`, title: look.title, onclick };
  return el("button", attributes, look.icon ? icon(look.icon) : null, el("span", null, text));
}

/** State by icon, word and colour. @param {"ok" | "warn" | "bad" | "info" | "calm"} tone @param {string} word @param {string} [symbol] */
export function badge(tone, word, symbol) {
  const symbols = { ok: "ok", warn: "alert", bad: "critical", info: "info", calm: "" };
  const name = symbol ?? symbols[tone];
  return el("span", { class: `badge ${tone}` }, name ? icon(name) : null, el("span", null, word));
}

/** A labelled input. @param {string} label @param {HTMLElement} input @param {string} [hint] */
export function field(label, input, hint) {
  return el("label", { class: "field" }, el("span", { class: "label" }, label), input, hint ? el("span", { class: "hint" }, hint) : null);
}

/** A choice. @param {Record<string, any>} attributes @param {Record<string, string>} options values and what they are called */
export function choice(attributes, options) {
  return el("select", attributes, Object.entries(options).map(([value, text]) => el("option", { value }, text)));
}

/** A titled part of a screen. @param {string} title @param {Child} remark beside the title @param {...Child} content */
export function card(title, remark, ...content) {
  return el("section", { class: "card", "aria-label": title }, el("header", null, el("h2", null, title), remark), content);
}

/** What things are called and how they are; written into the same elements again. @param {HTMLElement} list a `dl` @param {Record<string, Child>} facts */
export function tell(list, facts) {
  const names = Object.keys(facts);
  if (list.children.length !== names.length) fill(list, names.map((name) => el("div", null, el("dt", null, name), el("dd"))));
  Object.values(facts).forEach((value, place) => {
    const shown = /** @type {Element} */ (list.children[place].lastElementChild);
    if (value instanceof Node) fill(shown, value);
    else say(shown, value ?? "–");
  });
}

/** A time with its whole value in UTC behind it. @param {string} at @param {(when: string) => string} format */
export const moment = (at, format) => el("time", { datetime: at, title: at }, format(at));

/** @param {string} text */
export const mono = (text) => el("span", { class: "mono" }, text);

/** A form that is answered on this page. @param {() => void} act @param {string} kind @param {...Child} content */
export function form(act, kind, ...content) {
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    act();
  };
  return el("form", { class: kind, onsubmit: submit }, content);
}

/** An input for ids and other words that no dictionary knows. @param {Record<string, any>} [attributes] */
export const wordInput = (attributes = {}) => el("input", { spellcheck: "false", autocapitalize: "off", autocomplete: "off", ...attributes });
