// Follows the events of a run that is going on.

const element = (id) => document.getElementById(id);
const live = element('live');
const nodes = new Map();
const rates = [];
const shades = new Map();
/** How many points and how many lines are kept. */
const MOST_RATES = 2400;
const MOST_LINES = 400;
let end = 1;

const seconds = (ns) => `${(ns / 1e9).toFixed(2)} s`;
const set = (id, text) => {
  element(id).textContent = text;
};

function cell(row, text, number) {
  const made = row.insertCell();
  made.textContent = text;
  if (number) made.className = 'n';
}

function tell(at, text, isBad) {
  const line = document.createElement('li');
  line.textContent = `${seconds(at)} ${text}`;
  if (isBad) line.className = 'bad';
  const log = element('live-log');
  log.prepend(line);
  if (log.children.length > MOST_LINES) log.lastChild.remove();
}

function drawNodes() {
  const body = element('live-nodes');
  body.replaceChildren();
  for (const [name, node] of [...nodes].sort()) {
    const row = body.insertRow();
    row.dataset.node = name;
    cell(row, name);
    cell(row, node.role);
    cell(row, node.term ?? '–', true);
    cell(row, seconds(node.since), true);
  }
}

function drawChart() {
  const most = Math.max(1, ...rates.map(([, rate]) => rate));
  const x = (at) => (1200 * at) / end;
  const points = rates.map(([at, rate]) => `${x(at).toFixed(1)},${(138 - (130 * rate) / most).toFixed(1)}`);
  element('live-line').setAttribute('points', points.join(' '));
  set('live-most', Math.round(most).toLocaleString('en'));
  element('live-shades').replaceChildren(
    ...[...shades.values()].map(([from, to]) => {
      const shade = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      const width = Math.max(1, x(to ?? end) - x(from));
      for (const [name, value] of Object.entries({ x: x(from), y: 0, width, height: 140 })) shade.setAttribute(name, value);
      shade.setAttribute('class', 'shade');
      return shade;
    }),
  );
}

const fault = (event) => `${event.fault} ${(event.nodes ?? []).join(', ')} (${event.target})`;

/** What each type of event does to the page; others are of newer versions and passed over. */
const HEARD = {
  started(event) {
    set('live-said', `${event.target}, ${event.workload} workload, seed ${event.seed}, ${event.lab}`);
    for (const name of event.nodes ?? []) nodes.set(name, { role: '–', term: null, since: 0 });
  },
  phase(event) {
    set('live-phase', event.phase);
    tell(event.at_ns, `phase: ${event.phase}`);
  },
  'cluster-up'(event) {
    tell(event.at_ns, `${event.nodes} nodes are up, ${event.leader ?? 'nobody'} leads`);
  },
  'role-changed'(event) {
    nodes.set(event.node, { role: event.role, term: event.term, since: event.at_ns });
    if (event.role === 'leader') tell(event.at_ns, `${event.node} leads term ${event.term ?? '–'}`);
  },
  'fault-injected'(event) {
    shades.set(event.id, [event.at_ns, null]);
    tell(event.at_ns, `${fault(event)} begins`);
  },
  'fault-healed'(event) {
    const shade = shades.get(event.id);
    if (shade) shade[1] = event.at_ns;
    tell(event.at_ns, `${fault(event)} healed${event.error ? `: ${event.error}` : ''}`, Boolean(event.error));
  },
  'fault-skipped'(event) {
    tell(event.at_ns, `${fault(event)} skipped: ${event.error}`);
  },
  tally(event) {
    rates.push([event.at_ns, event.ok_per_s]);
    if (rates.length > MOST_RATES) rates.shift();
    const words = (number) => number.toLocaleString('en');
    set('live-counts', `${words(event.ok)} ok, ${words(event.fail)} fail, ${words(event.info)} info`);
    set('live-rate', Math.round(event.ok_per_s).toLocaleString('en'));
    set('live-leader', event.leader ?? 'nobody');
    set('live-faults', (event.in_force ?? []).join('; ') || 'none');
  },
  'node-ended'(event) {
    tell(event.at_ns, `${event.node} ended: ${event.status}`, event.explained_by === undefined && !event.expected);
  },
  remark(event) {
    tell(event.at_ns, event.text);
  },
  stopping(event) {
    tell(event.at_ns, `stopping: ${event.text}`, true);
  },
  checking(event) {
    set('live-phase', `judging: ${event.decided_keys} of ${event.keys} keys`);
  },
  judged(event) {
    for (const finding of event.findings ?? []) tell(event.at_ns, `${finding.kind}: ${finding.sentence}`, true);
  },
  finished(event) {
    set('live-phase', event.exit === 'finding' ? 'a finding' : event.verdict);
    tell(event.at_ns, `finished: ${event.verdict}${event.failure ? `; ${event.failure}` : ''}`, event.exit !== 'valid');
    live.dataset.finished = event.exit;
    source.close();
  },
};

let isDue = false;
function draw() {
  isDue = false;
  set('live-time', seconds(end));
  drawNodes();
  drawChart();
}

const source = new EventSource(live.dataset.events);
source.onmessage = (message) => {
  let event;
  try {
    event = JSON.parse(message.data);
  } catch {
    return;
  }
  end = Math.max(end, event.at_ns ?? 0);
  if (Object.hasOwn(HEARD, event.type)) HEARD[event.type](event);
  live.dataset.seen = event.type;
  if (!isDue) {
    isDue = true;
    requestAnimationFrame(draw);
  }
};
source.addEventListener('over', () => {
  source.close();
  live.dataset.over = 'yes';
});
