import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { getJson, lowContrast, request, startBrowser, startDaemon, watch } from './support.mjs';

const FIELDS = [
  'is_root', 'is_nested', 'cgroup_parent', 'can_write_cgroup_root', 'has_cap_net_admin',
  'tun_device_available', 'overlayfs_rootfs_available', 'fuse_overlayfs_rootfs_available', 'effective_mode',
];
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 780 };
const LONG_PATH = `/${'kubepods-burstable-pod0123456789.slice/'.repeat(9)}`.slice(0, 300);
const MARKUP = '<img src=x onerror="document.title=1">';

let daemon;
let browser;

before(async () => {
  daemon = await startDaemon();
  browser = await startBrowser();
}, { timeout: 60_000 });

after(async () => {
  await browser?.close();
  await daemon?.stop();
}, { timeout: 30_000 });

const capabilities = async () => (await getJson(`${daemon.origin}/capabilities`)).body;

const instant = (secondsAgo = 0) => new Date(Date.now() - 1000 * secondsAgo).toISOString();

function aSurvey(changes = {}) {
  const { survey, ...rest } = changes;
  return {
    is_root: true,
    is_nested: false,
    cgroup_parent: null,
    can_write_cgroup_root: false,
    has_cap_net_admin: true,
    tun_device_available: true,
    overlayfs_rootfs_available: true,
    fuse_overlayfs_rootfs_available: false,
    effective_mode: 'degraded',
    assessed_mode: 'degraded',
    disagreements: [],
    unmet_for_full: [{ capability: 'can_write_cgroup_root', reason: 'the mount is read-only' }],
    overlay: { network: 'overlay', fallback_reason: null, rootless_possible: false },
    rootfs: { driver: 'overlayfs', fusermount: null },
    survey: {
      generation: 1, surveyed_at: instant(), duration_us: 180, interval_s: 30, stale: false, subject: 'self', ...survey,
    },
    ...rest,
  };
}

const aHostileSurvey = () => aSurvey({
  cgroup_parent: LONG_PATH,
  is_nested: true,
  is_root: MARKUP,
  assessed_mode: 'constructor',
  disagreements: [{ field: MARKUP, reference: LONG_PATH, assessed: MARKUP, why: `${MARKUP}${LONG_PATH}` }],
  unmet_for_full: [{ capability: LONG_PATH, reason: MARKUP }],
  overlay: { network: MARKUP, fallback_reason: MARKUP, rootless_possible: LONG_PATH },
  rootfs: { driver: LONG_PATH, fusermount: LONG_PATH },
});

const aContainer = (changes) => ({
  id: 'c1',
  populated: false,
  processes: 0,
  nested: 0,
  controllers: ['cpu', 'memory', 'pids'],
  created_at: instant(3 * 3600 + 60),
  empty_since: changes.populated ? null : instant(10),
  orphaned: false,
  removing: false,
  ...changes,
});

const cgroupsWith = (...containers) => ({
  container_parent: '/zlayer/containers', placement: 'host', exists: true, containers: containers.map(aContainer),
});

const hostileCgroups = () => ({
  container_parent: LONG_PATH,
  placement: MARKUP,
  exists: true,
  containers: [
    { id: `${MARKUP}${LONG_PATH}`, populated: true, processes: 3, nested: 0, controllers: ['cpu', MARKUP, LONG_PATH] },
    {
      id: 'web\u202e1bew\u001b[31m', populated: null, processes: null, nested: null, controllers: null,
      created_at: MARKUP, empty_since: LONG_PATH, orphaned: MARKUP, removing: 'constructor',
    },
    aContainer({ id: LONG_PATH.slice(1), orphaned: true, empty_since: instant(1e6) }),
    aContainer({ id: 'slow', removing: true }),
    aContainer({ id: 'fresh' }),
  ],
});

// Opens the page in a context of its own. answers: what to give instead of the daemon's, by path.
async function open(t, { answers = {}, clock = false, ready = '#survey', ...options } = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  if (clock) await page.clock.install();
  const complaints = await watch(page, daemon.origin);
  for (const [path, answer] of Object.entries(answers)) {
    await page.route(`${daemon.origin}${path}`, answer);
  }
  await page.goto(`${daemon.origin}/`);
  if (ready) await page.locator(ready).waitFor();
  return { page, complaints };
}

