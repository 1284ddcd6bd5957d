// @ts-check
import { Link } from "./link.js";
import { Trace } from "./trace.js";

const CONFIG_URL = new URL("config.json", import.meta.url);
const MOST_ALERTS = 40;
/** Without samples for this long a bed shows that its signal is lost. */
const SIGNAL_LOST_MS = 1_500;
const ALERT_SHOWN_MS = 8_000;
/** With reduced motion the traces are moved on in steps of this length. */
const CALM_STEP_SECONDS = 1;

const STATES = {
  connecting: "Connecting",
  live: "Live",
  waiting: "Reconnecting",
  closed: "Closed",
};
const SIGNALS = {
  waiting: { word: "Waiting", icon: "waiting" },
  live: { word: "Live", icon: "live" },
  alert: { word: "Alert", icon: "alert" },
  lost: { word: "No signal", icon: "closed" },
};
const SEVERITIES = {
  info: { word: "Info", icon: "info" },
  warning: { word: "Warning", icon: "alert" },
  critical: { word: "Critical", icon: "alert" },
};

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);
/** @param {string} id @returns {any} */
const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);
/** @param {Element} use @param {string} name */
const setIcon = (use, name) => use.setAttribute("href", `#icon-${name}`);

/** One patient's card. */
class Bed {
  #card;
  #rate;
  #word;
  #icon;
  #heardAt = 0;
  #alertedAt = -Infinity;
  #alert = "";
  /** @type {string} */ #heartRate = "––";

  /** @param {{id: string, label: string}} patient */
  constructor({ id, label }) {
    this.label = label;
    this.#card = clone("bed");
    this.#card.dataset.patient = id;
    this.#card.querySelector("h3").textContent = label;
    this.#rate = this.#card.querySelector(".rate strong");
    this.#word = this.#card.querySelector(".signal-word");
    this.#icon = this.#card.querySelector(".signal use");
    const canvas = this.#card.querySelector("canvas");
    canvas.setAttribute("aria-label", `ECG of ${label}, lead MLII`);
    byId("patients").append(this.#card);
    this.trace = new Trace(canvas);
  }

  /** @param {{data: number[], sampling_rate: number, timestamp: string}} message */
  ecg({ data, sampling_rate, timestamp }) {
    if (!Array.isArray(data) || data.length === 0 || !(sampling_rate > 0)) return;
    this.#heardAt = performance.now();
    this.trace.push(data, sampling_rate, Date.parse(timestamp));
  }

  /** @param {{heart_rate: number | null}} message */
  vitals({ heart_rate }) {
    this.#heartRate = typeof heart_rate === "number" ? String(Math.round(heart_rate)) : "––";
  }

  /** @param {string} text */
  alert(text) {
    this.#alert = text;
    this.#alertedAt = performance.now();
  }

  /** Bring words and numbers up to date. @param {number} now */
  show(now) {
    const signal = this.#signal(now);
    this.#card.dataset.signal = signal;
    this.#word.textContent = signal === "alert" ? this.#alert : SIGNALS[signal].word;
    setIcon(this.#icon, SIGNALS[signal].icon);
    this.#rate.textContent = signal === "live" || signal === "alert" ? this.#heartRate : "––";
  }

  /** @param {number} now @returns {keyof typeof SIGNALS} */
  #signal(now) {
    if (this.#heardAt === 0) return "waiting";
    if (now - this.#heardAt > SIGNAL_LOST_MS) return "lost";
    return now - this.#alertedAt < ALERT_SHOWN_MS ? "alert" : "live";
  }
}

/** @type {Map<string, Bed>} */
const beds = new Map();
let paused = false;
let missed = 0;
let received = 0;

/** @param {any} message */
function addAlert({ severity, patient_id, message, timestamp }) {
  const known = Object.hasOwn(SEVERITIES, severity) ? severity : "warning";
  const bed = beds.get(String(patient_id));
  const time = new Date(timestamp);
  const when = Number.isNaN(time.getTime()) ? new Date() : time;
  const item = clone("alert");
  item.dataset.severity = known;
  setIcon(item.querySelector("use"), SEVERITIES[known].icon);
  item.querySelector(".severity").textContent = SEVERITIES[known].word;
  item.querySelector(".bed-name").textContent = bed?.label ?? "Ward";
  item.querySelector(".text").textContent = String(message);
  const stamp = item.querySelector("time");
  stamp.textContent = when.toLocaleTimeString();
  stamp.dateTime = when.toISOString();
  stamp.title = when.toISOString();
  const list = byId("alerts");
  list.prepend(item);
  while (list.children.length > MOST_ALERTS) list.lastElementChild.remove();
  byId("alerts-empty").hidden = true;
  bed?.alert(String(message));
}

/** @param {any} message */
function receive(message) {
  received += 1;
  const bed = beds.get(String(message.patient_id));
  switch (message.type) {
    case "ecg_data":
      bed?.ecg(message);
      break;
    case "vitals":
      if (!paused) bed?.vitals(message);
      break;
    case "alert":
    case "system_alert":
      addAlert(message);
      break;
  }
}

/** @param {any} gap */
function noteGap({ topic, count }) {
  missed += count ?? 1;
  byId("missed").textContent = String(missed);
  for (const [id, bed] of beds) {
    if (topic === undefined || topic === `patient:${id}`) bed.trace.interrupt();
  }
}

/** @param {keyof typeof STATES} state @param {string} detail */
function showState(state, detail) {
  const pill = byId("link");
  if (pill.dataset.state !== state) {
    pill.dataset.state = state;
    byId("link-word").textContent = STATES[state];
    setIcon(byId("link-icon"), state);
    if (state === "live") byId("notice").textContent = "";
    else for (const bed of beds.values()) bed.trace.interrupt();
  }
  byId("link-detail").textContent = detail;
}

async function loadConfig() {
  const response = await fetch(CONFIG_URL, { cache: "no-store" });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}

const link = new Link(loadConfig, {
  config: ({ patients }) => {
    for (const patient of patients) if (!beds.has(patient.id)) beds.set(patient.id, new Bed(patient));
  },
  state: showState,
  message: receive,
  gap: noteGap,
  fault: (text) => { byId("notice").textContent = text; },
  roundTrip: (milliseconds) => { byId("round-trip").textContent = `${milliseconds.toFixed(1)} ms`; },
});

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause-word").textContent = paused ? "Resume traces" : "Pause traces";
  setIcon(byId("pause-icon"), paused ? "play" : "pause");
  byId("notice").textContent = paused ? "Traces and heart rates are paused. Alerts keep coming." : "";
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
  byId("message-rate").textContent = `${received} /s`;
  received = 0;
  for (const bed of beds.values()) bed.show(performance.now());
}, 1_000);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const bed of beds.values()) bed.trace.refresh();
});
addEventListener("online", () => link.hurry());
document.addEventListener("visibilitychange", () => { if (!document.hidden) link.hurry(); });
addEventListener("pagehide", () => link.stop());
addEventListener("pageshow", (event) => { if (event.persisted) link.start(); });

requestAnimationFrame(frame);
link.start();
