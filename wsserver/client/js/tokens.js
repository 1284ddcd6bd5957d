// @ts-check
import { ClientError } from "./errors.js";
/** @import {GetToken, TokenReason} from "./types.js" */

/** The token in use, and where new ones come from. */
export class Tokens {
  /** @type {string | null} */ #token;
  /** @type {Promise<string> | null} */ #asking = null;
  #source;

  /**
   * @param {string | undefined} first
   * @param {() => GetToken | null | undefined} source looked up when needed, so that a default may be set later
   */
  constructor(first, source) {
    this.#token = first ?? null;
    this.#source = source;
  }

  get canRenew() {
    return typeof this.#source() === "function";
  }

  get current() {
    return this.#token;
  }

  /** @param {TokenReason} reason @returns {Promise<string>} */
  async get(reason) {
    return this.#token ?? this.renew(reason);
  }

  /** The token has ended; the next one is asked for. */
  forget() {
    if (this.canRenew) this.#token = null;
  }

  /**
   * Ask for another token. Who asks while an answer is awaited gets the same one: a person may be at a sign-in
   * window.
   *
   * @param {TokenReason} reason
   * @returns {Promise<string>}
   */
  renew(reason) {
    return (this.#asking ??= this.#ask(reason).finally(() => {
      this.#asking = null;
    }));
  }

  /** @param {TokenReason} reason */
  async #ask(reason) {
    const source = this.#source();
    if (typeof source !== "function") {
      throw new ClientError("no_token", "There is no token: pass token to connect, or set getToken.");
    }
    let token;
    try {
      token = await source({ reason });
    } catch (cause) {
      throw new ClientError("token_failed", "getToken failed.", { cause });
    }
    if (typeof token !== "string" || token === "") {
      throw new ClientError("token_failed", "getToken gave no token.");
    }
    this.#token = token;
    return token;
  }
}
