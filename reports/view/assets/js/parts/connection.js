// State of the live stream: connected, with its delay; silent; trying again in so many seconds, and why.

import { hubOf } from "../live/hub.js";
import { delay, every, put } from "../live/say.js";
import { el } from "../words.js";

const WORDS = { connecting: "Connecting", up: "Connected", silent: "Silent", waiting: "Reconnecting", denied: "Refused", ended: "Ended" };
const TONES = { connecting: "stale", up: "good", silent: "bad", waiting: "bad", denied: "bad", ended: "stale" };
/** A clock of this machine that is farther off is worth a word. */
const CLOCK_S = 2;

export function mount(element, options, view) {
  const { hub, release } = hubOf(view, options);
  const dot = el("span", { class: "live-dot", "aria-hidden": "true" });
  const word = el("strong", { class: "live-word" });
  const detail = el("span", { class: "live-detail" });
  const again = el("button", { type: "button", hidden: true, onclick: () => hub.connection.retryNow() }, "Reconnect now");
  // Only changes of the word are read out, not each second of the count.
  const said = el("span", { class: "visually-hidden", role: "status" });
  const box = el("div", { class: "live-connection" }, dot, word, again, detail, said);
  element.append(box);

  const draw = () => {
    const { phase, reason, retry_ms } = hub.connection.state;
    box.dataset.phase = phase;
    box.dataset.tone = TONES[phase];
    put(word, WORDS[phase]);
    put(said, phase === "up" ? "Connected" : `${WORDS[phase]}: ${reason}`);
    put(detail, phase === "up" ? delays() : words(phase, reason, retry_ms));
    again.hidden = !["silent", "waiting", "denied", "ended"].includes(phase);
  };
  const words = (phase, reason, retry_ms) => {
    const wait_s = Math.ceil((retry_ms - performance.now()) / 1e3);
    const when = Number.isFinite(wait_s) && wait_s > 0 ? `again in ${wait_s} s` : "";
    return [reason, when].filter(Boolean).join(" · ");
  };
  const delays = () => {
    const { latencies, clock, replay } = hub;
    if (replay) return `replay ${replay.state}, ${replay.speed}×`;
    const p50 = latencies.quantile(0.5), behind_s = clock.behind_s;
    const found = [Number.isFinite(p50) ? `≈ ${delay(p50)} (p95 ${delay(latencies.quantile(0.95))})` : "no readings yet"];
    if (Math.abs(behind_s) > CLOCK_S) {
      found.push(`this device's clock is ${Math.abs(behind_s).toFixed(1)} s ${behind_s > 0 ? "behind" : "ahead"}`);
    }
    return found.join(" · ");
  };
  const off = hub.on((message) => { if (message.type === "state") draw(); });
  const stop = every(500, draw);
  draw();
  return { unmount() { off(); stop(); release(); } };
}
