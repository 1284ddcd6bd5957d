// @ts-check
import { button, el, field } from "./dom.js";

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text what happens, and to whom
 * @property {string} act the word on the button
 * @property {string} [typed] what has to be typed before the button works
 * @property {string} [reason] a label: asks for a reason as well
 * @property {string} [suggested] the reason that stands there at first
 * @property {boolean} [danger]
 */

/**
 * Ask before something is done.
 *
 * @param {Question} question
 * @returns {Promise<{reason: string} | null>} null: not done
 */
export function confirm({ title, text, act, typed, reason, suggested = "", danger = true }) {
  const typing = el("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  const why = el("input", { type: "text", maxlength: 200, value: suggested });
  const go = el("button", { type: "submit", class: `button ${danger ? "danger" : "main"}`, disabled: typed !== undefined }, act);
  typing.addEventListener("input", () => (go.disabled = typing.value !== typed));
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "question" }, title),
    el("p", null, text),
    reason === undefined ? null : field(reason, why),
    typed === undefined ? null : field(`Type ${typed} to go on`, typing),
    el("div", { class: "ends" }, button("Cancel", () => dialog.close()), go),
  );
  const dialog = el("dialog", { "aria-labelledby": "question" }, form);
  return new Promise((resolve) => {
    let done = false;
    form.addEventListener("submit", () => (done = true));
    opened(dialog, () => resolve(done ? { reason: why.value.trim() } : null));
  });
}

/** Show something until it is closed. @param {string} title @param {...Node} content */
export function show(title, ...content) {
  const close = button("Close", () => dialog.close(), { kind: "main" });
  const dialog = el(
    "dialog",
    { class: "broad", "aria-labelledby": "shown" },
    el("div", { class: "stack" }, el("h2", { id: "shown" }, title), ...content, el("div", { class: "ends" }, close)),
  );
  opened(dialog, () => {});
}

/** Whether one is open: shortcuts rest meanwhile. */
export const isOpen = () => document.querySelector("dialog[open]") !== null;

/** Close what is open, as when the session ends. */
export function closeAll() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/** @param {HTMLDialogElement} dialog @param {() => void} closed */
function opened(dialog, closed) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
}
