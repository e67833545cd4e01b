// A table, whatever its listing (reports/view/listing.py) declares: rows of the API, sorted,
// filtered, searched, exported; with what may be done. On a phone a row becomes a card.
//
// Keyboard: "/" searches, up and down go from row to row, Enter opens.

import { el, errorBox } from "../words.js";
import { actionButton, offeredActions } from "../table/actions.js";
import { cellOf, NUMERIC } from "../table/cell.js";
import { save } from "../table/download.js";
import { csv, json, passing, rowsOf, sorted } from "../table/rows.js";
import { address, at, fits, isNone } from "../table/values.js";

export async function mount(element, options, view) {
  const table = new Table(element, options.listing, options.vars ?? {}, view);
  await table.start();
  return table;
}

class Table {
  constructor(element, listing, vars, view) {
    Object.assign(this, { element, listing, vars, view });
    this.rows = null;
    this.total = null;
    this.hasMore = false;
    this.wanted = listing.page_rows ?? 100;
    this.sort = listing.sort ?? "";
    this.search = "";
    this.filters = Object.fromEntries((listing.filters ?? []).map((one) => [one.name, one.value ?? ""]));
    this.marked = new Set();
    this.drawn = DRAWN_ROWS;
    this.off = [];
    this.asked = 0;
    this.abort = new AbortController();
  }

  async start() {
    if (this.listing.in_url) this.readUrl();
    this.build();
    const heard = () => this.build() ?? this.load();
    this.off.push(this.view.state.on("me", heard));
    const changed = (event) => event.detail?.name === this.listing.name && this.load();
    this.element.addEventListener("reload", () => this.load());
    addEventListener("listing-changed", changed);
    this.off.push(() => removeEventListener("listing-changed", changed));
    if (this.listing.refresh_s) this.timer = setInterval(() => this.refresh(), this.listing.refresh_s * 1000);
    await this.load();
  }

  unmount() {
    clearInterval(this.timer);
    clearTimeout(this.typing);
    this.abort.abort();
    for (const off of this.off) off();
    this.isOver = true;
  }

  /** What is not seen, or used right now, is not asked for again. */
  refresh() {
    if ((this.rows?.length ?? 0) > REFRESHED_ROWS) return;
    if (document.hidden || this.element.closest("[hidden]") || this.element.querySelector("details[open]")) return;
    this.load({ isQuiet: true });
  }

  get mayRead() {
    return this.view.state.can(this.listing.role ?? "viewer");
  }

  // Asking.

  query(limit, offset) {
    const query = { ...this.listing.query };
    for (const one of this.listing.filters ?? []) {
      if (!one.of_rows) query[one.name] = sent(one, this.filters[one.name]);
    }
    if (this.listing.paging) query.limit = limit;
    if (this.listing.paging === "offset") query.offset = offset;
    return query;
  }

  async load({ isQuiet = false } = {}) {
    if (!this.mayRead) return;
    const asked = (this.asked += 1);
    if (!isQuiet) this.element.setAttribute("aria-busy", "true");
    try {
      const answer = await this.get(this.query(Math.min(Math.max(this.wanted, this.rows?.length ?? 0), 10_000), 0));
      if (asked !== this.asked || this.isOver) return;
      this.problem.replaceChildren();
      const text = JSON.stringify(answer);
      if (isQuiet && text === this.text) return; // what somebody marks or reads stays as it is
      this.text = text;
      this.take(answer, [], Math.max(this.wanted, this.rows?.length ?? 0));
      this.draw();
    } catch (error) {
      if (asked !== this.asked || this.isOver || error.name === "AbortError") return;
      if (error.status === 404 && this.listing.missing) {
        clearInterval(this.timer); // it does not come by waiting
        this.problem.replaceChildren(el("p", { class: "empty" }, this.listing.missing));
        return;
      }
      this.problem.replaceChildren(errorBox(error, { view: this.view, again: () => this.load() }));
      this.text = "";
      this.foot.textContent = this.rows ? "What is shown may be old." : "";
    } finally {
      if (asked === this.asked) this.element.removeAttribute("aria-busy");
    }
  }

