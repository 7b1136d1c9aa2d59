const TIMEOUT_MS = 5000;
const CAPABILITIES_EVERY_MS = 2000;
const CGROUPS_EVERY_MS = 5000;
const FINDINGS_EVERY_MS = 5000;

// ---- words

const MODES = {
  full: { level: 3, words: 'On the host itself, with the cgroup root, network administration and TUN devices at hand.' },
  nested_adaptive: { level: 2, words: 'Containers can be placed in a cgroup, but not all that full needs is there.' },
  degraded: { level: 1, words: 'No cgroup to place containers in, so no limits on them and no accounting.' },
};

const FIELDS = [
  {
    name: 'is_root', label: 'Root',
    yes: 'The effective uid is 0.',
    no: 'The effective uid is not 0: an ordinary user.',
  },
  {
    name: 'is_nested', label: 'Nested',
    yes: 'In a cgroup below the root, which the reference counts as nested.',
    no: 'In no cgroup below the root, which the reference counts as the host.',
  },
  {
    name: 'cgroup_parent', label: 'cgroup v2 path',
    text: 'The cgroup that the process is in.',
    none: 'At the root, without cgroup v2, or it could not be read.',
  },
  {
    name: 'can_write_cgroup_root', label: 'Cgroup root writable',
    yes: 'The access check grants writing; the write itself was not tried.',
    no: 'The cgroup root cannot be written, or there is no cgroup v2.',
  },
  {
    name: 'has_cap_net_admin', label: 'Network administration',
    yes: 'CAP_NET_ADMIN is effective: interfaces and routes can be set up.',
    no: 'CAP_NET_ADMIN is not effective: interfaces and routes cannot be set up.',
  },
  {
    name: 'tun_device_available', label: 'TUN device',
    yes: '/dev/net/tun opens for reading and writing.',
    no: '/dev/net/tun does not open for reading and writing.',
  },
  {
    name: 'overlayfs_rootfs_available', label: 'Kernel overlayfs',
    yes: 'A container root file system can be a kernel overlayfs mount.',
    no: 'A container root file system cannot be a kernel overlayfs mount.',
  },
  {
    name: 'fuse_overlayfs_rootfs_available', label: 'fuse-overlayfs',
    yes: 'A container root file system can be a fuse-overlayfs mount.',
    no: 'It cannot be a fuse-overlayfs mount: /dev/fuse or a program is missing.',
  },
  { name: 'effective_mode', label: 'Effective mode' },
];

const LABELS = new Map([
  ...FIELDS.map(({ name, label }) => [name, label]),
  ['assessed_mode', 'Assessed mode'],
]);

const NETWORKS = {
  overlay: 'Containers get an overlay network.',
  rootless_overlay: 'Containers get an overlay network without privileges, by way of pasta.',
  host: 'Containers share the network of the host.',
};

const DRIVERS = {
  overlayfs: 'Layers are mounted by the kernel.',
  'fuse-overlayfs': 'Layers are mounted in user space.',
  none: 'Layers cannot be mounted here.',
};

const PLACEMENTS = {
  host: 'below the cgroup root of the host',
  scope: 'beside the daemon, within its own scope',
};

// ---- text

const UNTOLD = 'Not reported';

