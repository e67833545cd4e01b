// The page of the gateway's state: what is wrong, links, store, live stream, forwarding. Asked once a second.

import { rate, every, put, wallClock, elapsed, age } from "../live/say.js";
import { bytes, number } from "../table/values.js";
import { el, errorBox } from "../words.js";
import { quietly } from "../sources/gateway.js";
import { failuresOf } from "./sources.js";

const ASK_MS = 1000;
/** What changes seldom is asked for seldom. */
const SELDOM = 5;

export function mount(element, options, view) {
  const problems = el("ul", { class: "links-problems", "aria-live": "polite" });
  const failed = el("div");
  const figures = el("dl", { class: "figures" });
  const links = table(["Link", "State", "Since", "Readings", "Rate", "Attempts", "Stale", "Errors", "Reason"], "links");
  const forward = el("div", { class: "links-forward" });
  const asked = el("p", { class: "hint" });
  element.append(failed, problems, section("Gateway", figures), section("Links", links.box), forward, asked);
  let turn = 0, isOver = false, isBusy = false, seldom = { forward: null, health: null }, before = null, names = new Map();

  const ask = async () => {
    if (isBusy || isOver) return;
    isBusy = true;
    try {
      const [found, ready] = await Promise.all([view.api.get("/api/v1/links"), readiness(view)]);
      if (turn++ % SELDOM === 0) {
        const [forwarded, health, signals] = await Promise.all([
          quietly(view.api.get("/api/v1/forward")), quietly(view.api.get("/api/v1/health")),
          names.size ? null : quietly(view.api.get("/api/v1/signals")),
        ]);
        seldom = { forward: forwarded, health };
        if (signals) names = new Map(signals.signals.map((signal) => [signal.id, signal.name]));
      }
      if (isOver) return;
      failed.replaceChildren();
      draw(found, ready);
    } catch (error) {
      if (!isOver) away(error);
    }
    isBusy = false;
  };
  const away = (error) => {
    element.dataset.state = "away";
    failed.replaceChildren(errorBox(error, { view, again: ask }));
    problems.replaceChildren();
  };
  const draw = (found, ready) => {
    element.dataset.state = "up";
    const now_ms = performance.now();
    const passed_s = before ? (now_ms - before.ms) / 1e3 : NaN;
    const since = (now, then) => (before && now >= then ? (now - then) / passed_s : NaN);
    const { pipeline, live } = found;
    problems.replaceChildren(...wrong(found, ready, seldom.forward).map(({ tone, text }) =>
      el("li", { class: `notice ${tone}` }, el("span", {}, `${tone === "bad" ? "✗" : "▲"} ${text}`))));
    if (!problems.childNodes.length) problems.append(el("li", { class: "notice good" }, el("span", {}, "✓ Nothing is wrong.")));
    write(figures, [
      ["Version of these pages", view.config.version || "–"],
      ["Run of the gateway", ready.boot ?? "–"],
      ["Clock", seldom.health ? wallClock(Date.parse(seldom.health.timestamp) / 1e3) : "–"],
      ["Store", ready.database ? (ready.database.state === "ok" ? "● ok" : `✗ ${ready.database.state}: ${ready.database.reason}`) : "–"],
      ["Readings accepted", `${number(pipeline.accepted)} · ${rate(since(pipeline.accepted, before?.accepted)) || "…"}`],
      ["Readings stored", `${number(pipeline.stored)} · ${rate(since(pipeline.stored, before?.stored)) || "…"}`],
      ["Waiting to be stored", number(pipeline.pending)],
      ["In the journal", number(pipeline.journaled)],
      ["Refused, malformed", `${number(pipeline.refused)}, ${number(pipeline.malformed)}`],
      ["Commits, failed", `${number(pipeline.commits)}, ${number(pipeline.commits_failed)}`],
      ["Live clients", `${number(live.clients)}${seldom.health ? ` (${number(seldom.health.websocket_connections)} WebSockets)` : ""}`],
      ["Left out for slow clients", number(live.dropped)],
    ]);
    const now_s = Date.now() / 1e3;
    links.write(found.links.map((link) => {
      const failures = failuresOf(link.counters);
      return {
        key: link.name, title: counters(link.counters), tone: { up: "good", down: "bad" }[link.state] ?? "warn",
        cells: [
          `${link.name} (${link.kind})`, `${{ up: "●", down: "✗" }[link.state] ?? "▲"} ${link.state}`, age(now_s - link.since_ns / 1e9),
          number(link.readings), rate(since(link.readings, before?.links.get(link.name))) || "…", number(link.attempts),
          link.stale.length ? link.stale.map((id) => names.get(id) ?? id).join(", ") : "–",
          failures.count ? `${number(failures.count)} (${failures.text})` : "0", link.reason || "–",
        ],
      };
    }), "This gateway has no links of its own; it takes what devices send.");
    drawForward();
    before = { ms: now_ms, accepted: pipeline.accepted, stored: pipeline.stored, links: new Map(found.links.map((link) => [link.name, link.readings])) };
    put(asked, `Asked once a second while this page is seen; the last answer came at ${new Date().toLocaleTimeString([], { hour12: false })}.`);
  };
  const streams = table(["Device", "State", "Waiting", "Queue", "Oldest", "Sent", "Stored", "Refused", "Dropped", "Reason"], "forward");
  const drawForward = () => {
    const found = seldom.forward;
    if (!found?.url) { forward.replaceChildren(); return; }
    if (!forward.childNodes.length) forward.replaceChildren(section(`Forwarding to ${found.url}`, streams.box));
    streams.write(found.streams.map((one) => ({
      key: one.device, title: "", tone: ["idle", "sending"].includes(one.state) ? "good" : "warn",
      cells: [one.device, one.state, number(one.readings), bytes(one.bytes), one.oldest_age_s === null ? "–" : elapsed(one.oldest_age_s),
        number(one.sent), number(one.stored), number(one.refused), number(one.dropped), one.reason || one.refusal || "–"],
    })), "Nothing is forwarded yet.");
  };
  const stop = every(ASK_MS, ask);
  ask();
  return { unmount() { isOver = true; stop(); } };
}

