// A card for each source of data: links of the gateway, its store, devices; how each is, how old, how fast, what failed.

import { hubOf } from "../live/hub.js";
import { age, every, put, rate } from "../live/say.js";
import { quietly } from "../sources/gateway.js";
import { number } from "../table/values.js";
import { el } from "../words.js";

const ASK_MS = 5000, DRAW_MS = 1000, DEVICES_MS = 20000;
const DEVICES = 20;
/** A device that sent nothing for so long is silent. */
const SILENT_S = 10;
const TONES = { up: "good", sending: "good", ok: "good", degraded: "warn", connecting: "warn", silent: "warn",
  "no readings": "stale", down: "bad", failing: "bad", unknown: "stale" };
const SIGNS = { good: "●", warn: "▲", bad: "✗", stale: "○" };
const FAILURES = /err|fail|bad|timeout|refus|drop|malform|lost|overflow|invalid|reject|garbage/i;

export function mount(element, options, view) {
  const { hub, release } = hubOf(view, options);
  const list = el("ul", { class: "source-cards", "aria-label": "Sources of data" });
  element.append(list);
  const cards = new Map(), rates = new Map();
  let links = [], pipeline = null, latest = new Map(), refused = new Map(), isOver = false;

  const ask = async () => {
    const found = await quietly(view.api.get("/api/v1/links"));
    if (!found || isOver) return;
    links = found.links;
    pipeline = found.pipeline;
    draw();
  };
  /** Newest instants of devices that this page does not listen to. */
  const askDevices = async () => {
    await hub.ready.catch(() => {});
    const ids = devices().filter((id) => hub.isFiltered || !hub.heard.has(id));
    for (const id of ids) {
      if (isOver) return;
      const answer = await quietly(view.api.get(`/api/v1/devices/${id}/latest`));
      if (answer) latest.set(id, Math.max(-Infinity, ...answer.latest.map((one) => one.time_ns / 1e9)));
      const stats = id === hub.own ? null : await quietly(view.api.get(`/api/v1/devices/${id}/stats`));
      if (stats) refused.set(id, stats.refused ?? []);
    }
    draw();
  };
  const devices = () => [...new Set([hub.own, ...hub.devices.filter((one) => one.active).map((one) => one.id)])]
    .filter(Boolean).slice(0, DEVICES);

  const draw = () => {
    const isUp = hub.connection.isUp, seen = [];
    for (const link of links) seen.push(linkCard(link, isUp));
    if (pipeline) seen.push(storeCard(isUp));
    // The gateway's own device is its links, where it has some.
    for (const id of devices()) if (id !== hub.own || hasOwn()) seen.push(deviceCard(id, isUp));
    const keys = new Set(seen.map((one) => one.key));
    for (const [key, card] of cards) if (!keys.has(key)) { card.item.remove(); cards.delete(key); }
    for (const one of seen) {
      let card = cards.get(one.key);
      if (!card) { card = new SourceCard(one); cards.set(one.key, card); }
      card.write(one, isUp);
      if (card.item.parentNode !== list) list.append(card.item);
    }
  };
  const hasOwn = () => !links.length && (hub.heard.has(hub.own) || latest.get(hub.own) > -Infinity || devices().length === 1);
  const perSecond = (key, count) => {
    const now_ms = performance.now(), before = rates.get(key);
    if (!before || now_ms - before.ms >= 900) {
      const value = before && count >= before.count ? (count - before.count) / ((now_ms - before.ms) / 1e3) : NaN;
      // Smoothed a little: counts of links come every few seconds.
      rates.set(key, { ms: now_ms, count, value: before && Number.isFinite(before.value) ? (before.value + value) / 2 : value });
    }
    return rates.get(key).value;
  };
  const linkCard = (link, isUp) => {
    const told = hub.links.get(link.name) ?? link;
    const own = [...hub.signals.values()].filter((slot) => slot.device === hub.own && kindOf(slot.source) === link.kind);
    const newest = Math.max(-Infinity, ...own.map((slot) => slot.t));
    const failures = failuresOf(link.counters);
    const stale = hub.stale.get(link.name)?.size ?? 0;
    return {
      key: `link ${link.name}`, kind: link.kind, name: link.name, state: isUp ? told.state : "unknown",
      reason: told.reason, newest, counted: linkRate(link), failures: failures.count, title: failures.text,
      more: stale ? `${stale} signal${stale > 1 ? "s" : ""} missing` : "",
    };
  };
  const linkRate = (link) => {
    // Counted where it is asked for, that is every few seconds.
    const key = `link ${link.name}`, before = rates.get(key);
    return before && before.count === link.readings && performance.now() - before.ms < ASK_MS * 1.5 ? before.value : perSecond(key, link.readings);
  };
  const storeCard = (isUp) => {
    const isWell = hub.store.state === "ok";
    return {
      key: "store", kind: "store", name: "database", state: isUp ? (isWell ? "ok" : "failing") : "unknown",
      reason: hub.store.reason, newest: NaN, counted: NaN, failures: pipeline.commits_failed + pipeline.refused,
      title: `${pipeline.commits_failed} commits failed, ${pipeline.refused} readings refused`,
      more: pipeline.accepted ? `${number(pipeline.stored)} readings of own links stored, ${number(pipeline.pending)} waiting` : "",
    };
  };
  const deviceCard = (id, isUp) => {
    const heard = hub.heard.get(id);
    const newest = Math.max(heard?.t ?? -Infinity, latest.get(id) ?? -Infinity);
    const isSilent = !(hub.now_s() - newest < SILENT_S);
    const state = !isUp ? "unknown" : newest === -Infinity ? "no readings" : isSilent ? "silent" : "sending";
    const found = hub.devices.find((one) => one.id === id);
    return {
      key: `device ${id}`, kind: id === hub.own ? "gateway" : "device", name: found?.name || id, href: id === hub.own ? "" : `/device/${encodeURIComponent(id)}`,
      state, reason: "", newest, counted: hub.isFiltered && !heard ? NaN : perSecond(`device ${id}`, heard?.count ?? 0),
      ...refusedOf(id), more: [found?.vin, refused.get(id)?.length ? `refused: ${refused.get(id)[0].reason}` : ""].filter(Boolean).join(" · "),
    };
  };
  const refusedOf = (id) => {
    const reasons = refused.get(id) ?? [];
    return {
      failures: id === hub.own ? pipeline?.refused ?? 0 : reasons.reduce((sum, one) => sum + one.count, 0),
      title: reasons.map((one) => `${one.reason}: ${one.count}`).join("\n") || "readings refused",
    };
  };
  class SourceCard {
    constructor({ kind, name, href, key }) {
      this.state = el("span", { class: "source-state" });
      this.reason = el("span", { class: "source-reason" });
      this.facts = { age: el("dd"), rate: el("dd"), failures: el("dd") };
      const title = href ? el("a", { href }, name) : name;
      this.more = el("span", { class: "source-more" });
      this.item = el("li", { class: "source-card", "data-source": key },
        el("div", { class: "source-head" }, el("strong", { class: "source-name" }, title), el("span", { class: "source-kind" }, kind), this.state),
        this.reason,
        el("dl", {}, fact("newest", this.facts.age), fact("rate", this.facts.rate), fact("errors", this.facts.failures)),
        this.more);
    }

    write({ state, reason, newest, counted, failures, title, more }, isUp) {
      const tone = TONES[state] ?? "stale";
      this.item.dataset.tone = tone;
      put(this.state, `${SIGNS[tone]} ${state}`);
      put(this.reason, isUp ? reason ?? "" : "not known while the gateway is away");
      this.reason.hidden = !this.reason.textContent;
      put(this.facts.age, Number.isFinite(newest) ? `${age(hub.now_s() - newest)} ago` : "–");
      put(this.facts.rate, isUp && Number.isFinite(counted) ? rate(counted) : "–");
      put(this.facts.failures, String(failures ?? 0));
      this.facts.failures.className = failures ? "warn" : "";
      this.facts.failures.title = title ?? "";
      put(this.more, more);
    }
  }
  const off = hub.on((message) => {
    if (message.type === "state" && message.connection !== "up") draw();
    if (message.type === "notice" && ["link", "store"].includes(message.notice.type)) draw();
  });
  const stops = [off, every(ASK_MS, ask), every(DRAW_MS, draw), every(DEVICES_MS, askDevices)];
  ask();
  askDevices();
  return { unmount() { isOver = true; for (const stop of stops) stop(); release(); } };
}

function fact(name, value) { return el("div", {}, el("dt", {}, name), value); }

function kindOf(source) { return source.split(":")[0]; }

/** Counters that are about failures: their sum, and each that is not zero. */
export function failuresOf(counters) {
  const found = Object.entries(counters ?? {}).filter(([name, count]) => FAILURES.test(name) && count > 0);
  return {
    count: found.reduce((sum, [, count]) => sum + count, 0),
    text: found.map(([name, count]) => `${name.replaceAll("_", " ")}: ${count}`).join(", "),
  };
}
