// SPDX-License-Identifier: Apache-2.0
// The status page in Chromium, through chromedriver's WebDriver protocol: screenshots, accessibility by axe-core,
// keyboard, a phone's width, without a script. Prints "ok NAME" or "FAIL NAME: WHY" for each check.
// usage: node browser.mjs CHROMEDRIVER_URL PAGE_URL STATE OUT_DIR AXE_JS [TEXT]     TEXT: waited for in the headline
import { readFileSync, writeFileSync } from 'node:fs';

const [driver, url, state, out, axePath, text] = process.argv.slice(2);
const axe = readFileSync(axePath, 'utf8');
const WAIT_MS = 20000;

async function call(method, path, body) {
  const answer = await fetch(driver + path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined,
  });
  const json = await answer.json();
  if (json.value && json.value.error) {
    throw new Error(`${path}: ${json.value.error}: ${json.value.message.split('\n')[0]}`);
  }
  return json.value;
}

let session = '';
const at = (path) => `/session/${session}${path}`;
const run = (script, ...args) => call('POST', at('/execute/sync'), { script, args });
const runLater = (script, ...args) => call('POST', at('/execute/async'), { script, args });
const cdp = (cmd, params) => call('POST', at('/goog/cdp/execute'), { cmd, params });
const open = () => call('POST', at('/url'), { url });

function check(name, problem) {
  console.log(problem ? `FAIL ${state}: ${name}: ${problem}` : `ok ${state}: ${name}`);
}

async function until(what, script) {
  const end = Date.now() + WAIT_MS;
  while (Date.now() < end) {
    if (await run(script, text ?? '')) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not come`);
}

// The whole page, also what has to be scrolled to.
async function shot(name) {
  const { data } = await cdp('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
  writeFileSync(`${out}/${state}-${name}.png`, Buffer.from(data, 'base64'));
}

async function accessible(name) {
  await run(axe);
  const result = await runLater(`
    const done = arguments[arguments.length - 1];
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })
      .then((r) => done({ passes: r.passes.length, violations: r.violations.map((v) => v.id + ' at ' + v.nodes[0].target) }))
      .catch((error) => done({ passes: 0, violations: [String(error)] }));`);
  check(`no violation of WCAG 2.1 A and AA, ${name}`, result.violations.join('; ') || (result.passes > 5 ? '' : 'nothing was checked'));
}

const scheme = (value) => cdp('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
const size = (width, height) =>
  cdp('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });

async function wide() {
  await size(1280, 1100);
  await scheme('light');
  await open();
  await until('the state', `return document.getElementById('summary').textContent.includes(arguments[0])`);
  await until('live parts', `return document.getElementById('live').textContent.startsWith('Live')`);
  await shot('wide-light');
  check('the title says it too', (await run('return document.title')).includes(text ?? 'Quorate') ? '' : await run('return document.title'));
  await accessible('wide, light');
  await scheme('dark');
  await shot('wide-dark');
  await accessible('wide, dark');
}

async function phone() {
  await size(360, 780);
  await scheme('light');
  await shot('phone');
  const over = await run('return document.documentElement.scrollWidth - window.innerWidth');
  check('a phone needs no scrolling sideways', over > 0 ? `${over} px` : '');
  await accessible('phone');
  await size(1280, 1100);
}

const key = (value) =>
  call('POST', at('/actions'), {
    actions: [{ type: 'key', id: 'k', actions: [{ type: 'keyDown', value }, { type: 'keyUp', value }] }],
  });

async function keyboard() {
  await open();
  await key('\uE004');
  check('the first key leads past the header', (await run('return document.activeElement.className')) === 'skip' ? '' : 'no');
  if (!(await run('return document.querySelector("summary") !== null'))) {
    return;
  }
  await run('document.querySelector("summary").focus()');
  await key('\uE007');
  const isOpen = 'return document.querySelector("details").open';
  check('details open by key', (await run(isOpen)) ? '' : 'no');
  await run('window.parts = 0; new MutationObserver(() => { window.parts++; }).observe(document.getElementById("main"), { childList: true, subtree: true })');
  await until('a newer part', 'return window.parts > 0');
  check('and stay open when newer parts come', (await run(isOpen)) ? '' : 'no');
}

async function plain() {
  await cdp('Emulation.setScriptExecutionDisabled', { value: true });
  await open();
  await shot('no-script');
  const source = await call('GET', at('/source'));
  check('without a script everything is there', source.includes('id="quorum"') && source.includes('Members of') ? '' : 'something is missing');
  await cdp('Emulation.setScriptExecutionDisabled', { value: false });
}

async function errors() {
  const lines = await call('POST', at('/se/log'), { type: 'browser' });
  const bad = lines.filter((line) => line.level === 'SEVERE' && !/status\/live|favicon/.test(line.message));
  check('the browser has nothing to complain of', bad.map((line) => line.message).join('; '));
}

const capabilities = {
  alwaysMatch: {
    browserName: 'chrome',
    'goog:loggingPrefs': { browser: 'ALL' },
    'goog:chromeOptions': {
      args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars'],
    },
  },
};
const made = await call('POST', '/session', { capabilities });
session = made.sessionId;
try {
  for (const step of [wide, phone, keyboard, plain, errors]) {
    try {
      await step();
    } catch (error) {
      check(step.name, error.message);
    }
  }
} finally {
  await call('DELETE', at(''));
}