const cellsOf = (page) => page.locator('#containers tr')
  .evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText)));

const says = (page, selector, hasText) => page.locator(selector, { hasText }).waitFor();

const give = (body) => (route) => route.fulfill({ json: typeof body === 'function' ? body() : body });

const overflow = (page) => page.evaluate(() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  return scrollWidth - clientWidth;
});

function countRequests(page, path) {
  const seen = { count: 0 };
  page.on('request', (asked) => { seen.count += Number(new URL(asked.url()).pathname === path); });
  return seen;
}

async function setHidden(page, hidden) {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

describe('what the daemon serves', () => {
  test('the page comes with a policy that allows nothing but its own files', async () => {
    const { status, headers } = await request('GET', `${daemon.origin}/`);
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/html/);
    const policy = headers['content-security-policy'];
    for (const directive of [
      "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
      "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ]) assert.ok(policy.includes(directive), `${directive} in ${policy}`);
  });

  test('the whole page is below 45 kB', async () => {
    const files = await Promise.all(['/', '/style.css', '/app.js', '/icon.svg'].map((path) => request('GET', daemon.origin + path)));
    const bytes = files.reduce((sum, { body }) => sum + body.length, 0);
    assert.deepEqual(files.map(({ status }) => status), [200, 200, 200, 200]);
    assert.ok(bytes < 45_000, `${bytes} bytes`);
  });
});

describe('what the page shows', () => {
  test('both modes as the document has them', async (t) => {
    const { page } = await open(t);
    const document = await capabilities();
    assert.equal(await page.locator('#effective strong').innerText(), document.effective_mode);
    assert.equal(await page.locator('#assessed strong').innerText(), document.assessed_mode);
    assert.equal(await page.title(), `${document.assessed_mode} · surveyd`);
  });

  test('all nine fields by wire name, value and in words', async (t) => {
    const { page } = await open(t);
    const document = await capabilities();
    assert.equal(await page.locator('#fields tr').count(), FIELDS.length);
    for (const name of FIELDS) {
      const row = page.locator(`#fields tr[data-field="${name}"]`);
      const value = { true: 'Yes', false: 'No', null: 'None' }[document[name]] ?? document[name];
      assert.ok(await row.isVisible(), name);
      assert.equal(await row.locator('code').innerText(), name);
      assert.equal(await row.locator('.value').innerText(), value);
      assert.match(await row.locator('.words').innerText(), /^\S.{10,}\.$/, name);
    }
  });

  test('what is unmet, what disagrees, and the facts of the survey', async (t) => {
    const { page } = await open(t);
    const document = await capabilities();
    assert.equal(await page.locator('#unmet li').count(), document.unmet_for_full.length);
    assert.equal(await page.locator('#disagreements tr').count(), document.disagreements.length);
    for (const { reason } of document.unmet_for_full) {
      assert.ok((await page.locator('#unmet').innerText()).includes(reason), reason);
    }
    for (const { why } of document.disagreements) {
      assert.ok((await page.locator('#disagreements').innerText()).includes(why), why);
    }
    assert.equal(await page.locator('#generation').innerText(), String(document.survey.generation));
    assert.ok((await page.locator('#overlay').innerText()).includes(document.overlay.network));
    assert.ok((await page.locator('#rootfs').innerText()).includes(document.rootfs.driver));
  });

  test('every finding of the daemon, with its answer', async (t) => {
    const { page } = await open(t, { ready: '#findings tr:first-child' });
    const { body } = await getJson(`${daemon.origin}/findings`);
    assert.equal(await page.locator('#findings tr').count(), body.findings.length);
    for (const { id, status, reason } of body.findings) {
      const row = page.locator(`#findings tr[data-finding="${id}"]`);
      assert.equal((await row.locator('.value[data-state]').innerText()).toLowerCase(), status);
      assert.equal(await row.locator('.words').innerText(), reason);
    }
  });

  test('what was verified, and what helps, ready to be copied', async (t) => {
    const finding = (changes) => ({
      id: 'a', status: 'yes', basis: 'claimed', value: '', reason: 'It is so', reason_code: 'available',
      evidence: [], remedy: null, ...changes,
    });
    const answers = {
      '/findings': give({
        findings: [
          finding({ basis: 'verified', value: '10:200' }),
          finding({ id: 'b', status: 'no', remedy: { text: 'Load it', command: 'modprobe tun' } }),
          finding({ id: 'c', status: 'unknown', remedy: { text: MARKUP, command: null } }),
          finding({ id: MARKUP, status: 'constructor', reason: LONG_PATH }),
        ],
      }),
    };
    const { page, complaints } = await open(t, { answers, ready: '#findings tr:first-child' });
    await says(page, '#findings-caption', /^4 findings: 1 yes, 1 no, 1 unknown; 1 verified$/);
    const rows = await page.locator('#findings tr')
      .evaluateAll((all) => all.map((row) => [...row.cells].map((one) => one.innerText)));
    assert.deepEqual(rows[0], ['a', 'Yes verified\n10:200', 'It is so']);
    assert.deepEqual(rows[1].slice(1), ['No', 'It is so\nLoad it\nmodprobe tun']);
    assert.deepEqual(rows[2].slice(1), ['Unknown', `It is so\n${MARKUP}`]);
    assert.equal(rows[3][0], MARKUP);
    assert.deepEqual(complaints, []);
  });

  test('the container cgroups, or why there are none', async (t) => {
    const { page } = await open(t);
    const { status, body } = await getJson(`${daemon.origin}/cgroups`);
    if (status === 200) {
      await says(page, '#cgroups-parent', body.container_parent ?? 'None');
      assert.equal(await page.locator('#containers tr').count(), body.containers.length);
    } else {
      await says(page, '#cgroups-problem', body.title);
      await says(page, '#cgroups-problem', body.detail);
    }
  });

  test('containers with state, age, processes, children and controllers, in words', async (t) => {
    const answers = {
      '/cgroups': give(cgroupsWith(
        { id: 'web1', populated: true, processes: 3, nested: 2, created_at: instant(49 * 3600) },
        { id: 'new', controllers: [], created_at: instant(20), empty_since: instant(10) },
        { id: 'done', empty_since: instant(5 * 60 + 10) },
        { id: 'left', orphaned: true, empty_since: instant(7300) },
        { id: 'slow', populated: true, removing: true, processes: 1 },
        { id: 'gone', orphaned: true, removing: true, controllers: ['pids'] },
      )),
    };
    const { page, complaints } = await open(t, { answers });
    await says(page, '#containers-caption', /^6 containers, 1 populated, 1 orphaned, 2 being removed$/);
    assert.deepEqual(await cellsOf(page), [
      ['web1', 'Populated', '2 d', '3', '2', 'cpu memory pids'],
      ['new', 'Empty for less than 1 min', 'less than 1 min', '0', '0', 'none'],
      ['done', 'Empty for 5 min', '3 h', '0', '0', 'cpu memory pids'],
      ['left', 'Orphaned\nEmpty for 2 h', '3 h', '0', '0', 'cpu memory pids'],
      ['slow', 'Being removed', '3 h', '1', '0', 'cpu memory pids'],
      ['gone', 'Being removed', '3 h', '0', '0', 'pids'],
    ]);
    assert.deepEqual(complaints, []);
  });

  test('containers of a daemon that says neither age nor since when they are empty', async (t) => {
    const since = { created_at: undefined, empty_since: undefined, orphaned: undefined, removing: undefined };
    const answers = { '/cgroups': give(cgroupsWith({ id: 'a', ...since, populated: true }, { id: 'b', ...since })) };
    const { page } = await open(t, { answers });
    await says(page, '#containers-caption', /^2 containers, 1 populated$/);
    assert.deepEqual((await cellsOf(page)).map(([, state, age]) => [state, age]), [['Populated', 'unknown'], ['Empty', 'unknown']]);
  });

  test('the problem where there is no usable cgroup v2', async (t) => {
    const problem = {
      type: 'about:blank', title: 'No usable cgroup v2', status: 501, detail: 'A hybrid hierarchy',
      op: 'fstatfs', path: '/sys/fs/cgroup', errno: 'EOPNOTSUPP',
    };
    const answers = { '/cgroups': (route) => route.fulfill({ status: 501, contentType: 'application/problem+json', json: problem }) };
    const { page } = await open(t, { answers });
    await says(page, '#cgroups-problem', 'No usable cgroup v2. A hybrid hierarchy. (fstatfs /sys/fs/cgroup EOPNOTSUPP)');
    assert.equal(await page.locator('#containers-table').isVisible(), false);
  });

  test('the daemon’s own words before the first survey, then the survey', async (t) => {
    let first = true;
    const answers = {
      '/capabilities': (route) => {
        const before = { status: 503, json: { title: 'No survey yet', status: 503, detail: 'the first one runs' } };
        route.fulfill(first ? before : { json: aSurvey() });
        first = false;
      },
    };
    const { page } = await open(t, { answers, ready: null });
    await says(page, '#trouble', 'surveyd answers 503: No survey yet. the first one runs.');
    await page.locator('#survey').waitFor();
    await page.locator('#trouble').waitFor({ state: 'hidden' });
  });

  test('hostile text as text', async (t) => {
    const answers = { '/capabilities': give(aHostileSurvey), '/cgroups': give(hostileCgroups) };
    const { page, complaints } = await open(t, { answers });
    await says(page, '#containers-caption', '5 containers, 1 populated, 1 orphaned, 1 being removed');
    assert.equal(await page.locator('main img').count(), 0);
    for (const id of ['fields', 'disagreements', 'unmet', 'overlay', 'containers']) {
      assert.ok((await page.locator(`#${id}`).textContent()).includes(MARKUP), id);
    }
    assert.equal(await page.locator('tr[data-field="cgroup_parent"] .value').textContent(), LONG_PATH);
    assert.deepEqual((await cellsOf(page))[1].slice(1, 3), ['Unknown', 'unknown']);
    assert.equal(await page.locator('#containers tr:nth-child(2) th').textContent(), 'web\\u{202e}1bew\\u{1b}[31m');
    assert.equal(await overflow(page), 0);
    assert.deepEqual(complaints, []);
  });

  test('without scripts, the command that gives the same', async (t) => {
    const { page } = await open(t, { javaScriptEnabled: false, ready: null });
    await says(page, 'noscript .notice', 'curl -s localhost:9847/capabilities');
    assert.equal(await page.locator('#waiting').isVisible(), false);
  });

  test('ages, durations and control characters in a readable form', async (t) => {
    const { page } = await open(t);
    const texts = await page.evaluate(async () => {
      const { formatAge, formatDuration, formatSpan, visible } = await import('/app.js');
      return {
        ages: [-5, 0, 59.9, 61, 3600, 7265, 200_000].map(formatAge),
        spans: [-5, 59, 60, 3599, 3600, 172_799, 172_800].map(formatSpan),
        durations: [0, 180, 1500, 2_500_000, null].map(formatDuration),
        visible: ['plain/päth', 'a\nb', '\u200bx'].map(visible),
      };
    });
    assert.deepEqual(texts.ages, ['0 s', '0 s', '59 s', '1 min 01 s', '1 h 00 min', '2 h 01 min', '2 d 7 h']);
    assert.deepEqual(texts.spans, ['less than 1 min', 'less than 1 min', '1 min', '59 min', '1 h', '47 h', '2 d']);
    assert.deepEqual(texts.durations, ['0 µs', '180 µs', '1.5 ms', '2.5 s', 'Not reported']);
    assert.deepEqual(texts.visible, ['plain/päth', 'a\\u{a}b', '\\u{200b}x']);
  });
});

describe('how the page keeps up', () => {
  test('a new survey appears without reloading', async (t) => {
    const { page, complaints } = await open(t);
    const before = Number(await page.locator('#generation').innerText());
    const loads = countRequests(page, '/');
    const { status } = await request('POST', `${daemon.origin}/survey`);
    assert.equal(status, 200);
    const { generation } = (await capabilities()).survey;
    assert.ok(generation > before);
    await says(page, '#generation', new RegExp(`^${generation}$`));
    assert.equal(loads.count, 0);
    assert.deepEqual(complaints, []);
  });

  test('it asks with the tag it was given and takes 304 for no news', async (t) => {
    const { page, complaints } = await open(t);
    const answer = await page.waitForResponse((response) => response.url().endsWith('/capabilities') && response.status() === 304);
    const { headers } = await request('GET', `${daemon.origin}/capabilities`);
    assert.equal(answer.request().headers()['if-none-match'], headers.etag);
    await says(page, '#link', 'Live');
    assert.deepEqual(complaints, []);
  });

  test('nothing leaves the origin, nothing is logged, no policy is violated', async (t) => {
    const { page, complaints } = await open(t, { clock: true });
    const again = ['/capabilities', '/cgroups'].map((path) => page.waitForResponse(daemon.origin + path));
    await page.clock.runFor(5500);
    await Promise.all(again);
    assert.deepEqual(complaints, []);
  });

  test('the age counts up between two answers', async (t) => {
    const answers = { '/capabilities': give(aSurvey({ survey: { surveyed_at: instant(7), interval_s: 3600 } })) };
    const { page } = await open(t, { answers, clock: true });
    const age = async () => parseInt(await page.locator('#age').innerText(), 10);
    const before = await age();
    await page.clock.runFor(5000);
    const after = await age();
    // Both are whole seconds: of five, one may be on its way.
    assert.ok(after >= before + 4, `${before} s, then ${after} s`);
  });

  // The instants do not tell the page's own clock from the daemon's: an hour apart, they would.
  test('the ages of containers count with the answers, by the daemon’s clock', async (t) => {
    let news = true;
    let ahead = 3600;
    const date = () => ({ Date: new Date(Date.now() + 1000 * ahead).toUTCString() });
    const containers = cgroupsWith({ created_at: instant(3600), empty_since: instant(-3600 + 290) });
    const answers = {
      '/cgroups': (route) => {
        if (news) route.fulfill({ headers: { ETag: '"1"', ...date() }, json: containers });
        else route.fulfill({ status: 304, headers: { ETag: '"1"', ...date() } });
        news = false;
      },
    };
    const { page } = await open(t, { answers, clock: true });
    await says(page, '#containers', 'Empty for 4 min');
    await says(page, '#containers td:nth-child(3)', '2 h');
    const row = await page.locator('#containers tr').elementHandle();

    ahead += 15;
    await page.clock.runFor(5500);
    await says(page, '#containers', 'Empty for 5 min');
    assert.ok(await row.evaluate((node) => node.isConnected), 'the row has kept its node');

    await page.route('**/cgroups', (route) => route.abort());
    ahead += 600;
    await page.clock.runFor(600_000);
    await says(page, '#cgroups-note', 'Not answered; this is the last that is known.');
    assert.match((await cellsOf(page))[0][1], /^Empty for 5 min$/);
  });

  test('a stale survey is called stale, by the daemon or by its age', async (t) => {
    const byDaemon = await open(t, { answers: { '/capabilities': give(() => aSurvey({ survey: { stale: true } })) } });
    await says(byDaemon.page, '#stale', 'Stale: this survey is to be repeated every 30 s');
    await says(byDaemon.page, '#link', 'Stale');

    const byAge = await open(t, { answers: { '/capabilities': give(aSurvey()) }, clock: true });
    assert.equal(await byAge.page.locator('#stale').isVisible(), false);
    await byAge.page.clock.runFor(92_000);
    await says(byAge.page, '#stale', 'Stale');
  });

  test('an unreachable daemon is said, with the age of its last answer, until it answers again', async (t) => {
    const { page } = await open(t, { clock: true });
    await page.route('**/capabilities', (route) => route.abort());
    await page.clock.runFor(2500);
    await says(page, '#trouble', /^Cannot reach surveyd, last answer is \d+ s old\.$/);
    await says(page, '#link', 'Unreachable');
    await page.clock.runFor(10_000);
    const seconds = Number(/(\d+) s old/.exec(await page.locator('#trouble').innerText())[1]);
    assert.ok(seconds >= 10, `${seconds} s`);
    assert.ok(await page.locator('#effective strong').isVisible());
    assert.equal(await page.locator('#connection').textContent(), 'surveyd cannot be reached.');
    await page.unroute('**/capabilities');
    await page.clock.runFor(2500);
    await page.locator('#trouble').waitFor({ state: 'hidden' });
    await says(page, '#link', 'Live');
  });

  test('a daemon that never answers is given up on, and asked only once at a time', async (t) => {
    const { page } = await open(t, { answers: { '/capabilities': () => {} }, clock: true, ready: '#waiting' });
    const asked = countRequests(page, '/capabilities');
    await page.clock.runFor(4000);
    await says(page, '#trouble', 'Cannot reach surveyd (nothing came within 5 s), it has not answered yet.');
    assert.equal(asked.count, 0);
  });

  test('a hidden tab asks nothing; shown again it asks at once', async (t) => {
    const { page } = await open(t, { clock: true });
    await page.waitForLoadState('networkidle');
    await setHidden(page, true);
    const asked = countRequests(page, '/capabilities');
    await page.clock.runFor(60_000);
    const answer = page.waitForResponse((response) => response.url().endsWith('/capabilities'));
    await setHidden(page, false);
    await answer;
    assert.equal(asked.count, 1);
  });

  test('a screen reader hears of changes of mode or field, not of polls', async (t) => {
    let survey = aSurvey();
    const { page } = await open(t, { answers: { '/capabilities': give(() => survey) } });
    const live = page.locator('#changes');
    assert.equal(await live.getAttribute('aria-live'), 'polite');

    survey = aSurvey({ survey: { generation: 2 } });
    await says(page, '#generation', /^2$/);
    assert.equal(await live.textContent(), '');

    survey = aSurvey({ survey: { generation: 3 }, tun_device_available: false, assessed_mode: 'nested_adaptive' });
    await says(page, '#generation', /^3$/);
    const heard = 'TUN device: was Yes, now No. Assessed mode: was degraded, now nested_adaptive.';
    assert.equal(await live.textContent(), heard);
    await says(page, 'tr[data-field="tun_device_available"] .change', /^Changed at [\d:]{8} UTC, was Yes$/);

    await live.evaluate((node) => new MutationObserver(() => { node.dataset.touched = 'yes'; })
      .observe(node, { childList: true, characterData: true, subtree: true }));
    survey = { ...survey, survey: { ...survey.survey, generation: 4 } };
    await says(page, '#generation', /^4$/);
    assert.equal(await live.getAttribute('data-touched'), null);
  });
});

describe('whom the page serves', () => {
  test('nothing scrolls sideways on a phone', async (t) => {
    const { page } = await open(t, { viewport: PHONE });
    assert.equal(await overflow(page), 0);
    const answers = { '/capabilities': give(aHostileSurvey), '/cgroups': give(hostileCgroups) };
    const hostile = await open(t, { viewport: PHONE, answers });
    await says(hostile.page, '#containers-caption', '5 containers');
    assert.equal(await overflow(hostile.page), 0);
    assert.ok(await hostile.page.getByRole('rowheader').count() > FIELDS.length);
  });

  test('the dark scheme is dark', async (t) => {
    const { page } = await open(t);
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.notEqual(await background(), light);
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`text has the contrast of WCAG AA in the ${colorScheme} scheme`, async (t) => {
      for (const effective_mode of ['full', 'nested_adaptive', 'degraded']) {
        const answers = {
          '/capabilities': give(() => ({ ...aHostileSurvey(), effective_mode, survey: aSurvey({ survey: { stale: true } }).survey })),
          '/cgroups': give(hostileCgroups),
        };
        const { page } = await open(t, { colorScheme, answers, clock: true });
        await says(page, '#containers-caption', '5 containers');
        assert.deepEqual(await lowContrast(page, 4.5), []);
        await page.route('**/capabilities', (route) => route.abort());
        await page.clock.runFor(2500);
        await page.locator('#trouble').waitFor();
        assert.deepEqual(await lowContrast(page, 4.5), []);
      }
    });
  }

  test('the first Tab reaches the skip link, which leads to the survey; focus is always visible', async (t) => {
    const { page } = await open(t);
    const focused = () => page.evaluate(() => {
      const { localName, id, textContent } = document.activeElement;
      const style = getComputedStyle(document.activeElement);
      const box = document.activeElement.getBoundingClientRect();
      return { localName, id, text: textContent.trim(), outline: style.outlineStyle, top: box.top };
    });
    await page.keyboard.press('Tab');
    const skip = await focused();
    assert.equal(skip.text, 'Skip to the survey');
    assert.ok(skip.top >= 0 && skip.outline !== 'none');
    await page.keyboard.press('Enter');
    assert.equal((await focused()).id, 'main');
    const links = await page.locator('footer a').allInnerTexts();
    for (const text of links) {
      await page.keyboard.press('Tab');
      const link = await focused();
      assert.equal(link.text, text);
      assert.notEqual(link.outline, 'none');
    }
  });

  test('the times of containers are exact for those who ask, and for machines', async (t) => {
    const [created_at, empty_since] = ['2026-01-02T03:04:05.600Z', '2026-01-02T03:10:00Z'];
    const answers = { '/cgroups': give(cgroupsWith({ created_at, empty_since, orphaned: true })) };
    const { page } = await open(t, { answers });
    await says(page, '#containers', 'Orphaned');
    const times = await page.locator('#containers time').evaluateAll((nodes) => nodes.map(({ dateTime, title }) => [dateTime, title]));
    assert.deepEqual(times, [
      ['2026-01-02T03:10:00.000Z', '2026-01-02 03:10:00 UTC'],
      ['2026-01-02T03:04:05.600Z', '2026-01-02 03:04:05 UTC'],
    ]);
  });

  test('the states of containers differ in shape, not only in colour', async (t) => {
    const answers = {
      '/cgroups': give(cgroupsWith({ populated: true }, {}, { orphaned: true }, { removing: true }, { populated: null })),
    };
    const { page } = await open(t, { answers });
    await says(page, '#containers-caption', '5 containers');
    const shapes = await page.locator('#containers .value[data-state]').evaluateAll((nodes) => nodes.map((node) => {
      const { backgroundColor, backgroundImage, borderRadius, height, transform, color } = getComputedStyle(node, '::before');
      return [backgroundColor === color, backgroundImage !== 'none', borderRadius, height, transform].join(' ');
    }));
    assert.equal(new Set(shapes).size, 5, shapes.join('\n'));
  });

  test('headings are nested, landmarks and tables are named', async (t) => {
    const { page } = await open(t, { answers: { '/capabilities': give(aHostileSurvey), '/cgroups': give(hostileCgroups) } });
    await says(page, '#containers-caption', '5 containers');
    const levels = await page.locator('h1, h2, h3, h4, h5, h6').evaluateAll((nodes) => nodes.map((node) => Number(node.localName[1])));
    assert.equal(levels[0], 1);
    assert.equal(levels.filter((level) => level === 1).length, 1);
    levels.slice(1).forEach((level, i) => assert.ok(level <= levels[i] + 1, `h${level} after h${levels[i]}`));

    for (const role of ['banner', 'main', 'contentinfo', 'navigation']) {
      assert.equal(await page.getByRole(role).count(), 1, role);
    }
    for (const name of ['Mode', 'Unmet for full', 'Decisions', 'Survey fields', 'Disagreements', 'Container cgroups']) {
      assert.equal(await page.getByRole('region', { name, exact: true }).count(), 1, name);
    }
    const tables = await page.locator('table').evaluateAll((nodes) => nodes.map((node) => ({
      caption: node.caption?.textContent.trim(),
      bare: [...node.querySelectorAll('th')].filter((th) => !['row', 'col'].includes(th.scope)).length,
    })));
    assert.equal(tables.length, 4);
    for (const { caption, bare } of tables) assert.ok(caption && bare === 0, caption);
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  });

  test('a change is animated only for those who want motion', async (t) => {
    let survey = aSurvey();
    const { page } = await open(t, { answers: { '/capabilities': give(() => survey) } });
    survey = aSurvey({ survey: { generation: 2 }, is_root: false });
    const row = page.locator('tr.fresh[data-field="is_root"]');
    await row.waitFor();
    const animation = () => row.evaluate((node) => getComputedStyle(node).animationName);
    assert.equal(await animation(), 'fresh');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    assert.equal(await animation(), 'none');
  });
});

test('screenshots', { skip: process.env.SURVEYD_SCREENSHOTS ? false : 'SURVEYD_SCREENSHOTS names no directory' }, async (t) => {
  const views = [
    ['desktop.png', { viewport: DESKTOP }],
    ['phone.png', { viewport: PHONE, deviceScaleFactor: 2 }],
    ['dark.png', { viewport: DESKTOP, colorScheme: 'dark' }],
  ];
  const answers = {
    '/cgroups': give(cgroupsWith(
      { id: 'web-1', populated: true, processes: 12, nested: 1 },
      { id: 'batch-20260102', empty_since: instant(20), created_at: instant(86_400) },
      { id: 'forgotten', orphaned: true, empty_since: instant(310) },
      { id: 'stuck', populated: true, processes: 1, removing: true },
    )),
  };
  for (const [name, options] of [...views, ...views.map(([name, options]) => [`containers-${name}`, { ...options, answers }])]) {
    const { page } = await open(t, options);
    await page.locator('#cgroups-parent > *, #cgroups-problem:not([hidden])').first().waitFor();
    await page.screenshot({ path: join(process.env.SURVEYD_SCREENSHOTS, name), fullPage: true });
  }
});
