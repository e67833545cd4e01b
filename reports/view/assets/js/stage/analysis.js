// Figures of a recording, by Plotly: asked for on the page, and only then loaded. Dash calls these.
//
//   dash_clientside.stage.figures(clicks)         children of the section: Dash components as plain objects

import { longestStep_s } from "./strips.js";

/** Most points of a line in a figure: what is seen does not get better with more. */
const MOST_POINTS = 4000;
const BINS = 60;

const component = (type, props, namespace = "dash_html_components") => ({ type, namespace, props });

/** Numbers of a column within a window, at most `most`, evenly left out; null where no line may go. */
export function within(column, start_s, end_s, most = MOST_POINTS, longest_s = Infinity) {
  const t = [], v = [];
  let count = 0;
  for (const one of column.t) if (one >= start_s && one <= end_s) count++;
  const every = Math.max(1, Math.ceil(count / most));
  let place = 0;
  for (let i = 0; i < column.t.length; i++) {
    if (column.t[i] < start_s || column.t[i] > end_s) continue;
    if (place++ % every) continue;
    const at = column.t[i], last = t.length ? t[t.length - 1] : at;
    if (at - last > longest_s * every || column.gaps?.some(([from, to]) => from < at && to > last)) {
      t.push(last);
      v.push(null);
    }
    t.push(at);
    v.push(Number.isFinite(column.v[i]) ? column.v[i] : null);
  }
  return { t, v };
}

/** Pairs of two columns: each reading of the first with the newest of the second up to then. */
export function paired(a, b, start_s, end_s, longest_s = Infinity) {
  const x = [], y = [], t = [];
  let k = -1;
  for (let i = 0; i < a.t.length; i++) {
    const at = a.t[i];
    if (at < start_s || at > end_s) continue;
    while (k + 1 < b.t.length && b.t[k + 1] <= at) k++;
    if (k < 0 || at - b.t[k] > longest_s) continue;
    if (!Number.isFinite(a.v[i]) || !Number.isFinite(b.v[k])) continue;
    x.push(a.v[i]); y.push(b.v[k]); t.push(at);
  }
  return { x, y, t };
}

function looks(stage) {
  const { theme } = stage;
  const axis = { gridcolor: theme.grid, zerolinecolor: theme.rule, linecolor: theme.rule, automargin: false, tickfont: { size: 11 } };
  return {
    axis,
    layout: {
      paper_bgcolor: theme.paper, plot_bgcolor: theme.paper, font: { color: theme.ink, size: 12 },
      hoverlabel: { bgcolor: theme.paper, font: { color: theme.ink } }, showlegend: false, colorway: theme.series,
      margin: { l: 64, r: 14, t: 34, b: 40 },
    },
  };
}

/** All strips as one figure with one time axis. */
export function stripsFigure(stage, names, columns, start_s, end_s) {
  const { axis, layout } = looks(stage);
  const count = Math.max(names.length, 1), gap = 0.02;
  const height = (1 - gap * (count - 1)) / count;
  const figure = {
    data: [],
    layout: {
      ...layout, height: Math.max(320, 110 * count + 80), hovermode: "x", hoversubplots: "axis", title: { text: "All strips", font: { size: 13 }, x: 0.01 },
      xaxis: { ...axis, title: { text: stage.time.axis === "sim" ? "time, s" : "time, UTC" }, domain: [0, 1], anchor: count > 1 ? `y${count}` : "y" },
      grid: { rows: count, columns: 1, subplots: names.map((_, i) => [i ? `xy${i + 1}` : "xy"]), roworder: "top to bottom" },
    },
  };
  if (stage.time.axis === "sim") figure.layout.xaxis.range = [start_s - stage.epoch_s, end_s - stage.epoch_s];
  else { figure.layout.xaxis.type = "date"; figure.layout.xaxis.range = [new Date(start_s * 1000).toISOString(), new Date(end_s * 1000).toISOString()]; }
  const x = (t) => (stage.time.axis === "sim" ? t - stage.epoch_s : new Date(t * 1000).toISOString());
  const shapes = [];
  names.forEach((name, i) => {
    const id = i ? String(i + 1) : "", signal = stage.signalsByName.get(name);
    const column = columns.get(name) ?? { t: [], v: [] };
    const usual_s = longestStep_s(stage.book.step_s(name));
    const longest_s = column.raw ? usual_s : Math.max(usual_s, (end_s - start_s) / 500);
    const { t, v } = within(column, start_s, end_s, MOST_POINTS, longest_s);
    figure.data.push({
      type: "scatter", mode: "lines", name: signal?.label ?? name, x: t.map(x), y: v, xaxis: "x", yaxis: `y${id}`,
      line: { width: 1.3, color: stage.colourOf(name) }, connectgaps: false, hovertemplate: `%{y} ${signal?.unit ?? ""}<extra>${signal?.label ?? name}</extra>`,
    });
    const top = 1 - i * (height + gap);
    figure.layout[`yaxis${id}`] = {
      ...axis, domain: [Math.max(0, top - height), top], title: { text: `${signal?.label ?? name}${signal?.unit ? `<br>${signal.unit}` : ""}`, font: { size: 11 } }, nticks: 4,
    };
    for (const limit of stage.strips.find((strip) => strip.key === name)?.limits ?? []) {
      for (const value of [limit.min, limit.max]) {
        if (value === null || value === undefined) continue;
        shapes.push({
          type: "line", xref: "x", yref: `y${id}`, x0: x(limit.start_s ?? start_s), x1: x(limit.end_s ?? end_s), y0: value, y1: value,
          line: { color: stage.theme.bad, width: 1, dash: "dot" },
        });
      }
    }
  });
  figure.layout.shapes = shapes;
  return figure;
}

