import { ReconnectingSocket } from "./reconnecting-socket.js";
import type { Address, Command, ConnectOptions, Filters } from "./types.js";
import type { Metrics as Figures, QueueOptions, QueueOutcome, ReconnectionConfig } from "./types.js";
import type { ServiceEvents, State, SubscribeOptions, Subscription, Unsubscribed } from "./types.js";
/** @import {Address, Command, ConnectedEvent, ConnectOptions, DisconnectedEvent, Filters} from "./types.js" */
/** @import {Metrics as Figures, QueueOptions, QueueOutcome, ReconnectionConfig} from "./types.js" */
/** @import {ServiceEvents, State, SubscribeOptions, Subscription, Unsubscribed} from "./types.js" */
/**
 * A connection to the server that comes back by itself and goes on where it was.
 *
 * ```js
 * const service = new WebSocketReconnectService({ getToken: () => fetch("/token").then((r) => r.text()) });
 * service.on("message", ({ data }) => show(data));
 * service.on("gap", (gap) => showHole(gap));
 * await service.connect("wss://ward.example/ws/connect", { userId: "dr1", subscriptions: ["patient:123"] });
 * ```
 */
export declare class WebSocketReconnectService {
    #private;
    /**
     * Configuration for every service that is not given its own: set `getToken` here where `connect` passes no token.
     *
     * @type {Partial<ReconnectionConfig>}
     */
    static defaults: Partial<ReconnectionConfig>;
    /**
     * @param {Partial<ReconnectionConfig>} [config]
     * @throws {TypeError} for an option that does not exist or has the wrong type
     * @throws {RangeError} for a number or word out of bounds
     */
    constructor(config?: Partial<ReconnectionConfig>);
    /** @returns {State} */
    get state(): State;
    /**
     * Connect, and stay connected until `disconnect`. Resolves when the server has let this client in; a connection
     * that there was is ended.
     *
     * @param {Address} address `wss://…/ws/connect`, or what gives it before each attempt
     * @param {ConnectOptions} options
     * @returns {Promise<ReconnectingSocket>}
     * @throws {ClientError} when the server's word is final, or the attempts are used up
     * @throws {TypeError} for options that do not exist or have the wrong type
     */
    connect(address: Address, options: ConnectOptions): Promise<ReconnectingSocket>;
    /**
     * End the connection; nothing is tried, sent or told any more. `connect` begins anew.
     *
     * @param {number} [code] 1000, or 3000 to 4999
     * @param {string} [reason]
     */
    disconnect(code?: number, reason?: string): void;
    /**
     * Connect anew now: after `reconnect_failed`, after a final close, or because the caller knows better.
     *
     * @throws {ClientError} if there was no `connect`
     */
    reconnect(): void;
    /**
     * Call `listener` for each such event; what is returned takes it away again. Of the promises that listeners of
     * `message` and `gap` return the next message waits.
     *
     * @template {keyof ServiceEvents} K
     * @param {K} event
     * @param {(payload: ServiceEvents[K]) => unknown} listener
     * @returns {() => void}
     * @throws {TypeError} for an event that does not exist
     */
    on<K extends keyof ServiceEvents>(event: K, listener: (payload: ServiceEvents[K]) => unknown): () => void;
    /**
     * @template {keyof ServiceEvents} K
     * @param {K} event
     * @param {(payload: ServiceEvents[K]) => unknown} listener
     * @returns {() => void}
     */
    once<K extends keyof ServiceEvents>(event: K, listener: (payload: ServiceEvents[K]) => unknown): () => void;
    /**
     * @template {keyof ServiceEvents} K
     * @param {K} event
     * @param {(payload: ServiceEvents[K]) => unknown} listener
     */
    off<K extends keyof ServiceEvents>(event: K, listener: (payload: ServiceEvents[K]) => unknown): void;
    /**
     * Send a command, or keep it until there is a connection. A `subscribe` or `unsubscribe` changes what is wanted,
     * and holds for later connections too. Does not throw, but for a full queue with `queueOverflow: "throw"`; what
     * cannot be sent is
     * `dropped` and told by `error`.
     *
     * @param {object} message
     * @param {QueueOptions} [options]
     * @returns {QueueOutcome}
     */
    queueMessage(message: object, options?: QueueOptions): QueueOutcome;
    /**
     * Send a command with an answer now.
     *
     * @param {Command} command `broadcast`, `health_check`, `refresh` and the like
     * @returns {Promise<Record<string, any>>} the answer
     * @throws {ClientError} the server's error; `not_connected`, `connection_lost`, `no_answer` after `connectionTimeout`
     */
    request(command: Command): Promise<Record<string, any>>;
    /**
     * Subscribe now and on every later connection. Resolves with the server's confirmation, whenever that comes. A
     * refusal is told by `error` as well, so the promise may be left alone.
     *
     * @param {string} type `patient`, a type, or a whole topic such as `patient:123`, `type:ecg` or `*`
     * @param {string | number | null} [targetId] every target if missing
     * @param {Filters | null} [filters] replaces the filters of a subscription to the same topic
     * @param {SubscribeOptions} [options] `breakGlass` states why the user must see a patient whom the user may not see
     * @returns {Promise<Subscription>}
     * @throws {ClientError} the server's refusal; what was in force before stays
     */
    subscribe(type: string, targetId?: string | number | null, filters?: Filters | null, options?: SubscribeOptions): Promise<Subscription>;
    /**
     * @param {string} type as in `subscribe`
     * @param {string | number | null} [targetId]
     * @returns {Promise<Unsubscribed>}
     */
    unsubscribe(type: string, targetId?: string | number | null): Promise<Unsubscribed>;
    /** @returns {Figures} */
    getMetrics(): Figures;
}
export type Deferred<T> = {
    promise: Promise<T>;
    resolve: (value: T) => void;
    reject: (reason: unknown) => void;
};
