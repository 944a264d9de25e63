// Mouse, touch and keyboard.

/** The operation at a point of the canvas, or -1. */
function hit(x, y) {
  const all = tops().map((top) => top - scroller.scrollTop);
  const lane = all.findIndex((top, number) => y >= top && y < (all[number + 1] ?? top));
  if (lane < 0 || x < left() || y < HEAD) return -1;
  const { lanes, row } = layout(view.mode);
  const { operations } = lanes[lane];
  const slack = ((view.end - view.begin) / (right() - left())) * 3;
  const time = toTime(x);
  const wanted = Math.floor((y - all[lane]) / ROW);
  let [best, distance] = [-1, Infinity];
  const consider = (i) => {
    if (end(i) + slack < time) return;
    const away = Math.abs(row[i] - wanted) * facts.end + Math.abs(op.time[i] - time);
    if (away < distance) [best, distance] = [i, away];
  };
  for (let at = from(operations, time + slack) - 1; at >= 0; at--) {
    const i = operations[at];
    if (op.time[i] < time - longest - slack) break;
    consider(i);
  }
  openFrom.filter((i) => laneOf(view.mode, i) === lane && op.time[i] <= time).forEach(consider);
  return best;
}

const point = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

const pointers = new Map();
let moved = false;
canvas.addEventListener('pointerdown', (event) => {
  pointers.set(event.pointerId, point(event));
  canvas.setPointerCapture(event.pointerId);
  moved = false;
});
canvas.addEventListener('pointermove', (event) => {
  const [x, y] = point(event);
  const last = pointers.get(event.pointerId);
  if (!last) {
    const i = hit(x, y);
    canvas.style.cursor = i >= 0 ? 'pointer' : 'grab';
    if (i >= 0 || view.selected < 0) describe(i);
    return;
  }
  if (Math.abs(x - last[0]) + Math.abs(y - last[1]) > 2) moved = true;
  const perPixel = (view.end - view.begin) / (right() - left());
  if (pointers.size === 2) {
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const [before, now] = [Math.abs(last[0] - other[0]), Math.abs(x - other[0])];
    if (before > 8 && now > 8) zoomBy(before / now, toTime((x + other[0]) / 2));
  } else if (moved) {
    pan((last[0] - x) * perPixel);
    if (event.pointerType === 'mouse') scroller.scrollTop += last[1] - y;
  }
  pointers.set(event.pointerId, [x, y]);
});
const lift = (event) => {
  pointers.delete(event.pointerId);
  if (event.type !== 'pointerup' || moved) return;
  const i = hit(...point(event));
  select(i);
};
canvas.addEventListener('pointerup', lift);
canvas.addEventListener('pointercancel', lift);
canvas.addEventListener('pointerleave', () => {
  if (view.selected >= 0) describe(view.selected);
});
canvas.addEventListener('dblclick', (event) => zoomBy(0.25, toTime(point(event)[0])));

// A page scrolls under the pointer unless the lanes were asked for, by a key or by a click.
canvas.addEventListener(
  'wheel',
  (event) => {
    const asked = event.ctrlKey || event.metaKey || document.activeElement === scroller;
    const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!asked && !sideways) return;
    event.preventDefault();
    const perPixel = (view.end - view.begin) / (right() - left());
    if (sideways) pan((event.deltaX || event.deltaY) * perPixel);
    else zoomBy(Math.exp(Math.max(-100, Math.min(100, event.deltaY)) / 250), toTime(point(event)[0]));
  },
  { passive: false },
);

const whole = () => zoom(0, facts.end);
const KEYS = {
  '+': () => zoomBy(0.5, centre()),
  '=': () => zoomBy(0.5, centre()),
  '-': () => zoomBy(2, centre()),
  0: whole,
  f: stepFinding,
  ArrowLeft: (event) => (event.shiftKey ? pan((view.begin - view.end) / 4) : step(-1)),
  ArrowRight: (event) => (event.shiftKey ? pan((view.end - view.begin) / 4) : step(1)),
  ArrowUp: () => stepLane(-1),
  ArrowDown: () => stepLane(1),
  Enter: () => view.selected >= 0 && select(view.selected, { reveal: true }),
  Escape: () => select(-1),
};
/** What to zoom around: what is selected, if it is in view. */
function centre() {
  const time = view.selected < 0 ? -1 : op.time[view.selected];
  return time >= view.begin && time <= view.end ? time : (view.begin + view.end) / 2;
}
scroller.addEventListener('keydown', (event) => {
  const action = KEYS[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action(event);
});

const BUTTONS = { in: KEYS['+'], out: KEYS['-'], whole, previous: () => step(-1), next: () => step(1), finding: stepFinding };
for (const [name, action] of Object.entries(BUTTONS)) field(name).addEventListener('click', action);
field('finding').hidden = facts.findings.length === 0;
for (const choice of document.getElementsByName('explore-mode')) {
  choice.addEventListener('change', () => {
    mode(choice.value);
    address(view.selected < 0 ? {} : { op: op.index[view.selected] });
  });
}
field('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const asked = field('find').value.trim();
  if (goTo(asked)) {
    field('find').value = '';
    filter();
  } else if (view.matched.length > 0) {
    select(view.matched[0], { reveal: true });
  }
});
field('form').addEventListener('input', () => {
  filter();
  address(view.selected < 0 ? {} : { op: op.index[view.selected] });
});
field('form').addEventListener('reset', () => {
  setTimeout(() => {
    filter();
    address();
  });
});

scroller.addEventListener('scroll', draw);
new ResizeObserver(draw).observe(scroller);
addEventListener('hashchange', follow);
field('off').hidden = true;
field('app').hidden = false;
mode('node');
filter();
follow();
scroller.dataset.ready = 'yes';