/** Readiness; 503 is an answer too. */
async function readiness(view) {
  const answers = await Promise.all(["/ready", "/health"].map(async (path) => {
    try {
      return await view.api.get(path);
    } catch (error) {
      if (error.isAway) throw error;
      return error.status === 503 ? { ready: false, database: { state: "failing", reason: error.detail } } : {};
    }
  }));
  return { ...answers[1], ...answers[0] };
}

/** What is not as it should be, in words. */
export function wrong({ links, pipeline }, ready, forward) {
  const found = [];
  const say = (tone, text) => found.push({ tone, text });
  if (ready.database && ready.database.state !== "ok") say("bad", `Readings cannot be stored: ${ready.database.reason}. They wait in memory; look at the database and its disk.`);
  for (const link of links) {
    if (link.state === "down") say("bad", `Link ${link.name} is down${link.reason ? `: ${link.reason}` : ""}. It is tried again by itself (${link.attempts} attempts).`);
    else if (link.state === "degraded") say("warn", `Link ${link.name} is degraded${link.reason ? `: ${link.reason}` : ""}.`);
    if (link.state === "up" && link.stale.length) say("warn", `Link ${link.name} misses ${link.stale.length} of its signals.`);
  }
  if (pipeline.refused > 0) say("warn", `${pipeline.refused} readings were refused because too many waited: the database is too slow for what comes.`);
  for (const one of forward?.streams ?? []) {
    if (["refused", "behind"].includes(one.state)) say("bad", `Forwarding of ${one.device} does not go on: ${one.reason || one.refusal}.`);
    else if (one.state === "waiting") say("warn", `Forwarding of ${one.device} waits: ${one.reason}.`);
    if (one.dropped > 0) say("warn", `${one.dropped} readings of ${one.device} were not forwarded: the queue was full.`);
  }
  return found;
}

function counters(found) {
  return Object.entries(found ?? {}).map(([name, count]) => `${name.replaceAll("_", " ")}: ${count}`).join("\n");
}

function section(title, ...inside) { return el("section", { class: "links-section" }, el("h2", {}, title), ...inside); }

function write(list, pairs) {
  if (list.childElementCount !== pairs.length) {
    list.replaceChildren(...pairs.map(([name]) => el("div", {}, el("dt", {}, name), el("dd"))));
  }
  pairs.forEach(([, text], i) => put(list.children[i].lastChild, String(text)));
}

/** A table whose rows are written in place, so that a selection in it stays. */
function table(heads, name) {
  const body = el("tbody");
  const empty = el("p", { class: "hint", hidden: true });
  const whole = el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))), body);
  const wrap = el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": name }, whole);
  const rows = new Map();
  return {
    box: el("div", {}, wrap, empty),
    write(list, words) {
      put(empty, words);
      empty.hidden = list.length > 0;
      wrap.hidden = list.length === 0;
      const keys = new Set(list.map((one) => one.key));
      for (const [key, row] of rows) if (!keys.has(key)) { row.remove(); rows.delete(key); }
      for (const { key, cells, title, tone } of list) {
        let row = rows.get(key);
        if (!row) {
          row = el("tr", { "data-key": key }, cells.map((_, i) => (i ? el("td") : el("th", { scope: "row" }))));
          rows.set(key, row);
          body.append(row);
        }
        row.title = title;
        row.dataset.tone = tone;
        cells.forEach((text, i) => put(row.children[i], String(text)));
      }
    },
  };
}
