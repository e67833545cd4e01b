// An ESP32 gets its Wi-Fi network, this gateway's address and a key of its own. The gateway's machine
// speaks with the device; this page says what is wanted, shows how far it is, and asks for the network.

import { el, errorBox } from "../words.js";
import { fieldsOfForm, formView } from "../form/view.js";
import { wall } from "../table/values.js";

const PATH = "/api/v1/provisioning";
const ASK_MS = 500;
const STEPS = [
  ["device", "Find the device, prove its password"],
  ["network", "Choose the network"],
  ["gateway", "Give it a key and this gateway's address"],
  ["wifi", "Join the network"],
  ["reading", "Wait for its first reading"],
];
const ENDS = {
  done: ["good", "✔ The device is provisioned."],
  failed: ["bad", "✖ It was not provisioned."],
  cancelled: ["warn", "■ It was ended."],
};

export async function mount(element, options, view) {
  let timer = 0, isOver = false;
  const top = el("div", { class: "provision-begin" });
  const work = el("section", { class: "box provision-work", hidden: true, "aria-label": "Provisioning" });
  const past = el("div");
  element.append(top, work, past);

  const load = async () => {
    const known = await view.api.get(PATH);
    if (isOver) return;
    drawPast(known.jobs);
    const atWork = known.jobs.find((job) => job.state === "running" || job.state === "choosing");
    if (atWork) follow(atWork);
    else await drawForm(known);
  };

  // What is wanted.

  const drawForm = async (known) => {
    if (!known.enabled) {
      top.replaceChildren(el("p", { class: "note" }, "This gateway does not provision devices: [provisioning] enabled is false. The command telerig provision does it on any machine."));
      return;
    }
    const missing = known.ways.filter((way) => way.problem);
    const declared = { ...options.form, fields: options.form.fields.map((field) => withKnown(field, known)) };
    const fields = await fieldsOfForm(declared, "POST", PATH, view);
    const made = await formView(declared, fields, {
      view,
      values: { gateway_url: /^(localhost|127\.|\[::1\])/.test(location.hostname) ? "" : view.api.base || location.origin, ...(options.values ?? {}) },
      send: async (body) => follow(await view.api.post(PATH, read(body))),
    });
    work.hidden = true;
    top.replaceChildren(
      ...missing.map((way) => el("p", { class: "note", "data-missing": way.name }, `${way.name}: ${way.problem}`)),
      el("section", { class: "box" }, el("h2", {}, "The device"), made.element),
    );
  };

  const withKnown = (field, known) => {
    if (field.name === "way") {
      return { ...field, choices: field.choices.filter(([name]) => known.ways.some((way) => way.name === name && !way.problem)) };
    }
    if (field.name === "port") return { ...field, choices: known.ports.map((port) => [port.path, `${port.path} ${port.name}`.trim()]), kind: "choice" };
    if (field.name === "address") return { ...field, hint: `${field.hint} This gateway dials ${known.networks.join(", ") || "no network"}.` };
    return field;
  };

  /** Three fields of the form are one of the request: the address by its way. */
  const read = ({ port, ble_name: name, ...body }) => {
    const address = { http: body.address, serial: port, ble: name }[body.way];
    return { ...body, address: address ?? "" };
  };

  // How far it is.

  const follow = (job) => {
    top.replaceChildren();
    work.hidden = false;
    draw(job);
    clearTimeout(timer);
    if (isOver || job.state in ENDS) {
      view.api.get(PATH).then((known) => drawPast(known.jobs)).catch(() => {});
      return;
    }
    timer = setTimeout(async () => {
      try {
        follow(await view.api.get(`${PATH}/${job.id}`));
      } catch (error) {
        work.append(errorBox(error, { view, again: () => follow(job) }));
      }
    }, ASK_MS);
  };

  let drawn = "", shownJob = null;
  const draw = (job) => {
    const text = JSON.stringify(job);
    if (text === drawn) return;
    drawn = text;
    work.dataset.state = job.state;
    work.dataset.step = job.step;
    if (shownJob !== job.id) build(job);
    shownJob = job.id;
    parts.steps.replaceChildren(...steps(job));
    parts.lines.textContent = job.lines.map((line) => `${wall(line.time_ns / 1e6).slice(11)}  ${line.text}`).join("\n");
    parts.lines.hidden = !job.lines.length;
    drawChoice(job);
    drawEnd(job);
  };

  let parts = {};
  const build = (job) => {
    parts = {
      steps: el("ol", { class: "steps" }),
      choice: el("div", { class: "choice" }),
      end: el("div", { role: "status" }),
      lines: el("pre", { class: "lines", tabindex: "0", "aria-label": "What was said", role: "log" }),
      cancel: el("button", { type: "button", "data-action": "cancel", onclick: () => view.api.delete(`${PATH}/${job.id}`).then(follow) }, "End it"),
    };
    work.replaceChildren(
      el("div", { class: "table-top" }, el("h2", {}, `Device at ${job.address}`), parts.cancel),
      parts.steps,
      parts.end,
      parts.choice,
      parts.lines,
    );
  };

  const steps = (job) => {
    const here = STEPS.findIndex(([name]) => name === job.step);
    const isDone = job.state === "done";
    return STEPS.filter(([name]) => job.device !== null || job.state !== "done" || (name !== "gateway" && name !== "reading")).map(([name, word]) => {
      const place = STEPS.findIndex(([other]) => other === name);
      const state = isDone || place < here ? "done" : place > here ? "ahead" : job.state in ENDS ? job.state : "here";
      const sign = { done: "✔", ahead: "○", failed: "✖", cancelled: "■", here: "▶" }[state];
      return el("li", { class: `step ${state}`, "data-step": name, "aria-current": state === "here" ? "step" : null }, el("span", { "aria-hidden": "true" }, sign), " ", word, el("span", { class: "visually-hidden" }, { done: " (done)", failed: " (failed)", cancelled: " (ended here)", here: " (now)", ahead: "" }[state]));
    });
  };

  const drawChoice = (job) => {
    if (job.state !== "choosing") {
      parts.choice.replaceChildren();
      return;
    }
    if (parts.choice.childNodes.length) return; // somebody is typing
    const ssid = el("input", { name: "ssid", id: "provision-ssid", type: "text", autocomplete: "off", spellcheck: "false" });
    const passphrase = el("input", { name: "passphrase", id: "provision-passphrase", type: "password", autocomplete: "off" });
    const wrong = el("p", { class: "field-error", role: "alert" });
    const list = el(
      "fieldset",
      { class: "networks" },
      el("legend", {}, "Networks that the device hears"),
      job.networks.map((network) => {
        const box = el("input", { type: "radio", name: "network", value: network.ssid });
        box.addEventListener("change", () => {
          ssid.value = network.ssid;
          passphrase.disabled = network.open;
          (network.open ? join : passphrase).focus();
        });
        return el("label", { class: "flag" }, box, el("span", { class: "ssid" }, network.ssid || "(hidden)"), el("span", { class: "hint" }, `${bars(network.rssi_dbm)} ${network.rssi_dbm} dBm, channel ${network.channel}, ${network.security}`));
      }),
      job.networks.length ? null : el("p", { class: "hint" }, "None. An ESP32 hears 2.4 GHz only; a name can be typed."),
    );
    const join = el("button", { type: "submit", class: "primary" }, "Join");
    const form = el(
      "form",
      { class: "form", novalidate: true },
      list,
      el("div", { class: "field" }, el("label", { for: "provision-ssid" }, "Network"), ssid),
      el("div", { class: "field" }, el("label", { for: "provision-passphrase" }, "Passphrase"), passphrase, el("p", { class: "hint" }, "Empty for an open network. It goes sealed to the device and is kept nowhere else.")),
      wrong,
      el("footer", {}, join),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      wrong.textContent = "";
      try {
        follow(await view.api.post(`${PATH}/${job.id}/network`, { ssid: ssid.value, passphrase: passphrase.disabled ? "" : passphrase.value }));
      } catch (error) {
        wrong.textContent = error.expected ? `${error.where}: expected ${error.expected}, found ${error.found}` : error.message;
      }
    });
    parts.choice.replaceChildren(form);
    (list.querySelector("input") ?? ssid).focus();
  };

  const drawEnd = (job) => {
    const end = ENDS[job.state];
    parts.cancel.hidden = Boolean(end);
    if (!end) return;
    const [tone, said] = end;
    const facts = [job.ssid && `network ${job.ssid}`, job.ip && `address ${job.ip}`].filter(Boolean).join(", ");
    parts.end.replaceChildren(
      el("p", { class: `verdict ${tone}` }, said, facts && job.state === "done" ? ` It is in ${facts}.` : ""),
      job.error ? el("p", { class: "reason" }, job.error) : "",
      el(
        "p",
        { class: "ways" },
        job.device && job.state === "done" ? el("a", { class: "button primary", href: `/device/${encodeURIComponent(job.device)}` }, `Look at ${job.device}`) : "",
        el("button", { type: "button", "data-action": "again", onclick: () => load() }, job.state === "done" ? "Another device" : "Try again"),
      ),
    );
  };

  const drawPast = (jobs) => {
    const over = jobs.filter((job) => job.state in ENDS && job.id !== shownJob);
    past.replaceChildren(
      over.length ? el("h2", {}, "Before") : "",
      el("ul", { class: "past" }, over.map((job) => el("li", {}, el("span", { class: ENDS[job.state][0] }, ENDS[job.state][1]), ` ${job.device ?? job.address} ${job.error}`))),
    );
  };

  await load();
  return {
    unmount() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}

/** Strength of a network in four steps, as a shape. */
function bars(dbm) {
  const count = dbm > -55 ? 4 : dbm > -67 ? 3 : dbm > -78 ? 2 : 1;
  return "▂▄▆█".slice(0, count).padEnd(4, "·");
}