  get(query) {
    return this.view.api.get(address(this.listing.api, this.vars), query, { signal: this.abort.signal });
  }

  async more() {
    const { paging, before_key: beforeKey } = this.listing;
    const asked = (this.asked += 1);
    const query = this.query(this.wanted, this.rows.length);
    if (paging === "before") query.before = at(this.rows.at(-1), beforeKey);
    try {
      const answer = await this.get(query);
      if (asked !== this.asked || this.isOver) return;
      this.take(answer, this.rows, this.wanted);
      this.draw();
    } catch (error) {
      this.problem.replaceChildren(errorBox(error, { view: this.view, again: () => this.more() }));
    }
  }

  take(answer, before, limit) {
    const found = rowsOf(answer, this.listing.rows);
    const known = new Set(before.map((row) => this.key(row)));
    this.rows = [...before, ...found.filter((row) => !known.has(this.key(row)))];
    this.total = this.listing.total ? at(answer, this.listing.total) ?? null : null;
    this.hasMore = Boolean(this.listing.paging) &&
      (this.total === null ? found.length >= limit : this.rows.length < this.total);
  }

  key(row) {
    return String(at(row, this.listing.key ?? "id"));
  }

  get shown() {
    return sorted(this.listing, passing(this.listing, this.rows ?? [], this), this.sort);
  }

  // Building.

  build() {
    const { listing, view } = this;
    this.status = el("p", { class: "status", role: "status" });
    this.problem = el("div");
    this.foot = el("div", { class: "table-foot" });
    this.body = el("tbody");
    this.head = el("tr");
    if (!this.mayRead) {
      const who = listing.role === "admin" ? "an admin" : listing.role === "operator" ? "an operator" : "somebody who has signed in";
      this.element.replaceChildren(this.title() ?? "", el("p", { class: "empty" }, `This is for ${who}.`));
      return;
    }
    const actions = offeredActions(listing.actions, {}, view).map((one) => actionButton(one, this.context({})));
    this.element.replaceChildren(
      el("div", { class: "table-top" }, this.title(), el("div", { class: "table-actions" }, actions), this.tools()),
      listing.note ? el("p", { class: "note" }, listing.note) : "",
      this.finder(),
      this.status,
      this.problem,
      el("div", { class: "table-scroll" }, el("table", { class: "listing", "data-listing": listing.name },
        el("caption", { class: "visually-hidden" }, listing.title || listing.name), el("thead", {}, this.head), this.body)),
      this.foot,
    );
    this.body.addEventListener("keydown", (event) => this.step(event));
    this.body.addEventListener("click", (event) => this.follow(event));
    if (this.rows) this.draw();
  }

  title() {
    return this.listing.title ? el("h2", {}, this.listing.title) : null;
  }

  /** Search and filters. */
  finder() {
    const { listing } = this;
    this.searchBox = el("input", {
      type: "search",
      "aria-label": `Search ${listing.title || listing.name}`,
      placeholder: "Search",
      oninput: () => {
        this.search = this.searchBox.value;
        this.draw();
      },
    });
    this.searchBox.value = this.search;
    this.listenForSlash();
    this.found = el(
      "div",
      { class: "filters", role: "search" },
      this.searchBox,
      listing.filters?.length > 1 ? this.filterToggle() : null,
      (listing.filters ?? []).map((one) => this.filter(one)),
    );
    return this.found;
  }