export function histogramFigure(stage, name, column, start_s, end_s) {
  const { axis, layout } = looks(stage), signal = stage.signalsByName.get(name);
  const { v } = within(column, start_s, end_s, 20_000);
  return {
    data: [{ type: "histogram", x: v.filter((y) => y !== null), nbinsx: BINS, marker: { color: stage.colourOf(name) }, hovertemplate: "%{x}: %{y}<extra></extra>" }],
    layout: {
      ...layout, height: 280, bargap: 0.04, title: { text: `How often: ${signal?.label ?? name}`, font: { size: 13 }, x: 0.01 },
      xaxis: { ...axis, title: { text: signal?.unit ?? "" } }, yaxis: { ...axis, title: { text: "readings" } },
    },
  };
}

export function againstFigure(stage, one, other, columns, start_s, end_s) {
  const { axis, layout } = looks(stage);
  const a = stage.signalsByName.get(one), b = stage.signalsByName.get(other);
  const found = paired(columns.get(one) ?? { t: [], v: [] }, columns.get(other) ?? { t: [], v: [] }, start_s, end_s, Math.max(5, stage.book.step_s(other) * 6));
  return {
    data: [{
      type: "scatter", mode: "markers", x: found.x, y: found.y, text: found.t.map((t) => stage.clock(t, 2)),
      marker: { size: 4, color: found.t.map((t) => t - start_s), colorscale: "Viridis", opacity: 0.75 }, hovertemplate: "%{x}, %{y} at %{text}<extra></extra>",
    }],
    layout: {
      ...layout, height: 280, title: { text: `${b?.label ?? other} against ${a?.label ?? one}`, font: { size: 13 }, x: 0.01 },
      xaxis: { ...axis, title: { text: `${a?.label ?? one} ${a?.unit ?? ""}` } }, yaxis: { ...axis, title: { text: `${b?.label ?? other} ${b?.unit ?? ""}` } },
    },
  };
}

const CONFIG = { displaylogo: false, responsive: true, toImageButtonOptions: { format: "svg", filename: "telerig" } };

function graph(id, figure, label) {
  return component("Div", {
    className: "analysis-figure", role: "img", "aria-label": label,
    children: component("Graph", { id, figure, config: CONFIG }, "dash_core_components"),
  });
}

/** Children of the analysis section, of what the stage shows now. */
export async function figures(stage, chosen = {}) {
  const { time } = stage, names = stage.selected.filter((name) => stage.signalsByName.has(name)).slice(0, 40);
  if (!names.length) return [component("P", { children: "No signal is chosen: there is nothing to draw.", className: "empty" })];
  const start = Math.max(time.start, time.first_s), end = Math.min(time.end, time.last_s);
  const columns = new Map();
  for (const name of names) columns.set(name, stage.book.column(name, "", start, end));
  const lit = chosen.signal && names.includes(chosen.signal) ? chosen.signal : stage.hover && names.includes(stage.hover) ? stage.hover : names[0];
  const other = chosen.other && names.includes(chosen.other) ? chosen.other : names.find((name) => name !== lit) ?? lit;
  // Of how often a value comes, the extremes of buckets say nothing: the readings themselves are asked for.
  if (columns.get(lit).raw === undefined || columns.get(lit).raw === false || !columns.get(other).raw) {
    const fine = await stage.source.series([lit, other], start, end, 40_000);
    for (const [name, column] of fine) columns.set(name, column);
  }
  return [
    component("Div", { className: "analysis-pair", children: [
      graph("analysis-histogram", histogramFigure(stage, lit, columns.get(lit), start, end), "Histogram"),
      graph("analysis-against", againstFigure(stage, lit, other, columns, start, end), "One signal against another"),
    ] }),
    graph("analysis-strips", stripsFigure(stage, names, columns, start, end), "All strips"),
  ];
}

/** What can be chosen: the first one, or any signal that is shown. */
function options(stage) {
  const shown = stage.selected.map((name) => [name, stage.signalsByName.get(name)?.label ?? name]);
  return [["", "the first one"], ...shown].map(([value, words]) => component("Option", { value, children: words, key: value }));
}

/** Choices are the browser's own: what is chosen stands in the document. */
const chosenIn = (id) => document.getElementById(id)?.value ?? "";

if (typeof window !== "undefined") {
  const noUpdate = () => window.dash_clientside?.no_update;
  window.dash_clientside = Object.assign(window.dash_clientside ?? {}, { stage: {
    async figures(clicks) {
      const stage = window.telerigView?.stage;
      if (!clicks || !stage?.book) return [noUpdate(), noUpdate(), noUpdate()];
      try {
        const chosen = { signal: chosenIn("analysis-signal"), other: chosenIn("analysis-other") };
        return [await figures(stage, chosen), options(stage), options(stage)];
      } catch (error) {
        return [[component("P", { className: "error-box", children: `The figures cannot be drawn: ${error.message}` })], noUpdate(), noUpdate()];
      }
    },
  } });
}
