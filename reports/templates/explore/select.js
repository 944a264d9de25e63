// Selects operations, filters them, and keeps both in the page's address.

const FILTERS = ['key', 'process', 'node', 'kind', 'outcome', 'value'];
const field = (name) => element(`explore-${name}`);

function choices(select, names) {
  for (const name of names) select.append(new Option(name, name));
}
choices(field('node'), facts.nodes);
choices(field('kind'), facts.kinds);
choices(field('outcome'), OUTCOMES);
for (const name of facts.keys) element('explore-keys').append(new Option(name));

/** Whether `text` holds `word` with nothing that could belong to it on either side. */
function holds(text, word) {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const around = [text[at - 1], text[at + word.length]];
    if (!around.some((character) => character !== undefined && /[\p{L}\p{N}_-]/u.test(character))) return true;
  }
  return false;
}

function filter() {
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, field(name).value.trim()]));
  const words = field('find').value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const asked = words.length > 0 || FILTERS.some((name) => wanted[name] !== '');
  view.matching = asked ? new Uint8Array(count) : null;
  view.matched = [];
  for (const i of asked ? byTime : []) {
    const fits =
      (!wanted.key || keyOf(i) === wanted.key) &&
      (!wanted.process || op.process[i] === Number(wanted.process)) &&
      (!wanted.node || facts.nodes[op.node[i]] === wanted.node) &&
      (!wanted.kind || kind(i) === wanted.kind) &&
      (!wanted.outcome || OUTCOMES[outcome(i)] === wanted.outcome) &&
      (!wanted.value || holds(texts[op.detail[i]], wanted.value)) &&
      words.every((word) => label(i).toLowerCase().includes(word));
    if (!fits) continue;
    view.matching[i] = 1;
    view.matched.push(i);
  }
  const among = facts.carried < facts.total ? 'single operations of this page' : 'operations';
  field('count').textContent = asked ? `${grouped(view.matched.length)} of ${grouped(count)} ${among} match` : '';
  scroller.dataset.matches = asked ? view.matched.length : '';
  list(view.matched.slice(0, 50));
  draw();
}

function list(operations) {
  field('list').replaceChildren(
    ...operations.map((i) => {
      const item = document.createElement('li');
      const link = document.createElement('a');
      link.href = `#op=${op.index[i]}`;
      link.textContent = `#${op.index[i]} ${label(i)}`;
      item.append(link, ` process ${op.process[i]} via ${facts.nodes[op.node[i]]}, ${instant(op.time[i])}, ${OUTCOMES[outcome(i)]}`);
      return item;
    }),
  );
}

function zoom(begin, until) {
  const shortest = clock ? 20 : 2;
  const span = Math.min(Math.max(until - begin, shortest), facts.end);
  const middle = (begin + until) / 2;
  view.begin = Math.min(Math.max(middle - span / 2, 0), facts.end - span);
  view.end = view.begin + span;
  draw();
}

function zoomBy(factor, around = (view.begin + view.end) / 2) {
  const shortest = clock ? 20 : 2;
  const span = view.end - view.begin;
  const by = Math.min(Math.max(factor, shortest / span), facts.end / span);
  zoom(around - (around - view.begin) * by, around + (view.end - around) * by);
}

function pan(by) {
  zoom(view.begin + by, view.end + by);
}

function mode(name) {
  view.mode = name;
  for (const choice of document.getElementsByName('explore-mode')) choice.checked = choice.value === name;
  scroller.scrollTop = 0;
  draw();
}

/** Describes an operation, or what to do where there is none. */
function describe(i) {
  const rows = i < 0 ? [] : description(i);
  field('detail').replaceChildren(
    ...rows.map(([name, text]) => {
      const row = document.createElement('p');
      const head = document.createElement('b');
      head.textContent = name;
      const body = document.createElement(name === 'recorded lines' ? 'code' : 'span');
      body.textContent = text;
      row.append(head, ' ', body);
      return row;
    }),
  );
}

function description(i) {
  const line = op.index[i] + 1;
  const answer = op.events[i] > 0 ? line + op.events[i] : null;
  const rows = [[`#${op.index[i]}`, label(i)]];
  const back =
    outcome(i) === OPEN ? 'never came back'
    : outcome(i) === 2 ? `gave up at ${instant(end(i))}`
    : `came back at ${instant(end(i))}`;
  const took = clock && outcome(i) !== OPEN ? ` after ${length(op.took[i])}` : '';
  rows.push(['client', `process ${op.process[i]} via ${facts.nodes[op.node[i]]}: invoked at ${instant(op.time[i])}, ${back}${took}`]);
  const finding = facts.findings[findingOf.get(op.index[i])];
  if (op.before[i] > 0) {
    rows.push(['state', `${texts[op.before[i] - 1]} before, ${texts[op.after[i] - 1]} after`]);
  }
  if (op.rank[i] > 0) {
    rows.push(['order', `operation ${grouped(op.rank[i])} on ${keyOf(i) || 'the object'} in the order that certificate.json proves`]);
  }
  if (finding) rows.push(['finding', `part of the proof: ${finding.title}${finding.key ? ` on ${finding.key}` : ''}`]);
  else if (facts.findings.some((it) => it.key === keyOf(i))) {
    rows.push(['order', `no order of the operations on ${keyOf(i) || 'the object'} explains every answer, so there is no state to show`]);
  }
  const lines = answer ? `${line}p;${answer}p` : `${line}p`;
  rows.push(['recorded lines', `sed -n '${lines}' ${facts.history}`]);
  return rows;
}

