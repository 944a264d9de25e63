// Draws the lanes: densities from afar, single operations from near.

const scroller = element('explore-lanes');
const canvas = element('explore-canvas');
const pen = canvas.getContext('2d', { alpha: false });
const HEAD = 36;
const ROW = 9;
/** More operations than this are drawn as densities. */
const MOST_BARS = 2500;

const view = {
  mode: 'node',
  begin: 0,
  end: facts.end,
  /** The place of the selected operation, or -1. */
  selected: -1,
  /** A moment that is marked, or null. */
  moment: null,
  /** Which operations match, or null if nothing is asked for; and the same as a list by time. */
  matching: null,
  matched: [],
};

const narrow = () => canvas.clientWidth < 600;
const left = () => (narrow() ? 58 : 84);
const right = () => canvas.clientWidth - 8;
const toX = (time) => left() + ((time - view.begin) / (view.end - view.begin)) * (right() - left());
const toTime = (x) => view.begin + ((x - left()) / (right() - left())) * (view.end - view.begin);

/** Room below the operations of a lane: for roles, for names, for nothing. */
const BELOW = { client: 10, node: 14, key: 6 };

/** Where each lane begins, and where the last ends, without scrolling. */
function tops() {
  const { lanes } = layout(view.mode);
  const all = [HEAD];
  for (const lane of lanes) {
    const rows = Math.max(lane.until.length, 1);
    all.push(all[all.length - 1] + Math.max(rows * ROW, 14) + BELOW[view.mode]);
  }
  return all;
}

let colours = null;
const dark = matchMedia('(prefers-color-scheme: dark)');
dark.addEventListener('change', () => {
  colours = null;
  pictures.clear();
  draw();
});
function colour(name) {
  colours ??= new Map();
  if (!colours.has(name)) {
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  }
  return colours.get(name);
}

let planned = false;
function draw() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    paint();
  });
}

function paint() {
  const width = scroller.clientWidth;
  const heights = tops();
  const content = heights[heights.length - 1] + 4;
  const height = Math.min(content, Math.max(320, innerHeight * 0.7));
  element('explore-spacer').style.height = `${Math.max(content - height, 0)}px`;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.fillStyle = colour('page');
  pen.fillRect(0, 0, width, height);
  pen.font = '12px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  const top = heights.map((y) => y - scroller.scrollTop);
  paintFaults(height);
  paintLanes(top, height);
  paintHead(width);
  paintMarks(height);
  Object.assign(scroller.dataset, {
    mode: view.mode,
    begin: view.begin,
    end: view.end,
    selected: view.selected < 0 ? '' : op.index[view.selected],
    bars: painted,
  });
}

function clipped(began, ended) {
  const x = Math.max(toX(began), left());
  const until = Math.min(toX(ended), right());
  return until >= x && ended >= view.begin && began <= view.end ? [x, Math.max(until - x, 1)] : null;
}

function paintFaults(height) {
  for (const fault of facts.faults) {
    const span = clipped(fault.began, fault.ended);
    if (!span) continue;
    pen.globalAlpha = fault.had_effect ? 0.11 : 0.05;
    pen.fillStyle = colour('fault');
    pen.fillRect(span[0], HEAD - 2, span[1], height - HEAD);
  }
  pen.globalAlpha = 1;
}

