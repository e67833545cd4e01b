// What time it is at the gateway, as far as a page can know.

const KEPT = 8;
/** Less than this is no jump, whatever the samples say. */
const JUMP_S = 0.25;

/**
 * Estimates `gateway's clock - page's clock` from questions and answers.
 *
 * The page's clock is monotonic (`performance.now()`), so that a clock of this machine that is set
 * does not move the estimate. An answer lies between its question and its arrival; the sample with
 * the shortest way counts. A sample that contradicts it means that a clock has jumped, or that this
 * machine has slept: then only what comes from now on counts.
 */
export class Clock {
  constructor(now, date = () => Date.now()) {
    this._now = now;
    this._date = date;
    this._samples = [];
    this._best = null;
    this._page_s = NaN;
  }

  /** Take an answer; gives by how much the gateway's clock has jumped, 0 if it has not. */
  answer(server_s, asked_ms, came_ms = this._now()) {
    if (!Number.isFinite(server_s)) return 0;
    const rtt_s = Math.max(0, (came_ms - asked_ms) / 1e3);
    const sample = { offset_s: server_s - (asked_ms + came_ms) / 2e3, rtt_s };
    const page_s = server_s - this._date() / 1e3;
    let jump_s = 0;
    if (this._best && apart_s(this._best, sample) > JUMP_S) {
      // Where the wall clock of this machine has moved along, it has slept: nothing has jumped.
      const moved_s = page_s - this._page_s;
      if (Math.abs(moved_s) > JUMP_S) jump_s = sample.offset_s - this._best.offset_s;
      this._samples = [];
    }
    this._page_s = page_s;
    this._samples.push(sample);
    if (this._samples.length > KEPT) this._samples.shift();
    this._best = this._samples.reduce((a, b) => (b.rtt_s <= a.rtt_s ? b : a));
    return jump_s;
  }

  /** Take what somebody says without having been asked: no better than that it is not later. */
  told(server_s) {
    if (!this._best && Number.isFinite(server_s)) {
      const now_ms = this._now();
      this._best = { offset_s: server_s - now_ms / 1e3, rtt_s: Infinity };
      this._page_s = server_s - this._date() / 1e3;
    }
  }

  /** There were as many answers as are looked at. */
  get isSettled() { return this._samples.length >= KEPT; }
  get isKnown() { return this._best !== null; }
  /** Of the best answer; NaN as long as nobody was asked. */
  get rtt_s() { return this._samples.length ? this._best.rtt_s : NaN; }
  /** The gateway's time now, Unix seconds; this machine's, as long as nothing is known. */
  now_s() { return this._best ? this._now() / 1e3 + this._best.offset_s : this._date() / 1e3; }
  /** By how much this machine's wall clock is behind the gateway's. */
  get behind_s() { return this._best ? this.now_s() - this._date() / 1e3 : 0; }
}

function apart_s(a, b) {
  return Math.abs(a.offset_s - b.offset_s) - (a.rtt_s + b.rtt_s) / 2;
}
