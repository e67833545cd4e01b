// Fingers, mouse and keys on the map: pan, zoom, seek.

const MOVED_PX = 4;

export function bindGestures(map) {
  const { canvas } = map, pointers = new Map();
  let moved = false, pinch = 0;
  const at = (event) => {
    const frame = canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    moved = pointers.size > 1;
    pinch = spread(pointers);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [X, Y] = at(event), before = pointers.get(event.pointerId);
    if (!before) { if (event.pointerType === "mouse") map.pointAt(X, Y); return; }
    if (!moved && Math.hypot(X - before[0], Y - before[1]) < MOVED_PX) return;
    moved = true;
    pointers.set(event.pointerId, [X, Y]);
    map.isFitted = false;
    if (pointers.size === 2) {
      const now = spread(pointers), [a, b] = [...pointers.values()];
      if (pinch > 0 && now > 0) map.sight.zoom(now / pinch, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      pinch = now;
    } else {
      map.sight.pan(X - before[0], Y - before[1]);
    }
    map.again();
  });
  const up = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (!moved && event.type === "pointerup") map.seek(...at(event));
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => map.stage.time.set({ hover: NaN }));
  canvas.addEventListener("wheel", (event) => {
    // The page scrolls; with a key held down the map zooms, and where it has the focus.
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
    event.preventDefault();
    map.zoom(2 ** (-event.deltaY / 300), ...at(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => map.zoom(2, ...at(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) { map.isFitted = false; map.sight.pan(...step); map.again(); }
    else if (event.key === "+" || event.key === "=") map.zoom(1.5);
    else if (event.key === "-") map.zoom(1 / 1.5);
    else if (event.key === "0") map.fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

function spread(pointers) {
  const [a, b] = [...pointers.values()];
  return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
}
