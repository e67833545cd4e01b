// Installs the service worker, and tells it who looks: that decides what it may keep.

const REFRESH_MS = 30_000;
const LAST_STATE = /^\/api\/v1\/(devices|vehicles)\/[^/]+\/latest$/;

export async function register(view) {
  const { state, api } = view;
  const registration = await navigator.serviceWorker.register("/sw.js");
  const tell = () => {
    const { kind, name } = state.me;
    const who = kind === "nobody" ? null : `${kind} ${name}`;
    // Not known whether anybody is signed in: what was kept stays as it is.
    if (state.connection === "up") registration.active?.postMessage({ type: "who", name: who });
  };
  await navigator.serviceWorker.ready;
  await state.ready;
  tell();
  state.on("me", tell);
  state.on("connection", tell);
  registration.addEventListener("updatefound", () => {
    const next = registration.installing;
    next?.addEventListener("statechange", () => {
      if (next.state === "activated" && navigator.serviceWorker.controller) notice();
    });
  });
  // Live values come by WebSocket: what was seen last is asked for once more, to be kept.
  setInterval(() => {
    if (document.hidden || state.connection !== "up" || api.isForeign) return;
    for (const path of api.asked) if (LAST_STATE.test(path)) api.get(path).catch(() => {});
  }, REFRESH_MS);
}

function notice() {
  const detail = {
    key: "version",
    text: "A new version of these pages is here.",
    tone: "info",
    action: { name: "Load it", run: () => location.reload() },
  };
  dispatchEvent(new CustomEvent("telerig:notice", { detail }));
}