function paintLanes(top, height) {
  const { lanes } = layout(view.mode);
  const bars = inView(byTime, MOST_BARS);
  const dense = bars === null;
  painted = dense ? 0 : bars.length;
  lanes.forEach((lane, number) => {
    if (top[number + 1] < HEAD || top[number] > height) return;
    pen.fillStyle = colour('grid');
    pen.fillRect(left(), top[number + 1] - 3, right() - left(), 1);
    if (dense || facts.stretches) paintDensity(number, top, dense && !view.matching ? 1 : 0.35);
    if (view.mode === 'node') paintRoles(number, top[number + 1] - 13);
  });
  if (!dense) bars.forEach((i) => paintBar(i, top, height));
  else {
    thinned(inView(view.matched, Infinity)).forEach((i) => paintBar(i, top, height));
    proofs.forEach((i) => paintBar(i, top, height));
  }
  if (view.selected >= 0) paintBar(view.selected, top, height);
  pen.fillStyle = colour('page');
  pen.fillRect(0, HEAD - 2, left() - 1, height);
  lanes.forEach((_, number) => {
    const middle = (top[number] + top[number + 1] - 6) / 2;
    if (middle < HEAD || middle > height) return;
    pen.fillStyle = colour('quiet');
    pen.textAlign = 'right';
    pen.fillText(MODES[view.mode][number], left() - 6, middle, left() - 8);
  });
  pen.textAlign = 'left';
}

let painted = 0;

/** Those of `operations`, by time, that are open at some time of the view; null if they are more. */
function inView(operations, most) {
  const until = from(operations, view.end);
  const first = from(operations, view.begin);
  if (until - first > most) return null;
  const list = openFrom.filter((i) => op.time[i] < view.begin && (!view.matching || operations === byTime || view.matching[i]));
  for (let at = from(operations, view.begin - longest); at < until; at++) {
    if (at >= first || (end(operations[at]) >= view.begin && outcome(operations[at]) !== OPEN)) list.push(operations[at]);
  }
  return list.length > most ? null : list;
}

/** At most so many of a list as can be painted in a frame. */
function thinned(list) {
  const step = Math.ceil(list.length / MOST_BARS);
  return step > 1 ? list.filter((_, place) => place % step === 0) : list;
}

/** Densities as pictures of one pixel for each stretch of each lane, by level. */
const pictures = new Map();
function picture(level) {
  if (pictures.has(level)) return pictures.get(level);
  const lanes = level.ok.length / level.stretches;
  let most = 1;
  for (let i = 0; i < level.ok.length; i++) most = Math.max(most, level.ok[i], level.others[i]);
  const drawn = (counts, name) => {
    const pixels = new ImageData(level.stretches, lanes);
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
    for (let i = 0; i < counts.length; i++) {
      // One operation among thousands must be seen.
      const strength = counts[i] > 0 ? 0.2 + 0.8 * (Math.log1p(counts[i]) / Math.log1p(most)) : 0;
      pixels.data.set([red, green, blue, strength * 255], 4 * i);
    }
    const image = document.createElement('canvas');
    [image.width, image.height] = [level.stretches, lanes];
    image.getContext('2d').putImageData(pixels, 0, 0);
    return image;
  };
  pictures.set(level, [drawn(level.ok, 'ok'), drawn(level.others, 'info')]);
  return pictures.get(level);
}

function paintDensity(number, top, strength) {
  const wanted = (facts.end / (view.end - view.begin)) * ((right() - left()) / 2);
  const all = densities[view.mode];
  const level = all.find((it) => it.stretches <= wanted) || all[all.length - 1];
  const perStretch = level.stretches / facts.end;
  const [from, span] = [view.begin * perStretch, (view.end - view.begin) * perStretch];
  const height = top[number + 1] - top[number] - BELOW[view.mode];
  const [ok, others] = picture(level);
  pen.globalAlpha = strength;
  pen.imageSmoothingEnabled = false;
  pen.drawImage(ok, from, number, span, 1, left(), top[number], right() - left(), height);
  pen.drawImage(others, from, number, span, 1, left(), top[number] + height * 0.7, right() - left(), height * 0.3);
  pen.globalAlpha = 1;
}

