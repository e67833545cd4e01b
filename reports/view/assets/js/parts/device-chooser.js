// Which device or vehicle the page shows.

import { hubOf } from "../live/hub.js";
import { el } from "../words.js";

export function mount(element, options, view) {
  const { hub, release } = hubOf(view, options);
  const select = el("select", { "aria-label": "Device or vehicle" });
  select.addEventListener("change", () => {
    const query = new URLSearchParams(location.search);
    for (const key of ["device", "vehicle", "replay", "sig", "t", "win"]) query.delete(key);
    const [kind, ...rest] = select.value.split(":");
    if (rest.length) query.set(kind, rest.join(":"));
    const text = query.toString();
    view.go(`${location.pathname}${text ? `?${text}` : ""}`);
  });
  element.append(el("label", { class: "live-device" }, el("span", {}, "Device"), select));

  let drawn = "";
  const draw = () => {
    const key = JSON.stringify([hub.own, hub.devices, hub.shown]);
    if (key === drawn) return;
    drawn = key;
    const ids = [...new Set([hub.own, ...hub.devices.filter((one) => one.active).map((one) => one.id)])].filter(Boolean);
    const vins = new Map();
    for (const one of hub.devices) if (one.vin) vins.set(one.vin, [...(vins.get(one.vin) ?? []), one.id]);
    const name = (id) => hub.devices.find((one) => one.id === id)?.name;
    const choices = ids.map((id) => option(`device:${id}`, name(id) ? `${name(id)} (${id})` : id === hub.own ? `${id} (this gateway)` : id));
    const vehicles = [...vins].map(([vin, of]) => option(`vehicle:${vin}`, `${vin} (${of.join(", ")})`));
    const { device, vehicle } = hub.wanted;
    const now = vehicle.length ? `vehicle:${vehicle[0]}` : `device:${device.length ? device.join(",") : hub.device}`;
    if (hub.shown.length > 1 && !vehicle.length) choices.unshift(option(now, hub.shown.join(", ")));
    if (hub.replay) choices.unshift(option(now, `Replay of ${hub.device}`));
    if (device.length === 1 && !ids.includes(device[0])) choices.unshift(option(now, `${device[0]} (unknown)`));
    select.replaceChildren(...choices, vehicles.length ? el("optgroup", { label: "Vehicles" }, vehicles) : "");
    select.value = now;
    select.disabled = select.options.length === 0;
  };
  const off = hub.on((message) => { if (message.type === "info" || message.type === "state") draw(); });
  draw();
  return { unmount() { off(); release(); } };
}

function option(value, text) { return el("option", { value }, text); }
