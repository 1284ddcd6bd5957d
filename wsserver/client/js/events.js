// @ts-check
/** @import {ServiceEvents} from "./types.js" */

/** Every event of the service. @type {readonly (keyof ServiceEvents)[]} */
export const EVENTS = [
  "state",
  "connecting",
  "connected",
  "disconnected",
  "reconnecting",
  "reconnected",
  "reconnect_failed",
  "message",
  "gap",
  "error",
  "queue",
  "server_shutdown",
  "heartbeat",
  "token_expiring",
  "control",
];
