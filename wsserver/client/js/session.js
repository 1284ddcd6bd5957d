// @ts-check
/** @import {Cursor, Gap, SessionStore} from "./types.js" */

/**
 * Where this client is: the session that the server knows it by, and for each log the highest `seq` that was handled.
 */
export class Session {
  /** A secret of the user. @type {string | null} */
  id = null;
  /** @type {Cursor} */
  #cursor = {};
  /** What the last `connect` said. @type {Cursor} */
  #stated = {};

  /** @returns {Cursor} */
  get cursor() {
    return { ...this.#cursor };
  }

  /**
   * Whether a message was handled before, or the server will not come back to it.
   *
   * @param {string} log
   * @param {number} seq
   */
  has(log, seq) {
    return seq <= (this.#cursor[log] ?? -1);
  }

  /** @param {string} log @param {number} seq */
  handled(log, seq) {
    this.#cursor[log] = Math.max(seq, this.#cursor[log] ?? 0);
  }

  /** The server's position, once everything before it has been handled. @param {Cursor} position */
  advance(position) {
    for (const [log, seq] of Object.entries(position)) this.handled(log, seq);
  }

  /** What to tell the server, or undefined if there is nothing to go on with. */
  statement() {
    this.#stated = { ...this.#cursor };
    return this.id === null ? undefined : { id: this.id, cursor: this.#stated };
  }

  /**
   * Take the position of `connected` as it is, once everything from the connection before has been handled: logs that
   * it does not name are gone. What was handled after `statement` stays handled, as the server is about to send it
   * again; a position behind the statement means that the log has lost its end.
   *
   * @param {Cursor} position
   * @param {Cursor} stated the cursor that this `connected` answers
   */
  restart(position, stated) {
    /** @type {Cursor} */
    const cursor = {};
    for (const [log, seq] of Object.entries(position)) {
      const lostItsEnd = seq < (stated[log] ?? 0);
      cursor[log] = lostItsEnd ? seq : Math.max(seq, this.#cursor[log] ?? 0);
    }
    this.#cursor = cursor;
  }

  /** The cursor of the last statement. */
  get stated() {
    return this.#stated;
  }

  /** @param {SessionStore} store @param {string} key */
  save(store, key) {
    if (this.id !== null) store.setItem(key, JSON.stringify({ id: this.id, cursor: this.#cursor }));
  }

  /**
   * Take up what was saved, and remove it there: a page that is duplicated later does not find it.
   *
   * @param {SessionStore} store @param {string} key
   */
  load(store, key) {
    const text = store.getItem(key);
    store.removeItem(key);
    if (text === null) return;
    const { id, cursor } = JSON.parse(text);
    if (typeof id === "string" && isCursor(cursor)) {
      this.id = id;
      this.#cursor = cursor;
    }
  }
}

/**
 * What a client with this cursor lacks on a connection that begins at this position and replays nothing.
 *
 * @param {Cursor} cursor
 * @param {Cursor} position
 * @returns {Gap[]}
 */
export function lostBetween(cursor, position) {
  /** @type {Gap[]} */
  const gaps = [];
  for (const [log, seq] of Object.entries(cursor)) {
    const head = position[log];
    if (head === undefined) gaps.push({ log, from: seq + 1, reason: "restart" });
    else if (seq > head) gaps.push({ log, from: head + 1, to: seq, reason: "ahead" });
    else if (seq < head) gaps.push({ log, from: seq + 1, to: head, reason: "limit" });
  }
  return gaps;
}

/** @param {unknown} value @returns {value is Cursor} */
function isCursor(value) {
  return typeof value === "object" && value !== null && Object.values(value).every(Number.isSafeInteger);
}
