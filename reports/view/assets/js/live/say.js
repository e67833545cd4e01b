// Ages and spans of time in words that stand still.

import { span } from "../stage/scale.js";

/** How old something is, in whole steps: "2 s", "5 min", "3 h", "4 d". */
export function age(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const s = Math.max(0, seconds);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400 * 2) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** Time that has passed, as a clock: 0:05, 12:34, 1:02:03. */
export function elapsed(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600);
  const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return hours ? `${hours}:${rest}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** A delay in milliseconds, in few digits. */
export function delay(ms) {
  if (!Number.isFinite(ms)) return "";
  if (ms < 1) return "< 1 ms"; // less than the two clocks are known to agree
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return span(ms / 1e3);
}

/** A number of things a second. */
export function rate(perSecond) {
  if (!Number.isFinite(perSecond)) return "";
  if (perSecond >= 1000) return `${(perSecond / 1000).toFixed(1)} k/s`;
  return `${perSecond >= 10 ? Math.round(perSecond) : perSecond.toFixed(1)} /s`;
}

/** The wall clock of an instant here. */
export function wallClock(seconds) {
  return Number.isFinite(seconds) ? new Date(seconds * 1e3).toLocaleTimeString([], { hour12: false }) : "";
}

/** Set the text of an element, only if it is another one. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Call again and again while the page is seen; gives what stops it. */
export function every(ms, fn) {
  const timer = setInterval(() => { if (!document.hidden) fn(); }, ms);
  const shown = () => { if (!document.hidden) fn(); };
  document.addEventListener("visibilitychange", shown);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", shown);
  };
}
