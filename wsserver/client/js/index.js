// @ts-check
export { verdict } from "./close-codes.js";
export { ClientError } from "./errors.js";
export { DEFAULTS } from "./options.js";
export { ReconnectingSocket } from "./reconnecting-socket.js";
export { WebSocketReconnectService } from "./websocket-reconnect.service.js";

// JavaScript cannot pass types on as `export type *` does.
/** @typedef {import("./types.js").Address} Address */
/** @typedef {import("./types.js").Command} Command */
/** @typedef {import("./types.js").ConnectedEvent} ConnectedEvent */
/** @typedef {import("./types.js").ConnectOptions} ConnectOptions */
/** @typedef {import("./types.js").Cursor} Cursor */
/** @typedef {import("./types.js").DisconnectedEvent} DisconnectedEvent */
/** @typedef {import("./types.js").Filters} Filters */
/** @typedef {import("./types.js").Gap} Gap */
/** @typedef {import("./types.js").GetToken} GetToken */
/** @typedef {import("./types.js").MessageEvent} MessageEvent */
/** @typedef {import("./types.js").MessageMeta} MessageMeta */
/** @typedef {import("./types.js").Metrics} Metrics */
/** @typedef {import("./types.js").QueueOutcome} QueueOutcome */
/** @typedef {import("./types.js").ReconnectedEvent} ReconnectedEvent */
/** @typedef {import("./types.js").ReconnectingEvent} ReconnectingEvent */
/** @typedef {import("./types.js").ReconnectionConfig} ReconnectionConfig */
/** @typedef {import("./types.js").ServiceEvents} ServiceEvents */
/** @typedef {import("./types.js").State} State */
/** @typedef {import("./types.js").SubscribeOptions} SubscribeOptions */
/** @typedef {import("./types.js").Subscription} Subscription */
