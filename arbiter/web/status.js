// SPDX-License-Identifier: Apache-2.0
// Keeps the status page up to date: each message of /status/live is a part of the page, written by the node as the
// page itself is, and put in the place of the older one. Without this script the page loads itself again.
'use strict';

const RETRY_MS = 2000;
const live = document.getElementById('live');
let asOf = live.textContent;

function say(text, isLost) {
  live.textContent = text;
  live.classList.toggle('lost', isLost);
}

// Which details are open, and where the keyboard stands, survive.
function replace(markup) {
  const box = document.createElement('template');
  box.innerHTML = markup;
  const next = box.content.firstElementChild;
  const old = next && document.getElementById(next.id);
  if (!old) {
    return;
  }
  for (const open of old.querySelectorAll('details[open]')) {
    const twin = next.querySelector('#' + CSS.escape(open.id));
    if (twin) {
      twin.open = true;
    }
  }
  if (old.outerHTML === next.outerHTML) {
    return;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.closest('details') : null;
  old.replaceWith(next);
  const again = focused && document.getElementById(focused.id);
  if (again) {
    again.querySelector('summary').focus();
  }
}

function connect() {
  const source = new EventSource('/status/live');
  source.addEventListener('part', (event) => replace(event.data));
  source.addEventListener('title', (event) => { document.title = event.data; });
  source.addEventListener('time', (event) => {
    asOf = 'as of ' + event.data;
    say('Live, ' + asOf, false);
  });
  // Clusters have come or gone: the page has other parts.
  source.addEventListener('shape', (event) => {
    if (event.data !== document.getElementById('main').dataset.shape) {
      location.reload();
    }
  });
  source.onerror = () => {
    say('This node does not answer; what you see is ' + asOf, true);
    source.close();
    setTimeout(connect, RETRY_MS);
  };
}
connect();
