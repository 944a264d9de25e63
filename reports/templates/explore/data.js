// Unpacks what the page carries: names, operations, texts and densities.

const element = (id) => document.getElementById(id);
const facts = JSON.parse(element('explore-facts').textContent);
const clock = facts.ticks_per_second > 0;

/** The bytes of a packed element. */
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(element(id).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads integers of seven bits a byte. */
class Numbers {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  next() {
    let value = 0;
    let scale = 1;
    let byte;
    do {
      byte = this.bytes[this.at++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte & 128);
    return value;
  }

  column(count) {
    return Float64Array.from({ length: count }, () => this.next());
  }

  differences(count) {
    let last = 0;
    return Float64Array.from({ length: count }, () => {
      const value = this.next();
      last += value % 2 ? -(value + 1) / 2 : value / 2;
      return last;
    });
  }
}

const count = facts.carried;
const numbers = new Numbers(await unpacked('explore-operations'));
// The order of the columns is that of `Packer` in `explore.rs`.
const op = {
  index: numbers.differences(count),
  time: numbers.differences(count),
  took: numbers.column(count),
  events: numbers.column(count),
  process: numbers.differences(count),
  client: numbers.column(count),
  node: numbers.column(count),
  key: numbers.column(count),
  keyText: numbers.column(count),
  ending: numbers.column(count),
  detail: numbers.differences(count),
  rank: numbers.column(count),
  before: numbers.differences(count),
  after: numbers.differences(count),
};
const texts = new TextDecoder().decode(await unpacked('explore-texts')).split('\n');

const OK = 0;
const OPEN = 3;
const OUTCOMES = ['ok', 'fail', 'info', 'open'];
const outcome = (i) => op.ending[i] % 4;
const kind = (i) => facts.kinds[Math.floor(op.ending[i] / 4)];
const end = (i) => (outcome(i) === OPEN ? facts.end : op.time[i] + op.took[i]);
const keyOf = (i) => texts[op.keyText[i]];
const label = (i) => (keyOf(i) ? `${kind(i)} ${keyOf(i)}` : kind(i)) + texts[op.detail[i]];

const MODES = { client: facts.clients, node: facts.nodes, key: facts.keys };
const laneOf = (mode, i) => op[mode][i];

const placeOf = new Map();
for (let i = 0; i < count; i++) placeOf.set(op.index[i], i);

/** Operations by invocation; in a history whose clocks disagree that is not the order of the file. */
const byTime = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => op.time[a] - op.time[b]);
/** Operations that never came back, and how long the longest of the others took. */
const openFrom = [];
let longest = 0;
for (const i of byTime) {
  if (outcome(i) === OPEN) openFrom.push(i);
  else longest = Math.max(longest, op.took[i]);
}

/** The finding that an operation belongs to. */
const findingOf = new Map();
facts.findings.forEach((finding, number) => {
  for (const index of finding.operations) if (!findingOf.has(index)) findingOf.set(index, number);
});

const proofs = [...findingOf.keys()].map((index) => placeOf.get(index)).filter((i) => i !== undefined);

/** How many operations were invoked in each stretch of each lane, at levels of halving fineness. */
function levels(ok, others, stretches, lanes) {
  const all = [{ ok, others, stretches }];
  for (let fine = all[0]; fine.stretches > 32; fine = all[all.length - 1]) {
    const half = fine.stretches / 2;
    const sum = (counts) => {
      const sums = new Float64Array(half * lanes);
      for (let i = 0; i < sums.length; i++) sums[i] = counts[2 * i] + counts[2 * i + 1];
      return sums;
    };
    all.push({ ok: sum(fine.ok), others: sum(fine.others), stretches: half });
  }
  return all;
}

const densities = {};
if (facts.stretches) {
  const counts = new Numbers(await unpacked('explore-densities'));
  Object.keys(MODES).forEach((mode, place) => {
    const stretches = facts.stretches[place];
    const cells = stretches * MODES[mode].length;
    const ok = counts.column(cells);
    densities[mode] = levels(ok, counts.column(cells), stretches, MODES[mode].length);
  });
} else {
  for (const [mode, lanes] of Object.entries(MODES)) {
    const stretches = lanes.length > 100 ? 512 : 2048;
    const ok = new Float64Array(stretches * lanes.length);
    const others = new Float64Array(stretches * lanes.length);
    for (let i = 0; i < count; i++) {
      const stretch = Math.min(Math.floor((op.time[i] / facts.end) * stretches), stretches - 1);
      (outcome(i) === OK ? ok : others)[laneOf(mode, i) * stretches + stretch]++;
    }
    densities[mode] = levels(ok, others, stretches, lanes.length);
  }
}

/** How a lane is divided: operations that overlap stand in rows of their own. */
const MOST_ROWS = 10;
const layouts = {};
function layout(mode) {
  if (layouts[mode]) return layouts[mode];
  const lanes = MODES[mode].map(() => ({ operations: [], until: [] }));
  const row = new Uint8Array(count);
  for (const i of byTime) {
    const lane = lanes[laneOf(mode, i)];
    let place = lane.until.findIndex((until) => until <= op.time[i]);
    if (place < 0) place = lane.until.length < MOST_ROWS ? lane.until.length : MOST_ROWS - 1;
    lane.until[place] = Math.max(end(i), op.time[i] + 1);
    row[i] = place;
    lane.operations.push(i);
  }
  layouts[mode] = { lanes, row };
  return layouts[mode];
}

/** The first place in `list` whose operation was invoked at `time` or later. */
function from(list, time) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (op.time[list[middle]] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A point in time as the page writes it. */
function instant(time, decimals = 6) {
  return clock ? `${(time / facts.ticks_per_second).toFixed(decimals)} s` : `event ${Math.round(time)}`;
}

/** A length of time to three digits. */
function length(ticks) {
  if (!clock) return `${ticks} events`;
  const seconds = ticks / facts.ticks_per_second;
  const [number, unit] =
    seconds < 0.9995e-3 ? [seconds * 1e6, 'µs'] : seconds < 0.9995 ? [seconds * 1e3, 'ms'] : [seconds, 's'];
  return `${Number(number.toPrecision(3))} ${unit}`;
}

const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',');
