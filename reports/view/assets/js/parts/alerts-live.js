// Alerts as they fire and end; operators take note of them here.

import { hubOf } from "../live/hub.js";
import { age, every, put } from "../live/say.js";
import { el, wordsOf } from "../words.js";

const KEPT = 20;
const TONES = { info: "", warning: "warn", critical: "bad" };
const SIGNS = { info: "i", warning: "▲", critical: "✗" };

export function mount(element, options, view) {
  const { hub, release } = hubOf(view, options);
  const count = el("span", { class: "tag" });
  const list = el("ul", { class: "alerts-list" });
  const none = el("p", { class: "hint" }, "Nothing fires.");
  const said = el("span", { class: "visually-hidden", role: "alert" });
  element.append(
    el("section", { class: "alerts-live box", "aria-label": "Alerts" },
      el("div", { class: "alerts-head" }, el("h2", {}, "Alerts"), count, el("a", { href: "/alerts" }, "All alerts and rules")),
      none, list, said),
  );
  const alerts = new Map(), rows = new Map();
  let isOver = false;

  const ask = async () => {
    try {
      await hub.ready;
      const device = hub.isFiltered && hub.shown.length === 1 ? hub.device : undefined;
      const { alerts: found } = await view.api.get("/api/v1/alerts", { device, limit: KEPT });
      if (isOver) return;
      alerts.clear();
      for (const alert of found) alerts.set(alert.id, alert);
      none.textContent = "Nothing fires.";
      none.className = "hint";
    } catch (error) {
      if (isOver) return;
      none.textContent = wordsOf(error).join(": ");
      none.className = "hint bad";
    }
    draw();
  };
  const draw = () => {
    const all = [...alerts.values()].sort(order).slice(0, KEPT);
    const firing = all.filter((alert) => alert.state === "firing").length;
    put(count, firing ? `${firing} firing` : "none");
    count.className = firing ? "tag bad" : "tag good";
    element.dataset.firing = String(firing);
    none.hidden = all.length > 0;
    for (const id of [...rows.keys()]) if (!all.some((alert) => alert.id === id)) { rows.get(id).remove(); rows.delete(id); }
    for (const alert of all) {
      const fresh = row(alert);
      rows.get(alert.id)?.remove();
      rows.set(alert.id, fresh);
      list.append(fresh);
    }
    times();
  };
  const row = (alert) => {
    const isFiring = alert.state === "firing";
    const tone = isFiring ? TONES[alert.severity] ?? "warn" : "";
    const facts = [alert.device, values(alert)].filter(Boolean).join(" · ");
    return el("li", { class: "alert-row", "data-state": alert.state, "data-alert": String(alert.id) },
      el("span", { class: `tag ${tone}` }, `${isFiring ? SIGNS[alert.severity] ?? "▲" : "✓"} ${isFiring ? alert.severity : "over"}`),
      el("span", { class: "alert-text" }, el("strong", {}, alert.name), " ", el("span", { class: "alert-condition" }, alert.condition)),
      el("span", { class: "alert-facts" }, facts),
      el("time", { class: "alert-time", "data-since": String(alert.fired_ns), "data-until": alert.ended_ns ?? "" }),
      acked(alert));
  };
  const acked = (alert) => {
    if (alert.acked_by) return el("span", { class: "alert-acked", title: alert.note || null }, `✓ ${alert.acked_by}`);
    const button = el("button", { type: "button", "data-role": "operator", "aria-label": `Acknowledge ${alert.name}` }, "Acknowledge");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const found = await view.api.post(`/api/v1/alerts/${alert.id}/ack`, {});
        alerts.set(alert.id, { ...alert, ...found });
        draw();
      } catch (error) {
        button.disabled = false;
        none.hidden = false;
        none.className = "hint bad";
        none.textContent = wordsOf(error).join(": ");
      }
    });
    return button;
  };
  const times = () => {
    for (const time of list.querySelectorAll("time")) {
      const since_s = Number(time.dataset.since) / 1e9, until_s = Number(time.dataset.until) / 1e9;
      const end_s = time.dataset.until ? until_s : hub.now_s();
      put(time, time.dataset.until ? `lasted ${age(end_s - since_s)}` : `for ${age(end_s - since_s)}`);
    }
  };
  const off = hub.on((message) => {
    if (message.type !== "notice" || message.notice.type !== "alert") return;
    const { notice } = message;
    alerts.set(notice.id, { ...alerts.get(notice.id), ...notice });
    put(said, `Alert ${notice.name} ${notice.state === "firing" ? "fires" : "is over"}`);
    draw();
  });
  // What happened while nobody listened was not told.
  const offs = [off, every(1000, times), every(60000, ask), hub.on((message) => {
    if (message.type === "reload") ask();
  })];
  ask();
  return { unmount() { isOver = true; for (const stop of offs) stop(); release(); } };
}

/** What fires stands first, then the newest. */
export function order(a, b) {
  return (b.state === "firing") - (a.state === "firing") || b.fired_ns - a.fired_ns || b.id - a.id;
}

function values(alert) {
  if (alert.value === null || alert.value === undefined) return "";
  const extreme = alert.extreme !== alert.value && alert.extreme !== null && alert.extreme !== undefined ? `, farthest ${short(alert.extreme)}` : "";
  return `${alert.signal} ${short(alert.value)}${extreme}`;
}

function short(value) { return String(Number(value.toPrecision(6))); }
