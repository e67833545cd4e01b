// Both recordings as one Plotly figure: a strip for each signal, its difference below, one axis for all.

const STRIP = 1, DIFFERENCE = 0.45, GAP = 0.12;
const PIXELS = 120;

const listOf = (values) => Array.from(values, (y) => (Number.isFinite(y) ? y : null));

/**
 * @param {[{name, unit, a: {x, v}, b: {x, v}, d: {x, v}, limits?: [[Limit], [Limit]]}]} rows limits: of both
 * @param {{axisWords, range, theme, names: [string, string], mark}} looks mark: x of the first difference, or NaN
 */
export function compareFigure(rows, { axisWords, range, theme, names, mark }) {
  const axis = { gridcolor: theme.grid, zerolinecolor: theme.rule, linecolor: theme.rule, automargin: false, tickfont: { size: 11 } };
  const total = rows.length * (STRIP + DIFFERENCE + GAP);
  const figure = {
    data: [],
    layout: {
      paper_bgcolor: theme.paper, plot_bgcolor: theme.paper, font: { color: theme.ink, size: 12 }, showlegend: true,
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12 } },
      hovermode: "x", hoversubplots: "axis", hoverlabel: { bgcolor: theme.paper, font: { color: theme.ink } },
      margin: { l: 76, r: 14, t: 40, b: 44 }, height: Math.max(300, Math.round(total * PIXELS) + 84), uirevision: String(range), shapes: [],
      xaxis: { ...axis, title: { text: axisWords }, range: range ?? undefined, anchor: `y${rows.length * 2 > 1 ? rows.length * 2 : ""}` },
    },
  };
  let top = 1;
  rows.forEach((row, i) => {
    const value = i ? String(i * 2 + 1) : "", change = String(i * 2 + 2);
    const unit = row.unit ? ` ${row.unit}` : "";
    const line = (column, label, y, look) => ({
      type: "scatter", mode: "lines", name: label, legendgroup: label, showlegend: i === 0, x: Array.from(column.x), y: listOf(column.v), xaxis: "x", yaxis: `y${y}`,
      connectgaps: false, hovertemplate: `%{y:.5~g}${unit}<extra>${label}</extra>`, line: look,
    });
    figure.data.push(
      line(row.a, names[0], value, { width: 1.6, color: theme.series[0] }),
      line(row.b, names[1], value, { width: 1.3, color: theme.series[1], dash: "4px,2px" }),
      { ...line(row.d, "difference", change, { width: 1.1, color: theme.soft }), fill: "tozeroy", fillcolor: theme.fill },
    );
    const bottom = top - STRIP / total, under = bottom - DIFFERENCE / total;
    figure.layout[`yaxis${value}`] = { ...axis, domain: [bottom, top], nticks: 4, title: { text: `${row.name}<br>${row.unit}`, font: { size: 11 } } };
    figure.layout[`yaxis${change}`] = { ...axis, domain: [Math.max(0, under), bottom - 0.01 / rows.length], nticks: 3, title: { text: "Δ", font: { size: 11 } } };
    figure.layout.shapes.push(...limitLines(row.limits, `y${value}`, theme));
    top = under - GAP / total;
  });
  if (Number.isFinite(mark)) {
    figure.layout.shapes.push({ type: "line", xref: "x", yref: "paper", x0: mark, x1: mark, y0: 0, y1: 1, line: { color: theme.bad, width: 1.2, dash: "dot" } });
  }
  return figure;
}

/** Bounds of both as lines; one that both have stands there once. */
function limitLines([first, second] = [[], []], y, theme) {
  const colours = new Map();
  for (const [limits, colour] of [[first, theme.series[0]], [second, theme.series[1]]]) {
    for (const limit of limits) for (const bound of [limit.min, limit.max]) {
      if (Number.isFinite(bound)) colours.set(bound, colours.has(bound) && colours.get(bound) !== colour ? theme.bad : colour);
    }
  }
  return [...colours].map(([bound, color]) => ({ type: "line", xref: "x domain", yref: y, x0: 0, x1: 1, y0: bound, y1: bound, line: { color, width: 1, dash: "dot" } }));
}
