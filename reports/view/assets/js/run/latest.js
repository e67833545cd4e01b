// Asks for what stands at the cursor, once it rests: one request at a time, and only the newest wish counts.

const REST_MS = 70;

export class Latest {
  /**
   * @param {(wish: object) => Promise<object>} ask
   * @param {(answer: object|null, error: Error|null, wish: object) => void} show
   */
  constructor(ask, show, restMs = REST_MS) {
    Object.assign(this, { ask, show, restMs });
    this.wish = null;
    this.key = "";
    this.timer = 0;
    this.isAsking = false;
    this.isClosed = false;
  }

  /** Wish for an answer; the same wish again costs nothing. */
  want(key, wish) {
    if (key === this.key || this.isClosed) return;
    this.key = key;
    this.wish = wish;
    if (!this.isAsking && !this.timer) this.timer = setTimeout(() => this._go(), this.restMs);
  }

  /** The next wish is asked for, even if it is the same. */
  forget() { this.key = ""; }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  async _go() {
    this.timer = 0;
    const { wish, key } = this;
    this.isAsking = true;
    let answer = null, error = null;
    try { answer = await this.ask(wish); } catch (failed) { error = failed; }
    this.isAsking = false;
    if (this.isClosed) return;
    this.show(answer, error, wish);
    // A wish that came meanwhile is newer.
    if (this.key !== key && this.key) this.timer = setTimeout(() => this._go(), this.restMs);
  }
}
