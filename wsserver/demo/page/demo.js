// @ts-check
import { WebSocketReconnectService } from "../ws/client/index.js";
import { AlertList } from "./alert-list.js";
import { Bed } from "./bed.js";
import { ConnectionBar } from "./connection-bar.js";
import { ConnectionLog } from "./connection-log.js";
import { byId, setIcon, textOf } from "./markup.js";

const CONFIG_URL = new URL("config.json", import.meta.url);
/** Before the page knows where to connect; after that the client waits as it should. */
const CONFIG_AGAIN_MS = 2_000;
/** With reduced motion the traces are moved on in steps of this length. */
const CALM_STEP_SECONDS = 1;

/**
 * @typedef {{url: string, token: string, user_id: string, role: string,
 *   patients: {id: string, label: string}[]}} Config
 */

/** @type {Map<string, Bed>} */
const beds = new Map();
const bar = new ConnectionBar();
const alerts = new AlertList();
const log = new ConnectionLog();
/** @type {Config | null} */
let config = null;
let paused = false;

/** @param {string} [userId] of a visitor who only needs a new token @returns {Promise<Config>} */
async function loadConfig(userId) {
  const url = new URL(CONFIG_URL);
  if (userId !== undefined) url.searchParams.set("user_id", userId);
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}

const service = new WebSocketReconnectService({
  codec: "binary",
  // Somebody watches: endlessly, and not together with all others whom the same loss has hit.
  maxAttempts: 0,
  jitterMode: "full",
  heartbeatInterval: 5_000,
  heartbeatTimeout: 5_000,
  getToken: async ({ reason }) => {
    const { user_id, token } = /** @type {Config} */ (config);
    return reason === "first" ? token : (await loadConfig(user_id)).token;
  },
});

/** Whose message it is: its topic, which the server gave it, or what a message to all says. @param {string} topic @param {any} message */
function bedOf(topic, { patient_id }) {
  if (topic.startsWith("patient:")) return beds.get(topic.slice("patient:".length));
  return typeof patient_id === "string" ? beds.get(patient_id) : undefined;
}

service.on("message", ({ data, topic }) => {
  const bed = bedOf(topic, data);
  switch (data.type) {
    case "ecg_data":
      bed?.ecg(data);
      break;
    case "vitals":
      if (!paused) bed?.vitals(data);
      break;
    case "alert":
    case "system_alert":
      alerts.add(data, bed);
      break;
  }
});

service.on("gap", (gap) => {
  const bed = gap.topic === undefined ? undefined : bedOf(gap.topic, {});
  log.gap(gap, bed?.label ?? (gap.topic === undefined ? "All beds" : textOf(gap.topic)));
  bar.missed(log.missed);
  for (const one of bed === undefined ? beds.values() : [bed]) one.trace.interrupt();
});

service.on("state", ({ state }) => bar.state(state));
service.on("connected", (event) => bar.connected(event));
service.on("reconnecting", ({ delay }) => bar.retry(delay));
service.on("reconnected", (event) => {
  log.back(event);
  // What a resumed session missed is sent again, so its traces go on without a hole.
  if (!event.resumed) for (const bed of beds.values()) bed.trace.interrupt();
});
service.on("disconnected", (event) => {
  log.lost(event);
  if (event.terminal) bar.ended(event, () => service.reconnect());
});
service.on("heartbeat", ({ rttMs }) => bar.roundTrip(rttMs));
service.on("server_shutdown", ({ message }) => bar.notice(textOf(message)));
service.on("error", ({ message }) => bar.notice(textOf(message)));

async function start() {
  try {
    config = await loadConfig();
  } catch {
    setTimeout(start, CONFIG_AGAIN_MS * (0.75 + Math.random() / 2));
    return;
  }
  for (const patient of config.patients) if (!beds.has(patient.id)) beds.set(patient.id, new Bed(patient));
  const { url, user_id: userId, role } = config;
  const subscriptions = [...beds.keys()].map((id) => `patient:${id}`);
  try {
    await service.connect(new URL(url, location.href), { userId, role, subscriptions });
  } catch (/** @type {any} */ error) {
    // What the server refused is told by the events.
    if (error.closeCode === undefined) bar.notice(textOf(error.message));
  }
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause-word").textContent = paused ? "Resume traces" : "Pause traces";
  setIcon(byId("pause-icon"), paused ? "play" : "pause");
  bar.notice(paused ? "Traces and heart rates are paused. Alerts keep coming." : "");
  if (!paused) for (const bed of beds.values()) bed.trace.skipToLive();
});

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let movedAt = performance.now();

/** @param {number} now */
function frame(now) {
  const seconds = (now - movedAt) / 1000;
  if (paused) {
    movedAt = now;
  } else if (!calm.matches || seconds >= CALM_STEP_SECONDS) {
    movedAt = now;
    for (const bed of beds.values()) bed.trace.advance(seconds);
  }
  requestAnimationFrame(frame);
}

setInterval(() => {
  bar.tick(service.getMetrics());
  for (const bed of beds.values()) bed.show(performance.now());
}, 1_000);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const bed of beds.values()) bed.trace.refresh();
});

requestAnimationFrame(frame);
start();
