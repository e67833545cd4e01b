// What is set in this browser (page /settings), in localStorage, and nowhere else.

const KEY = "telerig.settings";

export const DEFAULTS = Object.freeze({
  theme: "auto", // auto, light, dark
  apiBase: "", // "": where the pages come from
  wsBase: "", // "": made of apiBase
  tileStyle: "", // "": as the server says; "none": no tiles
  device: "", // shown first on the live page; "": the gateway's own
  windowS: 60, // length of the live window, seconds
  points: 1200, // columns that a replay asks for, at most
});

export function readSettings() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) || "{}");
    return { ...DEFAULTS, ...(found && typeof found === "object" ? found : {}) };
  } catch {
    return { ...DEFAULTS };
  }
}

export function writeSettings(settings) {
  const kept = {};
  for (const [key, value] of Object.entries(settings)) {
    if (key in DEFAULTS && value !== DEFAULTS[key]) kept[key] = value;
  }
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    return false; // a private window without storage: they count until it is closed
  }
  return true;
}

const ADDRESSES = "telerig_addresses";

/** Tell the server which origins the pages may talk to, beside their own (reports/view/security.py). */
export function keepAddresses(settings) {
  const found = new Set();
  for (const text of [settings.apiBase, settings.wsBase, settings.tileStyle]) {
    if (/^(https?|wss?):/.test(text ?? "")) found.add(new URL(text.replace(/[{}]/g, "")).origin);
  }
  // The WebSocket of an API on another origin lies there too.
  if (settings.apiBase && !settings.wsBase) found.add(new URL(settings.apiBase).origin.replace(/^http/, "ws"));
  const value = encodeURIComponent([...found].join(" "));
  const life = found.size ? 400 * 86400 : 0;
  document.cookie = `${ADDRESSES}=${value}; path=/; max-age=${life}; samesite=strict`;
}
