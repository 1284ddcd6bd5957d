export { verdict } from "./close-codes.js";
export { ClientError } from "./errors.js";
export { DEFAULTS } from "./options.js";
export { ReconnectingSocket } from "./reconnecting-socket.js";
export { WebSocketReconnectService } from "./websocket-reconnect.service.js";
export type Address = import("./types.js").Address;
export type Command = import("./types.js").Command;
export type ConnectedEvent = import("./types.js").ConnectedEvent;
export type ConnectOptions = import("./types.js").ConnectOptions;
export type Cursor = import("./types.js").Cursor;
export type DisconnectedEvent = import("./types.js").DisconnectedEvent;
export type Filters = import("./types.js").Filters;
export type Gap = import("./types.js").Gap;
export type GetToken = import("./types.js").GetToken;
export type MessageEvent = import("./types.js").MessageEvent;
export type MessageMeta = import("./types.js").MessageMeta;
export type Metrics = import("./types.js").Metrics;
export type QueueOutcome = import("./types.js").QueueOutcome;
export type ReconnectedEvent = import("./types.js").ReconnectedEvent;
export type ReconnectingEvent = import("./types.js").ReconnectingEvent;
export type ReconnectionConfig = import("./types.js").ReconnectionConfig;
export type ServiceEvents = import("./types.js").ServiceEvents;
export type State = import("./types.js").State;
export type SubscribeOptions = import("./types.js").SubscribeOptions;
export type Subscription = import("./types.js").Subscription;
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
