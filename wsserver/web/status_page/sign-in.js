// @ts-check
import { ApiError } from "./api.js";
import { brand, button, el, field } from "./dom.js";
/** @import {Session} from "./session.js" */

/**
 * The form before everything else. It knows nothing of the server: it is the same for everybody.
 *
 * @param {Session} session @param {() => void} entered @param {string} [told] why it is shown
 */
export function signIn(session, entered, told = "") {
  const name = el("input", { name: "name", autocomplete: "username", autocapitalize: "off", spellcheck: "false", required: true });
  const password = el("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const token = el("input", { name: "token", autocomplete: "off", spellcheck: "false" });
  const fault = el("p", { class: "fault", role: "alert" }, told);
  const go = el("button", { type: "submit", class: "button main" }, "Sign in");
  const byPassword = el("div", { class: "stack" }, field("Name", name), field("Password", password));
  const byToken = el("div", { hidden: true }, field("Token", token, "A JWT with the scope admin:read or admin:write"));
  const other = button("Use a token instead", () => turn(), { kind: "bare small" });

  function turn() {
    byPassword.hidden = !byPassword.hidden;
    byToken.hidden = !byToken.hidden;
    other.textContent = byToken.hidden ? "Use a token instead" : "Use name and password instead";
    name.required = password.required = byToken.hidden;
    token.required = !byToken.hidden;
    (byToken.hidden ? name : token).focus();
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    fault.textContent = "";
    try {
      await session.signIn(byToken.hidden ? { name: name.value.trim(), password: password.value } : { token: token.value.trim() });
      entered();
    } catch (error) {
      fault.textContent = refusal(error);
      go.disabled = false;
      password.value = "";
      (byToken.hidden ? password : token).focus();
    }
  }

  const form = el("form", { onsubmit: submit }, byPassword, byToken, fault, go, other);
  const card = el("div", { class: "card" }, brand(), el("h1", null, "Sign in"), el("p", { class: "lead" }, "Status and tools for operators"), form);
  setTimeout(() => name.focus());
  return el("main", { class: "door", id: "main" }, card);
}

/** @param {unknown} error */
export function refusal(error) {
  if (!(error instanceof ApiError)) return "Something went wrong on this page.";
  if (error.status === 401 || error.status === 403) return "This does not match any operator.";
  if (error.status === 429) {
    const wait = error.retryAfterMs ? ` Try again in ${Math.ceil(error.retryAfterMs / 1000)} s.` : "";
    return `Too many attempts.${wait}`;
  }
  return error.message;
}