function select(i, { reveal = false, record = true } = {}) {
  view.selected = i;
  view.moment = null;
  describe(i);
  if (i >= 0 && reveal) {
    const span = view.end - view.begin;
    const near = Math.max((end(i) - op.time[i]) * 40, clock ? 20_000 : 40);
    const middle = (op.time[i] + Math.min(end(i), op.time[i] + near)) / 2;
    if (span > near * 4) zoom(middle - near / 2, middle + near / 2);
    else if (op.time[i] < view.begin || end(i) > view.end) zoom(middle - span / 2, middle + span / 2);
    const all = tops();
    const lane = laneOf(view.mode, i);
    const height = canvas.clientHeight;
    if (all[lane] - scroller.scrollTop < HEAD || all[lane + 1] - scroller.scrollTop > height) {
      scroller.scrollTop = all[lane] - height / 2;
    }
  }
  if (record) address(i >= 0 ? { op: op.index[i] } : {});
  draw();
}

/** The next operation on in the selected one's lane; one that matches, if anything is asked for. */
function step(by) {
  const lane = view.selected < 0 ? -1 : laneOf(view.mode, view.selected);
  const list = view.matching || lane < 0 ? byTime : layout(view.mode).lanes[lane].operations;
  let at = view.selected < 0 ? from(list, view.begin) - (by > 0 ? 1 : 0) : list.indexOf(view.selected);
  do at += by;
  while (view.matching && at >= 0 && at < list.length && !view.matching[list[at]]);
  if (at >= 0 && at < list.length) select(list[at], { reveal: true });
}

/** The operation of the next lane that is nearest in time. */
function stepLane(by) {
  if (view.selected < 0) return step(1);
  const { lanes } = layout(view.mode);
  for (let lane = laneOf(view.mode, view.selected) + by; lanes[lane]; lane += by) {
    const { operations } = lanes[lane];
    if (!operations.length) continue;
    const at = from(operations, op.time[view.selected]);
    return select(operations[Math.min(at, operations.length - 1)], { reveal: true });
  }
}

let nextFinding = 0;
function stepFinding() {
  const finding = facts.findings[nextFinding++ % facts.findings.length];
  const place = finding?.operations.map((index) => placeOf.get(index)).filter((it) => it !== undefined);
  if (place?.length) select(place[place.length - 1], { reveal: true });
}

/** Puts what is shown into the page's address, so that a link shows it again. */
function address(extra = {}) {
  const parts = new URLSearchParams(extra);
  if (view.mode !== 'node') parts.set('lanes', view.mode);
  for (const name of [...FILTERS, 'find']) if (field(name).value) parts.set(name, field(name).value);
  try {
    history.replaceState(null, '', `#${parts}`);
  } catch {
    // A page without an address of its own keeps none.
  }
}

/** Shows what the address asks for: `#op=5695`, `#t=6.8s`, `#fault=3`, with lanes and filters. */
function follow() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (MODES[parts.get('lanes')]) mode(parts.get('lanes'));
  const names = [...FILTERS, 'find'].filter((name) => parts.has(name));
  for (const name of names) field(name).value = parts.get(name);
  if (names.length) filter();
  const asked = ['op', 't', 'fault'].find((name) => parts.has(name));
  if (!asked) return;
  if (goTo(`${asked}=${parts.get(asked)}`)) element('explore').scrollIntoView();
}

/** Shows an operation, a moment or a fault; whether there is such a thing. */
function goTo(text) {
  const operation = /^(?:op(?:eration)?[ =]*|#)(\d+)$/.exec(text);
  const time = /^(?:t=)?([\d.]+) ?(ms|s)$/.exec(text) || (!clock && /^(?:t=|event )(\d+)()$/.exec(text));
  const fault = /^fault[ =]*#?(\d+)$/.exec(text);
  field('said').textContent = '';
  if (operation) {
    const place = placeOf.get(Number(operation[1]));
    if (place !== undefined) select(place, { reveal: true });
    else field('said').textContent = `Operation ${operation[1]} is not in this page: see line ${Number(operation[1]) + 1} of ${facts.history}.`;
    return true;
  }
  if (time) {
    const scale = { s: facts.ticks_per_second, ms: facts.ticks_per_second / 1000, '': 1 }[time[2]];
    view.moment = Number(time[1]) * scale;
    const span = Math.min(view.end - view.begin, clock ? facts.ticks_per_second / 5 : 200);
    zoom(view.moment - span / 2, view.moment + span / 2);
    return true;
  }
  const found = fault && facts.faults.find((it) => it.id === Number(fault[1]));
  if (fault && !found) field('said').textContent = `There is no fault ${fault[1]}.`;
  if (found) {
    const margin = Math.max((found.ended - found.began) * 0.1, 10);
    zoom(found.began - margin, found.ended + margin);
    field('said').textContent = `Fault ${found.name} on ${found.nodes}: ${instant(found.began, 2)} to ${instant(found.ended, 2)}`;
  }
  return Boolean(fault);
}
