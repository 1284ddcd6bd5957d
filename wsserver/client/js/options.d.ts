/** @import {ReconnectionConfig, ConnectOptions, Timers} from "./types.js" */
import type { ReconnectionConfig, ConnectOptions } from "./types.js";
/** @type {Readonly<ReconnectionConfig>} */
export declare const DEFAULTS: Readonly<ReconnectionConfig>;
export declare const CONNECT_OPTIONS: Set<string>;
/**
 * The whole configuration; later ones win, and undefined says nothing.
 *
 * @param {...Partial<ReconnectionConfig>} given
 * @returns {ReconnectionConfig}
 * @throws {TypeError} for an option that does not exist or has the wrong type
 * @throws {RangeError} for a number or word out of bounds
 */
export declare function readConfig(...given: Partial<ReconnectionConfig>[]): ReconnectionConfig;
/**
 * @param {ConnectOptions} options
 * @returns {ConnectOptions}
 * @throws {TypeError}
 */
export declare function readConnectOptions(options: ConnectOptions): ConnectOptions;
