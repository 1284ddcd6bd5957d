// @ts-check
import { ApiError, address, call } from "./api.js";

/** Says that there may be a cookie to go on with; without it nobody is asked, and no refusal stands in the console. */
const KEPT = "wsserver-status-signed-in";

/** Who is signed in. The CSRF token is kept in memory only; the cookie is none of the page's business. */
export class Session extends EventTarget {
  name = "";
  /** @type {"viewer" | "operator"} */
  role = "viewer";
  /** @type {string | null} */
  csrf = null;

  /** Whether this person may change anything. */
  get canWrite() {
    return this.role === "operator";
  }

  get isOpen() {
    return this.csrf !== null;
  }

  /** Go on with the cookie that is there. @returns {Promise<boolean>} */
  async resume() {
    if (localStorage.getItem(KEPT) === null) return false;
    try {
      this.#begin(await call("GET", address("login")));
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        localStorage.removeItem(KEPT);
        return false;
      }
      throw error;
    }
  }

  /** @param {{name: string, password: string} | {token: string} | {key: string}} credentials rejected with ApiError */
  async signIn(credentials) {
    this.#begin(await call("POST", address("login"), credentials));
  }

  /** The server forgets the session; this page does in any case. */
  async signOut() {
    const csrf = this.csrf;
    try {
      await call("POST", address("logout"), {}, { csrf });
    } finally {
      this.end();
    }
  }

  /** The server does not know this session any more. */
  end() {
    if (!this.isOpen) return;
    this.csrf = null;
    this.name = "";
    this.role = "viewer";
    localStorage.removeItem(KEPT);
    this.dispatchEvent(new Event("ended"));
  }

  /** @param {{name: string, role: "viewer" | "operator", csrf_token: string}} answer */
  #begin({ name, role, csrf_token: csrf }) {
    this.name = name;
    this.role = role;
    this.csrf = csrf;
    localStorage.setItem(KEPT, "yes");
  }
}
