// @ts-check
/**
 * A bedside monitor's sweep: the newest sample is drawn at a head that moves from left to right and
 * wipes what stands before it. Samples arrive in pieces and leave evenly, a quarter of a second late.
 */

/** 25 mm/s and 10 mm/mV at 4 px a millimetre, the scale of the paper in demo.css. */
const PIXELS_PER_SECOND = 100;
const PIXELS_PER_MILLIVOLT = 40;
/** Where zero lies, as a part of the height: an ECG reaches further up than down. */
const ZERO_LEVEL = 0.6;
const WIPED_PIXELS = 26;
const LINE_PIXELS = 1.7;

/** Held back so that uneven arrival does not show. */
const BUFFER_SECONDS = 0.25;
/** More than this waiting (the page was hidden, or a hole has come) is shown at once. */
const MOST_BUFFERED_SECONDS = 1.6;
/** How much faster or slower than real time the head may run to keep the buffer at its size. */
const MOST_CORRECTION = 0.15;
/** Shown when something is missing but nobody knows how much. */
const LEAST_HOLE_SECONDS = 0.2;
/** No heart and no electrode gives more; such a value is not drawn, and must not carry the baseline away. */
const LARGEST_MILLIVOLTS = 100;
/** The usual high-pass filter of a monitor, which keeps a wandering baseline on the strip. */
const BASELINE_HERTZ = 0.5;

