// Commands to a device: one of its templates, a form made of the template's schema, and what became of it.

import { el, errorBox, wordsOf } from "../words.js";
import { confirmed } from "../form/dialog.js";
import { formView } from "../form/view.js";
import { fieldOf, fieldsOf } from "../form/schema.js";

const WAIT_S = 20;
const OPEN = new Set(["queued", "sent", "accepted"]);
const WORDS = {
  queued: "… waits for the device to ask",
  sent: "→ handed to the device",
  accepted: "▶ accepted, at work",
  done: "✔ done",
  failed: "✖ failed",
  refused: "✖ refused by the device",
  timed_out: "⌛ no answer in time",
};
const TONES = { done: "good", failed: "bad", refused: "bad", timed_out: "warn" };
/** Only asks: these change nothing, so nobody is asked whether it is meant. */
const READS = /^(read|get|list|show|status|ping|identify|scan)/i;

export async function mount(element, options, view) {
  const base = `/api/v1/devices/${encodeURIComponent(options.device)}`;
  const inside = el("div", { class: "command" });
  const status = el("p", { class: "status", role: "status" });
  let isOver = false, templates = [];
  element.append(el("h2", {}, "Order a command"), inside, status);

  const load = async () => {
    try {
      templates = (await view.api.get(`${base}/templates`)).templates;
    } catch (error) {
      if (error.status === 404) inside.replaceChildren(el("p", { class: "empty" }, "A device that is not in the registry takes no commands."));
      else inside.replaceChildren(errorBox(error, { view, again: load }));
      return;
    }
    if (isOver) return;
    if (!templates.length) {
      inside.replaceChildren(el("p", { class: "empty" }, "This device has told of no command yet: it does so when it first connects."));
      return;
    }
    const place = el("div");
    const choose = el(
      "select",
      { name: "template", "data-control": "template" },
      templates.map((one) => el("option", { value: one.name }, one.name)),
    );
    const about = el("p", { class: "hint", id: "template-about" });
    choose.setAttribute("aria-describedby", "template-about");
    const show = () => {
      const template = templates.find((one) => one.name === choose.value);
      about.textContent = template.description;
      return build(place, template);
    };
    choose.addEventListener("change", show);
    inside.replaceChildren(el("div", { class: "field" }, el("label", {}, "Command ", choose), about), place);
    await show();
  };

  const build = async (place, template) => {
    const schema = template.parameters ?? {};
    const fields = fieldsOf(schema, schema);
    if (!view.state.can("operator")) {
      const names = fields.map((one) => one.label).join(", ");
      place.replaceChildren(el("p", { class: "note" }, `${names ? `Parameters: ${names}. ` : "No parameters. "}An operator can order it.`));
      return;
    }
    const timeout = fieldOf(
      { name: "timeout_s", label: "Give it up after (s)", hint: "A device that is asleep answers later." },
      { type: "number", exclusiveMinimum: 0, maximum: 604800, default: 30 }, true,
    );
    const form = { submit: `Order ${template.name}` };
    const made = await formView(form, [...fields, timeout], {
      view,
      send: async ({ timeout_s: timeoutS, ...parameters }) => {
        if (!READS.test(template.name)) {
          const said = Object.keys(parameters).length ? ` with ${JSON.stringify(parameters)}` : "";
          if (!(await confirmed(`Order ${template.name}`, `Order ${template.name}${said} from ${options.device}?`, "Order it", "primary"))) return;
        }
        const { command } = await view.api.post(`${base}/commands`, { name: template.name, parameters, timeout_s: timeoutS });
        changed();
        follow(command); // goes on while the next one is ordered
      },
    });
    made.element.dataset.command = template.name;
    place.replaceChildren(made.element);
  };

  /** Tell how it stands until it has ended. */
  const follow = async (command) => {
    let now = command;
    while (!isOver) {
      say(now);
      if (!OPEN.has(now.state)) break;
      try {
        const before = now.state;
        now = (await view.api.get(`${base}/commands/${now.id}`, { wait_s: before === "accepted" ? WAIT_S : 1 })).command;
      } catch (error) {
        status.className = "status bad";
        status.textContent = wordsOf(error).join(": ");
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
    changed();
  };
  const say = (command) => {
    status.className = `status ${TONES[command.state] ?? ""}`;
    status.dataset.state = command.state;
    status.textContent = `${command.name} (${command.id}): ${WORDS[command.state] ?? command.state}${command.detail ? ` – ${command.detail}` : ""}`;
  };
  const changed = () => dispatchEvent(new CustomEvent("listing-changed", { detail: { name: "commands" } }));

  await load();
  const off = view.state.on("me", load);
  return {
    unmount() {
      isOver = true;
      off();
    },
  };
}
