// The session that runs: number, name, time since its start; one click starts or stops it.

import { hubOf } from "../live/hub.js";
import { elapsed, every, put } from "../live/say.js";
import { quietly } from "../sources/gateway.js";
import { el, wordsOf } from "../words.js";

const ASK_MS = 30000;

export function mount(element, options, view) {
  const { hub, release } = hubOf(view, options);
  const state = el("span", { class: "session-state" });
  const link = el("a", { class: "session-link", hidden: true });
  const time = el("span", { class: "session-time", role: "timer", "aria-label": "Time since the start" });
  const name = el("input", { type: "text", class: "session-name", placeholder: "Name (optional)", maxlength: "200", "aria-label": "Name of the session", "data-role": "operator" });
  const button = el("button", { type: "button", "data-role": "operator" }, "Start");
  const problem = el("span", { class: "bad", role: "alert" });
  const box = el("div", { class: "session-now" }, state, link, time, name, button, problem);
  element.append(box);

  let status = null, automatic = null, isBusy = false, isOver = false;
  const device = () => hub.device ?? undefined;

  const ask = async () => {
    try {
      await hub.ready;
      if (isOver) return;
      if (!device()) { status = null; draw(); return; }
      const found = await view.api.get("/api/v1/telemetry/status", { device: device() });
      const other = found.session_id === null
        ? await quietly(view.api.get("/api/v1/sessions", { device: device(), state: "running", kind: "automatic", limit: 1 })) : null;
      if (isOver) return;
      status = found;
      automatic = other?.sessions[0] ?? null;
      problem.textContent = "";
    } catch (error) {
      if (!isOver) problem.textContent = error.isAway ? "" : wordsOf(error)[1];
    }
    draw();
  };
  const draw = () => {
    const session = status?.session ?? automatic;
    const isRunning = status?.status === "running";
    box.dataset.state = isRunning ? "running" : session ? "automatic" : "idle";
    put(state, isRunning ? (status.recording ? "● Recording" : "▲ Not recorded") : session ? "Stored as" : status ? "No session" : "");
    state.title = isRunning && !status.recording ? "The last commit of the gateway did not succeed" : "Readings are stored with and without a session";
    link.hidden = !session;
    if (session) {
      link.href = `/session/${session.id}`;
      put(link, isRunning ? `Session ${session.id}${session.name ? ` · ${session.name}` : ""}` : `automatic session ${session.id}`);
    }
    name.hidden = isRunning || !status;
    button.hidden = !status;
    button.disabled = isBusy;
    put(button, isRunning ? "Stop" : "Start");
    button.className = isRunning ? "danger" : "primary";
    tick();
  };
  const tick = () => {
    const session = status?.session ?? automatic;
    put(time, session?.opened_ns ? elapsed(hub.now_s() - session.opened_ns / 1e9) : "");
  };
  const act = async () => {
    isBusy = true;
    draw();
    try {
      if (status?.status === "running") await view.api.post(`/api/v1/telemetry/stop?device=${encodeURIComponent(device())}`);
      else await view.api.post("/api/v1/telemetry/start", { device: device(), name: name.value.trim() });
      name.value = "";
    } catch (error) {
      problem.textContent = wordsOf(error).join(": ");
    }
    isBusy = false;
    await ask();
  };
  button.addEventListener("click", act);
  name.addEventListener("keydown", (event) => { if (event.key === "Enter") act(); });
  const off = hub.on((message) => {
    if (message.type === "notice" && ["session", "store"].includes(message.notice.type)) ask();
    if (message.type === "state" && message.connection === "up" && status === null) ask();
  });
  const stops = [every(1000, tick), every(ASK_MS, ask), view.state.on("me", draw)];
  draw();
  ask();
  return { unmount() { isOver = true; off(); for (const stop of stops) stop(); release(); } };
}
