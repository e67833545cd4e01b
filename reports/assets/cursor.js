// One cursor over all strips of a run: the same instant everywhere, with the values beside the names.
// Values are read back from the drawn lines, so they are as exact as a pixel; the tables are exact.
"use strict";
(() => {
  const LEFT = 58, RIGHT = 1066;
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
  const points = (path) => path.points ??= (path.getAttribute("d").match(/[-\d.]+,[-\d.]+/g) ?? [])
    .map((pair) => pair.split(",").map(Number));
  const valueAt = (path, x, d) => {
    const all = points(path);
    let low = 0, high = all.length - 1;
    if (high < 0) return null;
    while (low < high) { const mid = (low + high) >> 1; if (all[mid][0] < x) low = mid + 1; else high = mid; }
    const near = low > 0 && x - all[low - 1][0] < all[low][0] - x ? all[low - 1] : all[low];
    if (Math.abs(near[0] - x) > 12) return null;
    return +d.v0 + (+d.y0 - near[1]) / (d.y0 - d.y1) * (d.v1 - d.v0);
  };
  const show = (article, x) => {
    for (const svg of article.querySelectorAll("svg.strip")) {
      const cursor = svg.querySelector(".cursor"), d = svg.dataset;
      cursor.setAttribute("x1", x); cursor.setAttribute("x2", x);
      const readout = svg.closest("figure")?.querySelector(".readout");
      if (!readout) continue;
      if (x < LEFT) { readout.textContent = ""; continue; }
      const t = +d.t0 + (x - LEFT) / (RIGHT - LEFT) * (d.t1 - d.t0);
      const digits = Math.max(0, 2 - Math.floor(Math.log10((d.v1 - d.v0) || 1)));
      const texts = [clock(t)];
      for (const path of svg.querySelectorAll(".line:not(.each)")) {
        const value = valueAt(path, x, d);
        if (value !== null) texts.push(`${path.dataset.label} ${value.toFixed(Math.min(digits, 3))}`);
      }
      readout.textContent = texts.join(" · ");
    }
  };
  for (const article of document.querySelectorAll("article")) {
    article.addEventListener("pointermove", (event) => {
      const svg = event.target.closest?.("svg.strip");
      if (!svg) return show(article, -9);
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * 1080;
      show(article, x < LEFT || x > RIGHT ? -9 : x);
    });
    article.addEventListener("pointerleave", () => show(article, -9));
  }
})();