// A cgroup name may hold escape bytes and bidirectional controls, with which it could pass for another.
export function visible(text) {
  return String(text).replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`,
  );
}

export function formatAge(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${hours} h ${two(Math.floor(whole / 60) % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// Coarser: for ages of which there are many, and which nobody wants to see count.
export function formatSpan(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return 'less than 1 min';
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

export function formatDuration(microseconds) {
  if (!Number.isFinite(microseconds)) return UNTOLD;
  if (microseconds < 1000) return `${microseconds} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(1)} ms`;
  return `${(microseconds / 1e6).toFixed(1)} s`;
}

const formatTime = (instant) => `${new Date(instant).toISOString().slice(11, 19)} UTC`;

const formatInstant = (instant) => `${new Date(instant).toISOString().slice(0, 10)} ${formatTime(instant)}`;

// Date.parse alone finds a date in almost any text with a number.
const instantOf = (text) => (/^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) || null : null);

const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

const list = (value) => (Array.isArray(value) ? value.filter((item) => item && typeof item === 'object') : []);

// Own keys only: a value of "constructor" must not find Object's.
const lookUp = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);

// ---- document -> rows (pure)

export function reading(value) {
  if (value === true) return { state: 'yes', text: 'Yes' };
  if (value === false) return { state: 'no', text: 'No' };
  if (value === null) return { state: 'none', text: 'None' };
  if (value === undefined) return { state: 'none', text: UNTOLD };
  const text = typeof value === 'object' ? JSON.stringify(value) : value;
  return { state: 'text', text: visible(text) };
}

function meaning(field, value) {
  if (value === undefined) return 'The answer lacks this field.';
  if (field.name === 'effective_mode') return modeTile(value).words;
  return { yes: field.yes, no: field.no, none: field.none, text: field.text }[reading(value).state]
    ?? 'A value that this page does not know.';
}

export function modeTile(mode) {
  const known = lookUp(MODES, mode);
  return {
    mode: reading(mode).text,
    level: known?.level ?? 0,
    words: known?.words ?? 'A mode that this page does not know.',
  };
}

export function verdict(survey) {
  const effective = modeTile(survey.effective_mode).level;
  const assessed = modeTile(survey.assessed_mode).level;
  if (!effective || !assessed) return 'The two modes cannot be compared.';
  if (assessed < effective) return 'The evidence supports less than the reference claims.';
  if (assessed > effective) return 'The evidence supports more than the reference allows.';
  return 'The reference and the evidence come to the same mode.';
}

export function fieldRows(survey, changed = new Map()) {
  const unmet = new Set(list(survey.unmet_for_full).map(({ capability }) => capability));
  const disputed = new Set(list(survey.disagreements).map(({ field }) => field));
  return FIELDS.map((field) => {
    const value = survey[field.name];
    const change = changed.get(field.name);
    return {
      name: field.name,
      label: field.label,
      value: reading(value),
      words: meaning(field, value),
      tags: [
        ...(unmet.has(field.name) ? ['unmet for full'] : []),
        ...(disputed.has(field.name) ? ['evidence disagrees'] : []),
      ],
      change: change ? `Changed at ${formatTime(change.at)}, was ${change.was}` : null,
      fresh: change !== undefined && change.generation === survey.survey?.generation,
    };
  });
}

export function unmetRows(survey) {
  return list(survey.unmet_for_full).map(({ capability, reason }) => ({
    name: visible(capability),
    label: LABELS.get(capability) ?? null,
    reason: visible(reason ?? 'No reason given.'),
  }));
}

export function disagreementRows(survey) {
  return list(survey.disagreements).map(({ field, reference, assessed, why }) => ({
    name: visible(field),
    label: LABELS.get(field) ?? null,
    reference: reading(reference),
    assessed: reading(assessed),
    why: visible(why ?? 'No reason given.'),
  }));
}

export function overlayRows({ overlay }) {
  const reason = overlay?.fallback_reason;
  return [
    { term: 'Network', value: reading(overlay?.network), words: lookUp(NETWORKS, overlay?.network) },
    { term: 'Fallback', words: reason == null ? 'None needed.' : visible(reason) },
    { term: 'Rootless overlay possible', value: reading(overlay?.rootless_possible) },
  ];
}

export function rootfsRows({ rootfs }) {
  const program = rootfs?.fusermount;
  return [
    { term: 'Driver', value: reading(rootfs?.driver), words: lookUp(DRIVERS, rootfs?.driver) },
    program == null
      ? { term: 'fusermount', words: 'Not found.' }
      : { term: 'fusermount', value: reading(program) },
  ];
}

export function facts({ survey }) {
  const at = Date.parse(survey?.surveyed_at);
  return {
    generation: reading(survey?.generation).text,
    duration: formatDuration(survey?.duration_us),
    interval: Number.isFinite(survey?.interval_s) ? `every ${formatAge(survey.interval_s)}` : UNTOLD,
    surveyed: Number.isNaN(at) ? UNTOLD : formatInstant(at),
    subject: survey?.subject === 'self' ? 'surveyd itself' : reading(survey?.subject).text,
  };
}

// The server's own flag may be older than the answer it came in, so three intervals count as well.
export function isStale({ survey }, ageSeconds) {
  return survey?.stale === true || ageSeconds > 3 * (survey?.interval_s ?? Infinity);
}

export function staleText(survey) {
  return `Stale: this survey is to be repeated ${facts(survey).interval}, and was not. It may no longer hold.`;
}

export function changesBetween(before, after) {
  return [...LABELS]
    .filter(([name]) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map(([name, label]) => ({
      name,
      label,
      was: reading(before[name]).text,
      is: reading(after[name]).text,
    }));
}

const ANSWERS = { yes: 'Yes', no: 'No', unknown: 'Unknown' };

export function findingRows(document) {
  return list(document.findings).map(({ id, status, basis, value, reason, reason_code, remedy }) => ({
    name: visible(id),
    state: Object.hasOwn(ANSWERS, status) ? status : 'none',
    answer: lookUp(ANSWERS, status) ?? UNTOLD,
    verified: basis === 'verified',
    value: value ? visible(value) : null,
    reason: visible(reason ?? 'No reason given.'),
    code: visible(reason_code ?? ''),
    remedy: remedy?.text ? visible(remedy.text) : null,
    command: remedy?.command ? visible(remedy.command) : null,
  }));
}

export function findingsCaption(rows) {
  const count = (state) => rows.filter((row) => row.state === state).length;
  const verified = rows.filter((row) => row.verified).length;
  return `${rows.length} findings: ${count('yes')} yes, ${count('no')} no, ${count('unknown')} unknown; `
    + `${verified || 'none'} verified`;
}

export function parentRows(cgroups) {
  const placement = cgroups.placement;
  return [
    { term: 'Container parent', value: reading(cgroups.container_parent) },
    { term: 'Placement', value: reading(placement), words: lookUp(PLACEMENTS, placement) },
    {
      term: 'Exists',
      value: reading(cgroups.exists),
      words: cgroups.exists === false ? 'It is made by POST /cgroups/ensure.' : undefined,
    },
  ];
}

// What matters most of what is true of a container.
function containerState({ populated, orphaned, removing }) {
  if (removing === true) return { state: 'removing', text: 'Being removed' };
  if (orphaned === true) return { state: 'orphaned', text: 'Orphaned' };
  const { state } = reading(populated);
  return { state, text: { yes: 'Populated', no: 'Empty' }[state] ?? 'Unknown' };
}

export function containerRows(cgroups) {
  return list(cgroups.containers).map((container) => {
    const { id, created_at, empty_since, processes, nested, controllers } = container;
    return {
      id: visible(id),
      ...containerState(container),
      created: instantOf(created_at),
      emptySince: instantOf(empty_since),
      processes: processes == null ? 'unknown' : reading(processes).text,
      nested: nested == null ? 'unknown' : reading(nested).text,
      controllers: Array.isArray(controllers) && controllers.length > 0
        ? controllers.map(visible).join(' ')
        : 'none',
    };
  });
}

export function containersCaption(rows) {
  const count = (state) => rows.filter((row) => row.state === state).length;
  const [orphaned, removing] = [count('orphaned'), count('removing')];
  return [
    `${rows.length} ${rows.length === 1 ? 'container' : 'containers'}`,
    `${count('yes')} populated`,
    ...(orphaned ? [`${orphaned} orphaned`] : []),
    ...(removing ? [`${removing} being removed`] : []),
  ].join(', ');
}

export function problemText({ title, detail, op, path, errno }) {
  const call = [op, path, errno].filter((part) => part != null).map(visible).join(' ');
  const said = [title, detail].filter((part) => part != null).map((part) => sentence(visible(part)));
  return [...said, ...(call ? [`(${call})`] : [])].join(' ');
}

export function troubleText(trouble, lastAnswerSeconds) {
  const never = lastAnswerSeconds === null;
  const age = never ? null : formatAge(lastAnswerSeconds);
  if (trouble.kind === 'unreachable') {
    const why = trouble.timedOut ? ` (nothing came within ${TIMEOUT_MS / 1000} s)` : '';
    return `Cannot reach surveyd${why}, ${never ? 'it has not answered yet' : `last answer is ${age} old`}.`;
  }
  const said = `surveyd answers ${trouble.status}: ${problemText(trouble.body)}`;
  return never ? said : `${said} The last good answer is ${age} old.`;
}

// ---- asking

async function bodyOf(response) {
  try {
    const body = await response.json();
    if (body && typeof body === 'object' && !Array.isArray(body)) return body;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return null;
}

async function get(path, etag) {
  try {
    // With no-store and a validator of our own the 304 comes to us; otherwise the browser's
    // cache would answer it with a 200 and hide that nothing is new. Cookies of other ports
    // of the same host have no business here.
    const response = await fetch(path, {
      cache: 'no-store',
      credentials: 'omit',
      headers: etag ? { 'If-None-Match': etag } : {},
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = {
      status: response.status,
      etag: response.headers.get('ETag'),
      date: Date.parse(response.headers.get('Date')),
      waitMs: 1000 * (Number(response.headers.get('Retry-After')) || 0),
    };
    if (response.status === 304) return { ...answer, kind: 'same' };
    const body = await bodyOf(response);
    if (response.ok && body) return { ...answer, kind: 'document', body };
    return { ...answer, kind: 'problem', body: body ?? { title: 'The answer cannot be read' } };
  } catch (error) {
    return { kind: 'unreachable', timedOut: error.name === 'TimeoutError', waitMs: 0 };
  }
}

function poll(path, everyMs, take) {
  let etag = null;
  let timer;
  let asking = false;

  async function ask() {
    asking = true;
    try {
      const answer = await get(path, etag);
      // Forgotten after any trouble: what the page shows may then be something else than the
      // document, and a restarted daemon may use the same tag for another one.
      if (answer.kind !== 'same') etag = null;
      timer = setTimeout(askIfVisible, Math.max(everyMs, Math.min(answer.waitMs, 60_000)));
      take(answer);
      if (answer.kind === 'document') etag = answer.etag;
    } finally {
      asking = false;
    }
  }

  function askIfVisible() {
    clearTimeout(timer);
    if (!document.hidden && !asking) ask();
  }

  document.addEventListener('visibilitychange', askIfVisible);
  askIfVisible();
}

// ---- rendering

const byId = (id) => document.getElementById(id);

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function show(id, whether) {
  byId(id).hidden = !whether;
}

// Laid out as blocks on a phone, the parts of a table lose their roles in some browsers.
const ROLES = { table: 'table', thead: 'rowgroup', tbody: 'rowgroup', tr: 'row', th: 'rowheader', td: 'cell' };

// Strings become text nodes, never markup.
function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  if (Object.hasOwn(ROLES, tag)) node.setAttribute('role', ROLES[tag]);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child != null));
  return node;
}

const rendered = new Map();

// Rows that stay the same keep their nodes: a reader's selection and a screen reader's place survive.
function fill(id, rows, toNode) {
  const key = JSON.stringify(rows);
  if (rendered.get(id) === key) return;
  byId(id).replaceChildren(...rows.map(toNode));
  rendered.set(id, key);
}

function wire(name) {
  const parts = name.split(/(?<=_)/);
  return element('code', {}, ...parts.flatMap((part, i) => (i ? [document.createElement('wbr'), part] : [part])));
}

function valueNode({ state, text }) {
  return state === 'text'
    ? element('bdi', { class: 'value path' }, text)
    : element('span', { class: 'value', 'data-state': state }, text);
}

function rowHeader(label, name) {
  return element('th', { scope: 'row' },
    label ? element('span', { class: 'label' }, label) : null, wire(name));
}

function cell(label, attributes, ...children) {
  return element('td', { 'data-label': label, ...attributes }, ...children);
}

function fieldNode(row) {
  return element('tr', { 'data-field': row.name, ...(row.fresh ? { class: 'fresh' } : {}) },
    rowHeader(row.label, row.name),
    cell('Value', {}, valueNode(row.value)),
    cell('Meaning', {}, element('span', { class: 'words' }, row.words),
      ...row.tags.map((tag) => element('span', { class: 'tag' }, tag)),
      row.change ? element('span', { class: 'change' }, row.change) : null));
}

function unmetNode(row) {
  return element('li', {},
    element('p', { class: 'item' }, row.label ? element('span', { class: 'label' }, row.label) : null, wire(row.name)),
    element('p', { class: 'words' }, row.reason));
}

function disagreementNode(row) {
  return element('tr', {},
    rowHeader(row.label, row.name),
    cell('Reference', {}, valueNode(row.reference)),
    cell('Assessed', {}, valueNode(row.assessed)),
    cell('Why', {}, element('span', { class: 'words' }, row.why)));
}

function findingNode(row) {
  return element('tr', { 'data-finding': row.name },
    rowHeader(null, row.name),
    cell('Answer', {},
      element('span', { class: 'value', 'data-state': row.state, title: row.code }, row.answer),
      row.verified ? ' ' : null,
      row.verified ? element('span', { class: 'tag' }, 'verified') : null,
      row.value ? element('bdi', { class: 'value path detail' }, row.value) : null),
    cell('Why', {}, element('span', { class: 'words' }, row.reason),
      row.remedy ? element('span', { class: 'remedy' }, row.remedy) : null,
      row.command ? element('code', { class: 'command' }, row.command) : null));
}

function pairNode({ term, value, words }) {
  return element('div', {},
    element('dt', {}, term),
    element('dd', {}, value ? valueNode(value) : null, words ? element('span', { class: 'words' }, words) : null));
}

// Its text is showSpans' to set.
function spanNode(instant) {
  return element('time', { datetime: new Date(instant).toISOString(), title: formatInstant(instant) });
}

function containerStateNode({ state, text, emptySince }) {
  const value = element('span', { class: 'value', 'data-state': state }, text);
  if (emptySince && state === 'no') value.append(' for ', spanNode(emptySince));
  const since = emptySince && state === 'orphaned'
    ? element('span', { class: 'change' }, 'Empty for ', spanNode(emptySince))
    : null;
  return element('div', {}, value, since);
}

function containerNode(row) {
  return element('tr', {},
    element('th', { scope: 'row' }, element('bdi', { class: 'value path' }, row.id)),
    cell('State', {}, containerStateNode(row)),
    cell('Age', {}, row.created ? spanNode(row.created) : 'unknown'),
    cell('Processes', { class: 'number' }, row.processes),
    cell('Nested', { class: 'number' }, row.nested),
    cell('Controllers', { class: 'path' }, row.controllers));
}

// In place, for the rows do not change when time passes.
function showSpans(now) {
  for (const node of byId('containers').querySelectorAll('time')) {
    setText(node, formatSpan((now - Date.parse(node.dateTime)) / 1000));
  }
}

function showMode(id, tile) {
  const node = byId(id);
  node.dataset.level = tile.level;
  if (node.querySelector('strong').textContent !== tile.mode) {
    node.querySelector('strong').replaceChildren(...wire(tile.mode).childNodes);
  }
  setText(node.querySelector('.meaning'), tile.words);
}

function showSurvey(survey, changed) {
  showMode('effective', modeTile(survey.effective_mode));
  showMode('assessed', modeTile(survey.assessed_mode));
  setText(byId('verdict'), verdict(survey));
  for (const [id, text] of Object.entries(facts(survey))) setText(byId(id), text);

  const unmet = unmetRows(survey);
  const disagreements = disagreementRows(survey);
  fill('fields', fieldRows(survey, changed), fieldNode);
  fill('unmet', unmet, unmetNode);
  fill('overlay', overlayRows(survey), pairNode);
  fill('rootfs', rootfsRows(survey), pairNode);
  fill('disagreements', disagreements, disagreementNode);
  show('unmet', unmet.length > 0);
  show('all-met', unmet.length === 0);
  show('disagreements-table', disagreements.length > 0);
  show('agreement', disagreements.length === 0);
  show('survey', true);
}

// ---- the page

const page = { survey: null, answeredAt: null, serverAhead: 0, trouble: null, link: 'waiting', changed: new Map() };

const LINKS = {
  live: { text: 'Live', announce: 'surveyd answers again, the survey is current.' },
  stale: { text: 'Stale', announce: 'The survey is stale.' },
  unreachable: { text: 'Unreachable', announce: 'surveyd cannot be reached.' },
  problem: { text: 'No survey', announce: 'surveyd does not give a survey.' },
};

function takeCapabilities(answer) {
  page.trouble = answer.kind === 'unreachable' || answer.kind === 'problem' ? answer : null;
  if (!page.trouble) {
    page.answeredAt = Date.now();
    // The page may be read on another machine. Date counts whole seconds, so less is no difference.
    const ahead = answer.date - page.answeredAt;
    page.serverAhead = Math.abs(ahead) > 2000 ? ahead : 0;
  }
  if (answer.kind === 'document') takeSurvey(answer.body);
  tick();
}

function takeSurvey(survey) {
  const changes = page.survey ? changesBetween(page.survey, survey) : [];
  const { generation, surveyed_at } = survey.survey ?? {};
  for (const { name, was } of changes) {
    page.changed.set(name, { at: Date.parse(surveyed_at) || Date.now(), was, generation });
  }
  page.survey = survey;
  showSurvey(survey, page.changed);
  if (changes.length > 0) {
    setText(byId('changes'), changes.map(({ label, was, is }) => `${label}: was ${was}, now ${is}.`).join(' '));
  }
}

function tick() {
  const { survey, trouble } = page;
  if (!survey && !trouble) return;
  const now = Date.now();
  const age = (now + page.serverAhead - Date.parse(survey?.survey?.surveyed_at)) / 1000;
  const stale = survey !== null && isStale(survey, age);
  setText(byId('age'), Number.isNaN(age) ? UNTOLD : formatAge(age));
  if (stale) setText(byId('stale'), staleText(survey));
  if (trouble) {
    setText(byId('trouble'), troubleText(trouble, page.answeredAt && (now - page.answeredAt) / 1000));
  }
  show('stale', stale);
  show('trouble', trouble !== null);
  show('waiting', false);
  showLink(trouble?.kind ?? (stale ? 'stale' : 'live'));
  showTitle();
}

function showLink(link) {
  if (link === page.link) return;
  setText(byId('link'), LINKS[link].text);
  byId('link').dataset.state = link;
  if (page.link !== 'waiting' || link !== 'live') setText(byId('connection'), LINKS[link].announce);
  page.link = link;
}

function showTitle() {
  const parts = [
    page.link === 'live' ? null : byId('link').textContent,
    page.survey ? modeTile(page.survey.assessed_mode).mode : null,
    'surveyd',
  ];
  const title = parts.filter(Boolean).join(' · ');
  if (document.title !== title) document.title = title;
}

function takeFindings(answer) {
  if (answer.kind === 'same') return;
  if (answer.kind === 'unreachable') {
    setText(byId('findings-note'),
      rendered.has('findings') ? 'Not answered; these are the last that are known.' : 'Not answered.');
    show('findings-note', true);
    return;
  }
  const failed = answer.kind === 'problem';
  const rows = failed ? [] : findingRows(answer.body);
  fill('findings', rows, findingNode);
  setText(byId('findings-caption'), findingsCaption(rows));
  setText(byId('findings-problem'), failed ? problemText(answer.body) : '');
  show('findings-table', rows.length > 0);
  show('findings-note', false);
  show('findings-problem', failed);
}

function takeCgroups(answer) {
  // By the clock of the daemon's machine, and as of its answer: who is empty may not be so any more.
  const now = answer.date || Date.now();
  if (answer.kind === 'same') {
    showSpans(now);
    return;
  }
  if (answer.kind === 'unreachable') {
    const known = rendered.has('containers');
    setText(byId('cgroups-note'), known ? 'Not answered; this is the last that is known.' : 'Not answered.');
    show('cgroups-note', true);
    return;
  }
  const failed = answer.kind === 'problem';
  const rows = failed ? [] : containerRows(answer.body);
  fill('cgroups-parent', failed ? [] : parentRows(answer.body), pairNode);
  fill('containers', rows, containerNode);
  showSpans(now);
  setText(byId('containers-caption'), containersCaption(rows));
  setText(byId('cgroups-note'), 'No containers.');
  setText(byId('cgroups-problem'), failed ? problemText(answer.body) : '');
  show('containers-table', rows.length > 0);
  show('cgroups-note', !failed && rows.length === 0);
  show('cgroups-problem', failed);
}

for (const node of document.querySelectorAll('table, thead, tbody, tr, th')) {
  node.setAttribute('role', node.scope === 'col' ? 'columnheader' : ROLES[node.localName]);
}
setText(byId('host'), location.host);
poll('/capabilities', CAPABILITIES_EVERY_MS, takeCapabilities);
poll('/findings', FINDINGS_EVERY_MS, takeFindings);
poll('/cgroups', CGROUPS_EVERY_MS, takeCgroups);
setInterval(tick, 1000);