function paintBar(i, top, height) {
  const { row } = layout(view.mode);
  const y = top[laneOf(view.mode, i)] + row[i] * ROW;
  const span = clipped(op.time[i], end(i));
  if (!span || y < HEAD - ROW || y > height) return;
  const [x, width] = [span[0], Math.max(span[1], 2)];
  const proof = findingOf.has(op.index[i]);
  pen.globalAlpha = view.matching && !view.matching[i] ? 0.15 : 1;
  const reads = kind(i) === 'read';
  const paint = outcome(i) === 1 ? 'fail' : outcome(i) > 1 ? 'info' : 'ok';
  pen.fillStyle = colour(reads && paint === 'ok' ? 'ok-soft' : paint);
  pen.fillRect(x, y, width, ROW - 2);
  if (proof || i === view.selected || (reads && width > 6)) {
    pen.strokeStyle = colour(i === view.selected ? 'ink' : proof ? 'bad' : 'ok');
    pen.lineWidth = proof || i === view.selected ? 2 : 1;
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(width - 1, 1), ROW - 3);
  }
  if (view.mode === 'client' && width > 60) {
    pen.fillStyle = colour('ink');
    pen.font = '11px system-ui, sans-serif';
    pen.fillText(label(i), x + 3, y + ROW + 4, width - 4);
    pen.font = '12px system-ui, sans-serif';
  }
  pen.globalAlpha = 1;
}

/** The changes of each node's role, by its lane. */
const roles = facts.nodes.map((node) => facts.roles.filter((change) => change.node === node));

function paintRoles(lane, y) {
  const heights = { leader: 9, candidate: 6, follower: 3 };
  roles[lane].forEach((change, place) => {
    const span = clipped(change.at, roles[lane][place + 1]?.at ?? facts.end);
    if (!span) return;
    const { role } = change;
    pen.fillStyle = colour(role === 'leader' ? 'lead' : role === 'down' ? 'bad' : role === 'candidate' ? 'stand' : 'follow');
    pen.fillRect(span[0], y, span[1], heights[role] || 1.5);
    if (role !== 'leader' || span[1] < 90) return;
    pen.font = '9px system-ui, sans-serif';
    pen.fillStyle = colour('on-lead');
    pen.fillText(change.term === null ? 'leader' : `leader, term ${change.term}`, span[0] + 3, y + 5);
    pen.font = '12px system-ui, sans-serif';
  });
}

function paintHead(width) {
  pen.fillStyle = colour('page');
  pen.fillRect(0, 0, width, HEAD - 2);
  const span = view.end - view.begin;
  const wanted = narrow() ? 3 : 8;
  const magnitude = 10 ** Math.floor(Math.log10(span / wanted));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((it) => span / it <= wanted);
  const decimals = clock ? Math.max(0, Math.min(6, -Math.floor(Math.log10(step / facts.ticks_per_second) + 1e-9))) : 0;
  pen.textAlign = 'center';
  for (let time = Math.ceil(view.begin / step) * step; time <= view.end; time += step) {
    const x = toX(time);
    pen.fillStyle = colour('stand');
    pen.fillRect(x, HEAD - 6, 1, 4);
    pen.fillStyle = colour('quiet');
    if (x > left() + 20 && x < right() - 20) pen.fillText(instant(time, decimals), x, HEAD - 13);
  }
  pen.textAlign = 'left';
  let free = left();
  pen.fillStyle = colour('fault-ink');
  for (const fault of facts.faults) {
    const at = clipped(fault.began, fault.ended);
    if (!at) continue;
    const words = `${fault.name} ${fault.nodes}`;
    if (at[0] < free || at[0] + pen.measureText(words).width > width) continue;
    pen.fillText(words, at[0], 8);
    free = at[0] + pen.measureText(words).width + 8;
  }
}

function paintMarks(height) {
  const mark = (time, name, dash) => {
    if (time < view.begin || time > view.end) return;
    pen.strokeStyle = colour(name);
    pen.setLineDash(dash);
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(toX(time), HEAD - 6);
    pen.lineTo(toX(time), height);
    pen.stroke();
    pen.setLineDash([]);
  };
  for (const finding of facts.findings) mark(finding.ended, 'bad', [3, 3]);
  if (view.moment !== null) mark(view.moment, 'ink', []);
}
