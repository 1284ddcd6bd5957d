// @ts-check
import { byId, clone, setIcon, textOf } from "./markup.js";
import { Trace } from "./trace.js";

/** Without samples for this long a bed shows that its signal is lost. */
const SIGNAL_LOST_MS = 1_500;
const ALERT_SHOWN_MS = 8_000;
/** Beyond it is no sampling rate of an ECG, and a trace would keep as much memory as a publisher likes. */
const FASTEST_HERTZ = 10_000;

const SIGNALS = {
  waiting: { word: "Waiting", icon: "waiting" },
  live: { word: "Live", icon: "live" },
  alert: { word: "Alert", icon: "alert" },
  lost: { word: "No signal", icon: "closed" },
};

/** One patient's card. */
export class Bed {
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
    this.label = textOf(label);
    this.#card = clone("bed");
    this.#card.dataset.patient = id;
    this.#card.querySelector("h3").textContent = this.label;
    this.#rate = this.#card.querySelector(".rate strong");
    this.#word = this.#card.querySelector(".signal-word");
    this.#icon = this.#card.querySelector(".signal use");
    const canvas = this.#card.querySelector("canvas");
    canvas.setAttribute("aria-label", `ECG of ${this.label}, lead MLII`);
    byId("patients").append(this.#card);
    this.trace = new Trace(canvas);
  }

  /** @param {{data?: unknown, sampling_rate?: unknown, timestamp?: unknown}} message samples as a list, or typed in binary frames */
  ecg({ data, sampling_rate: rate, timestamp }) {
    if (!Array.isArray(data) && !(ArrayBuffer.isView(data) && "length" in data)) return;
    const samples = /** @type {ArrayLike<unknown>} */ (/** @type {unknown} */ (data));
    if (samples.length === 0 || typeof rate !== "number" || !(rate >= 1 && rate <= FASTEST_HERTZ)) return;
    this.#heardAt = performance.now();
    this.trace.push(samples, rate, typeof timestamp === "string" ? Date.parse(timestamp) : NaN);
  }

  /** @param {{heart_rate?: unknown}} message */
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
