// @ts-check
/** @import {Session} from "./session.js" */

/** `/ws/`, wherever this server stands: the page's files are in `/ws/status/<edition>/`. */
const BASE = new URL("../../", import.meta.url);
const PATIENCE_MS = 20_000;

/** What the server said no to, in its own words. */
export class ApiError extends Error {
  name = "ApiError";

  /** @param {string} message @param {{status?: number, code?: number, retryAfterMs?: number}} [facts] `status` 0: no answer */
  constructor(message, { status = 0, code, retryAfterMs } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** @param {string} path below `/ws/` @param {Record<string, any>} [query] what is empty is left out */
export function address(path, query = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined && value !== false) url.searchParams.set(name, String(value));
  }
  return url;
}

/** The server's routes for this page. A 401 ends the session. */
export class Api {
  #session;

  /** @param {Session} session */
  constructor(session) {
    this.#session = session;
  }

  /** @param {string} path @param {Record<string, any>} [query] @param {AbortSignal} [signal] @returns {Promise<any>} */
  get(path, query, signal) {
    return this.#call("GET", address(path, query), undefined, signal);
  }

  /** @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  post(path, body = {}) {
    return this.#call("POST", address(path), body);
  }

  /** @param {string} path @returns {Promise<any>} */
  delete(path) {
    return this.#call("DELETE", address(path));
  }

  /** @param {string} method @param {URL} url @param {unknown} [body] @param {AbortSignal} [signal] */
  async #call(method, url, body, signal) {
    try {
      return await call(method, url, body, { csrf: this.#session.csrf, signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.#session.end();
      throw error;
    }
  }
}

/**
 * One request, in the server's envelope.
 *
 * @param {string} method @param {URL} url @param {unknown} [body] @param {{csrf?: string | null, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} `data`; rejected with ApiError
 */
export async function call(method, url, body, { csrf, signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (csrf && method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const patience = AbortSignal.timeout(PATIENCE_MS);
  let response, answer;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    answer = await response.json().catch(() => null);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(patience.aborted ? "The server did not answer in time." : "The server cannot be reached.");
  }
  if (response.ok && answer?.status === "success") return answer.data;
  const { code, message, retry_after_ms: retryAfterMs } = answer?.error ?? {};
  const text = typeof message === "string" ? message : `The server answered with status ${response.status}.`;
  throw new ApiError(text, { status: response.status, code, retryAfterMs });
}

/** The same for a WebSocket. @param {string} path */
export function socketAddress(path) {
  const url = address(path);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}
