// @ts-check
import { ClientError } from "./errors.js";
/** @import {Command} from "./types.js" */

/**
 * @typedef {object} Waiting
 * @property {(frame: any) => void} resolve
 * @property {(error: ClientError) => void} reject
 */

/** Commands that wait for their answers, by `request_id`. */
export class Requests {
  #last = 0;
  /** @type {Map<string, Waiting>} */
  #waiting = new Map();

  /**
   * The command with a `request_id` of its own.
   *
   * @param {Command} command
   * @returns {Command & {request_id: string}}
   */
  label(command) {
    const own = command.request_id;
    return { ...command, request_id: typeof own === "string" ? own : `c${++this.#last}` };
  }

  /** @param {string} requestId @param {Waiting} waiting */
  expect(requestId, waiting) {
    this.#waiting.set(requestId, waiting);
  }

  /**
   * Give an answer, or the error that stands for it, to the one who waits; says whether somebody did.
   *
   * @param {Record<string, any>} frame
   */
  settle(frame) {
    const waiting = this.#waiting.get(frame.request_id);
    if (waiting === undefined) return false;
    this.#waiting.delete(frame.request_id);
    if (frame.type === "error") waiting.reject(ClientError.fromFrame(frame));
    else waiting.resolve(frame);
    return true;
  }

  /** The answer took too long; one that comes later is nobody's. @param {string} requestId */
  giveUp(requestId) {
    const waiting = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    waiting?.reject(new ClientError("no_answer", "The server did not answer in time."));
  }

  /** The connection is gone, and with it the answers. */
  fail() {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const one of waiting)
      one.reject(new ClientError("connection_lost", "The connection was lost before the answer."));
  }
}
