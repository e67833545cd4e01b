// Layouts: what is shown, kept in this browser under the keys 1 to 9.

const KEY = "telerig.layouts";

export function all(storage = safeStorage()) {
  try {
    const found = JSON.parse(storage?.getItem(KEY) ?? "{}");
    return found && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {}; // something foreign in it
  }
}

export function save(stage, place, name = "", storage = safeStorage()) {
  const layouts = all(storage);
  layouts[place] = {
    name: name || layouts[place]?.name || `layout ${place}`, signals: stage.selected, layers: [...stage.layers],
  };
  try {
    storage.setItem(KEY, JSON.stringify(layouts));
    stage.tell(`kept as layout ${place}`);
    return true;
  } catch {
    stage.tell("this browser keeps no layouts");
    return false;
  }
}

/** Show a layout: those of its signals that are here. */
export function load(stage, place, storage = safeStorage()) {
  const layout = all(storage)[place];
  if (!layout || !Array.isArray(layout.signals)) { stage.tell(`no layout ${place}; shift and ${place} keeps one`); return false; }
  const here = layout.signals.filter((name) => stage.signalsByName.has(name));
  if (!here.length) { stage.tell(`layout ${place}: none of its signals is here`); return false; }
  stage.layers = new Set(layout.layers ?? []);
  stage.select(here);
  stage.refresh();
  stage.tell(layout.name ?? `layout ${place}`);
  return true;
}

export function remove(place, storage = safeStorage()) {
  const layouts = all(storage);
  delete layouts[place];
  try { storage.setItem(KEY, JSON.stringify(layouts)); } catch { /* nothing is kept here */ }
}

function safeStorage() {
  try { return globalThis.localStorage ?? null; } catch { return null; }
}