export class Trace {
  #canvas;
  #context;
  #width = 0;
  #height = 0;
  #rate = 0;
  /** Samples in one sweep of the strip. */ #sweep = 1;
  /** @type {Float32Array} By sample number modulo its length; NaN where there is a hole. */
  #ring = new Float32Array(0);
  #written = 0;
  #drawn = 0;
  /** Part of a sample by which the head is behind. */ #carry = 0;
  #filling = true;
  #stale = true;
  /** @type {number | null} The time at which the next sample belongs, in ms. */ #expected = null;
  #broken = false;
  /** @type {number | null} Millivolts. */ #baseline = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
  }

  /**
   * Samples as they came. A jump between `time` and the end of the piece before is a hole of that length,
   * and so is what is no number.
   * @param {ArrayLike<unknown>} millivolts @param {number} rate samples per second
   * @param {number} time ms of the first sample; NaN if unknown
   */
  push(millivolts, rate, time) {
    if (rate !== this.#rate) this.#reset(rate);
    this.#hole(this.#missing(time));
    const values = Array.from(millivolts, (value) => (isMillivolts(value) ? value : NaN));
    this.#baseline ??= median(values.filter(isMillivolts));
    const smoothing = (2 * Math.PI * BASELINE_HERTZ) / rate;
    for (const value of values) {
      if (!Number.isNaN(value)) this.#baseline += smoothing * (value - this.#baseline);
      this.#ring[this.#written++ % this.#ring.length] = value - this.#baseline;
    }
    this.#expected = time + (millivolts.length / rate) * 1000;
    if (this.#written - this.#drawn > MOST_BUFFERED_SECONDS * rate) this.skipToLive();
  }

  /** Something between the last sample and the next is missing: do not join them. */
  interrupt() {
    this.#broken = true;
  }

  /** Show at once what has come meanwhile. */
  skipToLive() {
    this.#drawn = Math.max(this.#drawn, this.#written - Math.round(BUFFER_SECONDS * this.#rate));
    this.#stale = true;
  }

  /** Draw everything anew at the next step, as when colours change. */
  refresh() {
    this.#stale = true;
  }

  /** Move the head by so much time. @param {number} seconds */
  advance(seconds) {
    const waiting = this.#written - this.#drawn;
    const target = BUFFER_SECONDS * this.#rate;
    if (this.#filling && waiting > 0 && waiting >= target) this.#filling = false;
    const from = this.#drawn;
    if (!this.#filling) {
      const drift = (waiting - target) / this.#rate;
      const speed = 1 + Math.max(-MOST_CORRECTION, Math.min(MOST_CORRECTION, 0.4 * drift));
      this.#carry += seconds * this.#rate * speed;
      const step = Math.min(waiting, Math.floor(this.#carry));
      this.#carry = Math.min(1, this.#carry - step);
      this.#drawn += step;
      this.#filling = step === waiting;
    }
    if (this.#stale) this.#drawAll();
    else if (this.#drawn > from) this.#draw(from, this.#drawn);
  }

  /** Samples missing before a piece that begins at `time`. @param {number} time */
  #missing(time) {
    let missing = 0;
    if (this.#expected !== null && this.#written > 0) {
      const jump = ((time - this.#expected) / 1000) * this.#rate;
      // Within a hundredth of a second is the rounding of timestamps.
      if (Math.abs(jump) > this.#rate / 100) missing = jump > 0 ? Math.round(jump) : LEAST_HOLE_SECONDS * this.#rate;
      else if (this.#broken) missing = LEAST_HOLE_SECONDS * this.#rate;
    }
    this.#broken = false;
    return Math.min(this.#sweep, Math.round(missing));
  }

  /** @param {number} count */
  #hole(count) {
    if (count === 0) return;
    for (let i = 0; i < count; i += 1) this.#ring[this.#written++ % this.#ring.length] = NaN;
    this.#baseline = null;
  }

  /** @param {number} rate */
  #reset(rate) {
    this.#rate = rate;
    this.#written = this.#drawn = 0;
    this.#filling = true;
    this.#expected = null;
    this.#ring = new Float32Array(0);
    this.#resize();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const density = window.devicePixelRatio || 1;
    this.#width = width;
    this.#height = height;
    this.#canvas.width = Math.round(width * density);
    this.#canvas.height = Math.round(height * density);
    this.#context.setTransform(density, 0, 0, density, 0, 0);
    this.#sweep = Math.max(1, Math.round((width / PIXELS_PER_SECOND) * this.#rate));
    this.#remember(this.#sweep + Math.ceil((MOST_BUFFERED_SECONDS + 1) * this.#rate));
    this.#stale = true;
    // Setting its size has emptied the canvas; waiting for the next frame would flicker.
    this.#drawAll();
  }

  /** A ring of another length with the same newest samples. @param {number} length */
  #remember(length) {
    const ring = new Float32Array(length).fill(NaN);
    const kept = Math.min(this.#written, length, this.#ring.length);
    for (let n = this.#written - kept; n < this.#written; n += 1) ring[n % length] = this.#ring[n % this.#ring.length];
    this.#ring = ring;
  }

  #drawAll() {
    this.#stale = false;
    this.#context.clearRect(0, 0, this.#width, this.#height);
    const wiped = Math.ceil((WIPED_PIXELS / PIXELS_PER_SECOND) * this.#rate);
    this.#stroke(Math.max(0, this.#drawn - this.#sweep + wiped), this.#drawn);
  }

  /** @param {number} from @param {number} to */
  #draw(from, to) {
    const scale = this.#width / this.#sweep;
    // From where the wipe before this one ended: clearing nearer to the head would fray the line.
    this.#wipe(from * scale + WIPED_PIXELS - 1, to * scale + WIPED_PIXELS);
    this.#stroke(from, to);
  }

  /** Both in pixels, counted on over the sweeps. @param {number} left @param {number} right */
  #wipe(left, right) {
    const start = left % this.#width;
    const length = Math.min(right - left, this.#width);
    this.#context.clearRect(start, 0, length, this.#height);
    if (start + length > this.#width) this.#context.clearRect(0, 0, start + length - this.#width, this.#height);
  }

  /** Samples `from` to `to`, joined to the one before. @param {number} from @param {number} to */
  #stroke(from, to) {
    const context = this.#context;
    const scale = this.#width / this.#sweep;
    const zero = this.#height * ZERO_LEVEL;
    let pen = false;
    context.beginPath();
    for (let n = Math.max(0, from - 1); n < to; n += 1) {
      const value = this.#ring[n % this.#ring.length];
      const column = n % this.#sweep;
      if (Number.isNaN(value)) {
        pen = false;
        continue;
      }
      const x = column * scale;
      const y = zero - value * PIXELS_PER_MILLIVOLT;
      if (pen && column > 0) context.lineTo(x, y);
      else context.moveTo(x, y);
      pen = true;
    }
    context.strokeStyle = getComputedStyle(this.#canvas).color;
    context.lineWidth = LINE_PIXELS;
    context.lineJoin = "round";
    context.stroke();
  }
}

/** @param {unknown} value @returns {value is number} */
function isMillivolts(value) {
  return typeof value === "number" && Math.abs(value) <= LARGEST_MILLIVOLTS;
}

/** 0 of none. @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
