import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const LISTENING = /listening on (http:\/\/127\.0\.0\.1:\d+)/;

// Starts the binary on a free port; resolves once it says that it listens.
export async function startDaemon() {
  const binary = process.env.SURVEYD_BIN;
  assert.ok(binary, 'SURVEYD_BIN must name the surveyd binary to test');

  // SURVEYD_* are settings of the daemon: none of the caller's may reach it.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SURVEYD_')));
  const args = ['serve', '--listen', '127.0.0.1:0', '--unix-socket', '', '--interval', '3600'];
  const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
  const exited = Promise.race([once(child, 'exit'), once(child, 'error')]);

  const said = [];
  const origin = await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      const match = LISTENING.exec(line);
      if (match) resolve(match[1]);
    });
    exited.then(() => reject(new Error(`${binary} ended before it listened:\n${said.join('\n')}`)), reject);
  });

  return {
    origin,
    async stop() {
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited;
      clearTimeout(hard);
    },
  };
}

// Node's own client: it sends none of the headers by which a browser is told.
export function request(method, url) {
  return new Promise((resolve, reject) => {
    http.request(url, { method, agent: false }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(chunks),
      }));
      response.on('error', reject);
    }).on('error', reject).end();
  });
}

export async function getJson(url) {
  const { status, body } = await request('GET', url);
  return { status, body: JSON.parse(body) };
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

// Everything that must not happen while a page is open.
export async function watch(page, origin) {
  const complaints = [];
  await page.exposeFunction('complain', (what) => complaints.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.complain(`CSP: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  page.on('request', (asked) => {
    if (new URL(asked.url()).origin !== origin) complaints.push(`request to ${asked.url()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    // The browser itself logs every status above 399; without cgroup v2 /cgroups rightly has one.
    const answered = message.location().url === `${origin}/cgroups` && /status of 50[13]/.test(message.text());
    if (!answered) complaints.push(`console: ${message.text()}`);
  });
  return complaints;
}

// The text elements whose contrast with what is behind them is below the ratio.
export function lowContrast(page, ratio) {
  return page.evaluate((least) => {
    const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => {
      const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const colour = parse(getComputedStyle(at).backgroundColor);
        if (colour.length === 3) return colour;
      }
      throw new Error('no opaque background');
    };
    return [...document.body.querySelectorAll('*')]
      .filter((node) => node.checkVisibility() && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
      .map((node) => {
        const [a, b] = [luminance(parse(getComputedStyle(node).color)), luminance(behind(node))];
        return { text: node.textContent, contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
      })
      .filter(({ contrast }) => contrast < least);
  }, ratio);
}
