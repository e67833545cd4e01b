// The stage in a page: options {kind: "live"|"session"|"run", panels: [names], ...what the source needs}.

import { Stage } from "../stage/stage.js";
import { errorBox } from "../words.js";
import "../stage/analysis.js";

const NAME = /^[a-z][a-z0-9-]*$/;

export async function mount(element, options, view) {
  const kind = options.kind ?? options.source ?? "run";
  if (!NAME.test(kind)) throw new Error(`expected a kind of source, found ${kind}`);
  const stage = new Stage(element, view, { ...options, kind });
  try {
    const module = options.open ? { open: options.open } : await import(`../sources/${kind}.js`);
    await stage.begin(await module.open(view, options));
    stage.side.start();
  } catch (error) {
    stage.destroy();
    throw error;
  }
  addPanels(stage, options.panels ?? [], view, options);
  return { unmount: () => stage.destroy(), stage };
}

/** All are loaded at once, and stand in the order in which they were named. */
async function addPanels(stage, names, view, options) {
  const loading = names.map((name) => panelOf(stage, name, view, options));
  for (const one of loading) {
    const panel = await one;
    if (!panel) continue;
    if (stage._ended) panel.destroy?.();
    else stage.addPanel(panel);
  }
}

/** A panel that cannot be loaded takes nothing else with it. */
async function panelOf(stage, name, view, options) {
  try {
    if (!NAME.test(name)) throw new Error(`expected a panel's name, found ${name}`);
    const module = await import(`../panels/${name}.js`);
    return stage._ended ? null : await module.panel(stage, view, options);
  } catch (error) {
    console.warn(`panel ${name}:`, error);
    const failed = errorBox(error, { part: name, view });
    return { name, title: name, element: failed, draw() {}, visible: () => true, destroy() {} };
  }
}
