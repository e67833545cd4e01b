// Files of a session or a device: every format of the gateway.

import { download } from "../table/download.js";
import { findSession } from "../sources/session.js";
import { el, wordsOf } from "../words.js";

const FILES = [
  ["Readings", [["CSV", "signals.csv"], ["JSON", "signals.json"], ["Parquet", "signals.parquet"]]],
  ["One row an instant", [["CSV", "frames.csv"], ["JSON", "frames.json"], ["Parquet", "frames.parquet"]]],
  ["Track", [["GPX", "track.gpx"], ["KML", "track.kml"]]],
];

export async function mount(element, options, view) {
  const path = options.device
    ? `/api/v1/export/devices/${encodeURIComponent(options.device)}`
    : `/api/v1/export/sessions/${await findSession(view.api, options.session)}`;
  const status = el("p", { class: "hint", role: "status" });
  const say = (text, tone = "") => {
    status.textContent = text;
    status.className = `hint ${tone === "busy" ? "" : tone}`;
  };
  const button = (title, [word, file]) => {
    const made = el("button", { type: "button", "data-file": file, "aria-label": `${title} as ${word}` }, word);
    made.addEventListener("click", async () => {
      made.disabled = true;
      try {
        await download(view, `${path}/${file}`, say);
      } catch (error) {
        say(error.status === 404 && file.startsWith("track") ? "There is no position in this session, so there is no track." : wordsOf(error).join(": "), "bad");
      }
      made.disabled = false;
    });
    return made;
  };
  element.append(el("section", { class: "exports", "aria-label": "Export" },
    el("h2", {}, "Export"),
    el("div", { class: "export-groups" }, FILES.map(([title, files]) =>
      el("div", { class: "export-group" }, el("span", { class: "hint" }, title), el("div", { class: "actions" }, files.map((one) => button(title, one)))))),
    status));
  return { unmount() {} };
}
