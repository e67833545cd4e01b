// Mounts the stage over a source whose readings are known, for tests; evaluated by Playwright.
// options: {kind, live, signals, hz, length_s, info, fails: [methods], size, settings}
async (options) => {
  const base = document.querySelector('script[type=module][src]').src.replace(/main\.js.*/, '');
  const { Source } = await import(`${base}stage/source.js`);
  const { mount } = await import(`${base}parts/stage.js`);
  const EPOCH_S = 1767225600;
  const hz = options.hz ?? 10, length_s = options.length_s ?? 100, live = options.live ?? false;
  const names = Array.from({ length: options.signals ?? 3 }, (_, i) => `SIG_${i}`);
  const value = (name, t) => Math.round(((Number(name.slice(4)) + 1) * 10 + 5 * Math.sin((t - EPOCH_S) / 4)) * 100) / 100;
  const test = window.test = { asked: [], listeners: new Set(), value, names, EPOCH_S, fails: new Set(options.fails ?? []), closed: 0 };
  test.emit = (message) => { for (const fn of test.listeners) fn(message); };
  class Known extends Source {
    kind = options.kind ?? (live ? 'live' : 'run');
    async open() {
      return {
        id: 'known', title: 'known', kind: this.kind, live, epoch_s: live ? null : EPOCH_S,
        start_s: live ? null : EPOCH_S, end_s: live ? null : EPOCH_S + length_s, heartbeat_s: live ? 0.3 : undefined,
        has: { truth: true, layers: ['reported', 'truth', 'stored'] },
        signals: names.map((name, i) => ({
          name, label: `Signal ${i}`, unit: ['km/h', 'rpm', ''][i % 3], resolution: 0.01, group: i % 2 ? 'gps' : 'obd', layers: ['reported', 'truth', 'stored'],
        })),
        ...options.info,
      };
    }
    async series(wanted, start_s, end_s, points, layer) {
      test.asked.push({ wanted, start_s, end_s, points, layer });
      if (test.fails.has('series')) throw new Error('the store is away');
      if (live) return new Map();
      const from = Math.max(start_s, EPOCH_S), to = Math.min(end_s, EPOCH_S + length_s), found = new Map();
      const first = Math.ceil((from - EPOCH_S) * hz), last = Math.floor((to - EPOCH_S) * hz + 1e-6);
      const all = Math.max(0, last - first + 1), every = Math.max(1, Math.ceil(all / points));
      for (const name of wanted) {
        const t = [], v = [];
        for (let i = first; i <= last; i += every) {
          const at = EPOCH_S + i / hz;
          if (options.gap && i / hz > options.gap[0] && i / hz < options.gap[1]) continue;
          t.push(at);
          v.push(options.nan && i / hz > options.nan[0] && i / hz < options.nan[1] ? NaN : layer === 'truth' ? value(name, at) + 1 : value(name, at));
        }
        found.set(name, { t: Float64Array.from(t), v: Float64Array.from(v), raw: every === 1 });
      }
      return found;
    }
    async at(wanted, t_s) {
      const at = EPOCH_S + Math.floor((t_s - EPOCH_S) * hz + 1e-6) / hz;
      return new Map(wanted.map((name) => [name, { t: at, v: value(name, at) }]));
    }
    async overview() {
      if (test.fails.has('overview')) throw new Error('no overview');
      if (live) return null;
      const line = (await this.series([names[0]], -Infinity, Infinity, 400)).get(names[0]);
      return { start_s: EPOCH_S, end_s: EPOCH_S + length_s, series: { ...line, name: names[0] }, marks: [] };
    }
    async events() {
      if (test.fails.has('events')) throw new Error('no events');
      return (options.events ?? []).map((event) => ({ ...event, t: event.t + EPOCH_S }));
    }
    subscribe(fn) { test.listeners.add(fn); return () => test.listeners.delete(fn); }
    close() { test.closed++; }
  }
  test.mount = async () => {
    document.getElementById('page').innerHTML = '<div class="page page-wide"><h1 class="visually-hidden">Stage</h1><div id="stage" class="part part-stage"></div></div>';
    const view = { ...window.telerig, settings: { windowS: 30, points: 1200, ...options.settings } };
    test.mounted = await mount(document.getElementById('stage'), { kind: live ? 'live' : 'run', open: async () => new Known() }, view);
    if (live) test.emit({ type: 'state', connection: 'up' });
  };
  test.feed = (count = 1, step_s = 0.05, from_s = Date.now() / 1000) => {
    for (let i = 0; i < count; i++) {
      const t = from_s + (i - count + 1) * step_s;
      test.emit({ type: 'readings', rows: names.map((name) => [name, t, value(name, t), 0]) });
    }
    return from_s;
  };
  /** Pixels of the strips' canvas in a box of the strip `i` that are much more red than green and blue. */
  test.pixels = (i, from, to, choose) => {
    const { box, canvas, scroll } = telerigView.stage, ratio = canvas.ratio;
    const x = Math.round((box.x + box.w * from) * ratio), w = Math.max(1, Math.round(box.w * (to - from) * ratio));
    const y = Math.round((i * box.rowHeight - scroll.scrollTop) * ratio), h = Math.round((box.rowHeight - 1) * ratio);
    const { data } = canvas.getContext('2d').getImageData(x, y, w, h);
    let count = 0;
    for (let k = 0; k < data.length; k += 4) if (choose(data[k], data[k + 1], data[k + 2], data[k + 3])) count++;
    return count;
  };
  await test.mount();
}