  listenForSlash() {
    const key = (event) => {
      const isTyping = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("table.listing") !== this.element.querySelector("table.listing")) return;
      event.preventDefault();
      this.found.hidden = false;
      this.searchBox.focus();
    };
    this.offKey?.();
    document.addEventListener("keydown", key);
    this.offKey = () => document.removeEventListener("keydown", key);
    this.off.push(() => this.offKey());
  }

  /** A few rows need no search. */
  get needsFinder() {
    return this.listing.filters?.length > 0 || Boolean(this.search) || (this.rows?.length ?? 0) > FEW || this.hasMore;
  }

  tools() {
    const { listing } = this;
    const button = (label, name, onclick, title) => el("button", { type: "button", class: "quiet", "data-action": name, onclick, title }, label);
    return el(
      "div",
      { class: "tools" },
      listing.select ? (this.selectButton = el("button", { type: "button", "data-action": "select", onclick: () => this.selected() }, listing.select.label)) : null,
      button("Refresh", "refresh", () => this.load()),
      listing.csv
        ? el("a", { class: "button quiet", href: this.view.api.url(listing.csv), download: `${listing.name}.csv`, "data-action": "csv" }, "CSV")
        : button("CSV", "csv", () => save(`${listing.name}.csv`, csv(listing, this.shown), "text/csv"), "What is shown, as CSV"),
      button("JSON", "json", () => save(`${listing.name}.json`, json(this.shown), "application/json"), "What is shown, as JSON"),
    );
  }

  /** On a phone filters stand behind a button; where one is set they are shown. */
  filterToggle() {
    const isSet = Object.values(this.filters).some(Boolean);
    const button = el("button", { type: "button", class: "filter-toggle", "data-action": "filters", "aria-expanded": String(isSet) }, "Filters");
    button.addEventListener("click", () => button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") !== "true")));
    return button;
  }

  filter(one) {
    const change = (value, { isTyped = false } = {}) => {
      this.filters[one.name] = value;
      clearTimeout(this.typing);
      if (isTyped) {
        this.typing = setTimeout(apply, TYPING_MS);
        return null;
      }
      return apply();
    };
    const apply = () => {
      if (this.listing.in_url) this.writeUrl();
      if (one.of_rows) return this.draw();
      this.rows = null;
      return this.load();
    };
    const attributes = { "data-filter": one.name, name: one.name };
    if (one.kind === "text" || one.kind === "instant") {
      const input = el("input", { ...attributes, type: one.kind === "instant" ? "datetime-local" : "text", step: one.kind === "instant" ? "1" : null, value: this.filters[one.name] });
      input.addEventListener("input", () => change(input.value, { isTyped: true }));
      return el("label", {}, el("span", {}, one.label), input);
    }
    if (one.kind === "flag") {
      const box = el("input", { ...attributes, type: "checkbox", checked: this.filters[one.name] === "true" });
      box.addEventListener("change", () => change(box.checked ? "true" : ""));
      return el("label", { class: "flag" }, box, " ", one.label);
    }
    const input = el("select", attributes, el("option", { value: "" }, "all"), (one.choices ?? []).map(([value, word]) => el("option", { value }, word)));
    input.value = this.filters[one.name];
    input.addEventListener("change", () => change(input.value));
    return el("label", {}, el("span", {}, one.label), input);
  }

  readUrl() {
    const given = new URL(location.href).searchParams;
    for (const one of this.listing.filters ?? []) if (given.has(one.name)) this.filters[one.name] = given.get(one.name);
  }

  writeUrl() {
    const here = new URL(location.href);
    for (const one of this.listing.filters ?? []) {
      if (this.filters[one.name]) here.searchParams.set(one.name, this.filters[one.name]);
      else here.searchParams.delete(one.name);
    }
    history.replaceState(history.state, "", here);
  }

  // Drawing.

  /** Columns that nothing stands in are left out of a wide table. */
  get columns() {
    const { columns } = this.listing;
    if (columns.length <= MANY || !this.rows?.length) return columns;
    return columns.filter((column, index) => index === 0 || this.sort.endsWith(column.key) || this.rows.some((row) => !isNone(at(row, column.key))));
  }

  draw() {
    const rows = this.shown;
    const focused = this.focused();
    this.drawHead();
    this.body.replaceChildren(...rows.slice(0, this.drawn).map((row) => this.row(row)));
    this.drawFoot(rows.length);
    this.drawSelect();
    this.found.hidden = !this.needsFinder;
    if (focused) this.body.querySelector(`tr[data-key="${CSS.escape(focused.key)}"]`)?.querySelectorAll(FOCUSABLE)[focused.index]?.focus();
  }

  focused() {
    const row = this.body.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
    return row ? { key: row.dataset.key, index: [...row.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement) } : null;
  }

  drawHead() {
    const { listing } = this;
    const headings = this.columns.map((column) => {
      const way = this.sort === column.key ? "ascending" : this.sort === `-${column.key}` ? "descending" : null;
      const label = [column.label, column.unit ? el("span", { class: "unit" }, ` ${column.unit}`) : null];
      const mark = way ? el("span", { "aria-hidden": "true", class: "sort-mark" }, way === "ascending" ? " ▲" : " ▼") : null;
      const inside = column.sorts === false
        ? el("span", {}, label)
        : el("button", { type: "button", class: "sorter", "data-sort": column.key, onclick: () => this.sortBy(column, way) }, label, mark);
      return el("th", { scope: "col", "aria-sort": way, title: column.hint, class: NUMERIC.has(column.kind) ? "number" : null }, inside);
    });
    const isFocused = document.activeElement?.dataset?.sort;
    this.head.replaceChildren(
      ...(listing.select ? [el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, "Marked"))] : []),
      ...headings,
      ...(listing.row_actions?.length ? [el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, "Actions"))] : []),
    );
    if (isFocused) this.head.querySelector(`[data-sort="${CSS.escape(isFocused)}"]`)?.focus();
  }

  sortBy(column, way) {
    this.sort = way === "ascending" ? `-${column.key}` : way === "descending" ? "" : column.key;
    this.draw();
  }

  row(row) {
    const { listing, vars } = this;
    const key = this.key(row);
    const made = el("tr", { "data-key": key });
    if (listing.first && fits(row, listing.first)) made.classList.add("first");
    if (listing.select) made.append(el("td", { class: "mark" }, this.mark(key)));
    this.columns.forEach((column, index) => {
      const linked = index === 0 && listing.row_link ? { ...column, link: listing.row_link } : column;
      const cell = el(index === 0 ? "th" : "td", { scope: index === 0 ? "row" : null, "data-label": column.label, "data-column": column.key, class: NUMERIC.has(column.kind) ? "number" : null }, cellOf(linked, row, vars));
      if (isNone(at(row, column.key)) && column.kind !== "sign") cell.classList.add("is-none");
      if (column.unit && !isNone(at(row, column.key))) cell.append(el("span", { class: "unit card-only" }, ` ${column.unit}`));
      if (index === 0 && listing.problem && at(row, listing.problem)) {
        cell.append(el("p", { class: "row-problem" }, "⚠ ", String(at(row, listing.problem))));
      }
      made.append(cell);
    });
    if (listing.row_actions?.length) made.append(this.rowActions(row, key));
    return made;
  }

  rowActions(row, key) {
    const offered = offeredActions(this.listing.row_actions, row, this.view);
    const name = at(row, this.listing.columns[0].key);
    return el("td", { class: `row-actions ${offered.length ? "" : "is-none"}`.trim() }, offered.map((one) => actionButton(one, { ...this.context(row), name: String(isNone(name) ? key : name) })));
  }

  context(row) {
    return {
      view: this.view,
      row,
      vars: this.vars,
      say: (text, tone) => this.say(text, tone),
      done: () => this.load({ isQuiet: true }).then(() => dispatchEvent(new CustomEvent("listing-done", { detail: { name: this.listing.name } }))),
    };
  }

  say(text, tone = "") {
    this.status.className = `status ${tone ? `${tone}` : ""}`.trim();
    this.status.textContent = (tone === "good" ? "✓ " : tone === "bad" ? "✕ " : "") + text;
  }

  drawFoot(count) {
    const { listing } = this;
    const all = this.rows?.length ?? 0;
    if (this.rows === null) return;
    if (all === 0 && !this.hasMore) {
      const isFiltered = Object.values(this.filters).some(Boolean);
      this.foot.replaceChildren(el("p", { class: "empty" }, isFiltered ? "Nothing passes these filters." : listing.empty ?? "There is nothing here yet."));
      return;
    }
    const ofAll = this.total !== null && this.total > all ? ` of ${this.total}` : this.hasMore ? ", and there are more" : "";
    const text = count === all ? `${all} ${all === 1 ? "row" : "rows"}${ofAll}` : `${count} of the ${all} that are loaded${this.hasMore ? "; there are more" : ""}`;
    this.foot.replaceChildren(
      el("span", { class: "count" }, text),
      count > this.drawn
        ? el("button", { type: "button", "data-action": "more", onclick: () => this.drawMore() }, `Show more (${this.drawn} are shown)`)
        : this.hasMore
          ? el("button", { type: "button", "data-action": "more", onclick: () => this.more() }, "Load more")
          : "",
    );
  }

  drawMore() {
    this.drawn += DRAWN_ROWS;
    this.draw();
  }

  // Marked rows.

  mark(key) {
    const box = el("input", { type: "checkbox", "aria-label": `Mark ${key}`, checked: this.marked.has(key) });
    box.addEventListener("change", () => {
      if (box.checked) this.marked.add(key);
      else this.marked.delete(key);
      // A third one takes the place of the first: the last ones are meant.
      while (this.marked.size > this.listing.select.count) this.marked.delete(this.marked.values().next().value);
      for (const one of this.body.querySelectorAll("td.mark input")) one.checked = this.marked.has(one.closest("tr").dataset.key);
      this.drawSelect();
    });
    return box;
  }

  drawSelect() {
    if (!this.selectButton) return;
    const { count, label } = this.listing.select;
    const missing = count - this.marked.size;
    this.selectButton.setAttribute("aria-disabled", String(missing > 0));
    this.selectButton.textContent = missing > 0 ? `${label} (mark ${missing} more)` : label;
  }

  selected() {
    const [a, b] = this.marked;
    if (this.marked.size === this.listing.select.count) this.view.go(address(this.listing.select.link, { a, b }));
    else this.say(`Mark ${this.listing.select.count} rows first.`);
  }

  // Keyboard and pointer.

  step(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest("tr");
    if (!way || !row || event.target.matches("input:not([type=checkbox]), select")) return;
    const focusables = [...row.querySelectorAll(FOCUSABLE)];
    const next = way > 0 ? row.nextElementSibling : row.previousElementSibling;
    if (!next) return;
    event.preventDefault();
    const index = Math.max(0, focusables.indexOf(event.target));
    const others = next.querySelectorAll(FOCUSABLE);
    (others[index] ?? others[0])?.focus();
  }

  /** A click beside the controls of a row opens it. */
  follow(event) {
    if (!this.listing.row_link || event.target.closest("a, button, input, summary, details, label")) return;
    if (String(getSelection())) return; // somebody marks text to copy it
    event.target.closest("tr")?.querySelector("th a")?.click();
  }
}

const TYPING_MS = 300;
/** So many rows are made at a time: a browser takes its time over thousands. */
const DRAWN_ROWS = 300;
const REFRESHED_ROWS = 1000;
const MANY = 7;
const FEW = 5;
const FOCUSABLE = "a[href], button, input, summary";

/** A filter's value as the API takes it; instants without a zone are the reader's. */
function sent(filter, value) {
  if (filter.kind !== "instant" || !value) return value;
  const when = new Date(value);
  return Number.isNaN(when.getTime()) ? "" : when.toISOString();
}
