"""Rules of accessibility for a page that is open in a real browser, as a list of what breaks them.

WCAG 2.2: 1.3.1, 1.4.3, 1.4.10, 2.4.1 to 2.4.3, 2.5.5, 3.1.1, 3.3.2, 4.1.2; and the portal's own:
text of 16 px, targets of 44 px. Runs in the page through the browser's debugger, which works where
the page itself may run no script.
"""

from typing import Final

PROBLEMS: Final = r"""
() => {
  const found = [];
  const say = (rule, node) => found.push(
    `${rule}: ${node ? node.outerHTML.slice(0, 120).replace(/\s+/g, ' ') : ''}`);
  const one = (selector) => document.querySelectorAll(selector).length === 1;
  const shown = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && getComputedStyle(node).visibility !== 'hidden';
  };
  const name = (node) => (node.getAttribute('aria-label') || node.textContent || '').trim();

  if (!document.documentElement.lang) say('language', null);
  if (!/ · Wicket$/.test(document.title)) say('title', null);
  for (const landmark of ['main', 'header', 'footer', 'h1']) {
    if (!one(landmark)) say(`one ${landmark}`, null);
  }
  const skip = document.body.querySelector('a');
  if (!skip || !document.querySelector(skip.getAttribute('href'))) say('skip link first', skip);
  if (document.documentElement.scrollWidth > innerWidth) say('horizontal overflow', null);

  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const depth = Number(heading.tagName[1]);
    if (depth > level + 1) say('heading level', heading);
    level = depth;
  }
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  if (new Set(ids).size !== ids.length) say('ids differ', null);
  for (const node of document.querySelectorAll('[aria-describedby], [aria-labelledby]')) {
    const refs = `${node.getAttribute('aria-describedby') || ''} ` +
      `${node.getAttribute('aria-labelledby') || ''}`;
    for (const ref of refs.split(' ')) {
      if (ref && !document.getElementById(ref)) say('reference', node);
    }
  }
  for (const node of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
    if (!node.labels.length) say('label', node);
    if (node.getAttribute('aria-invalid') && !node.getAttribute('aria-describedby')) {
      say('error text', node);
    }
  }
  for (const node of document.querySelectorAll('a, button, summary')) {
    if (!name(node)) say('name', node);
  }
  for (const node of document.querySelectorAll('svg, img')) {
    const hidden = node.getAttribute('aria-hidden') === 'true';
    if (!hidden && !node.closest('[role=img][aria-label]')) say('image text', node);
  }
  for (const node of document.querySelectorAll('[tabindex]')) {
    if (node.tabIndex > 0) say('focus order', node);
  }
  const targets = 'a, button, input:not([type=hidden]), select, summary';
  for (const node of document.querySelectorAll(targets)) {
    if (!shown(node) || node.matches('.skip')) continue;
    const box = node.getBoundingClientRect();
    if (getComputedStyle(node).display !== 'inline' && box.height < 43.5) say('target', node);
  }

  const channels = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || seen.has(node) || !shown(node)) continue;
    seen.add(node);
    const style = getComputedStyle(node);
    if (parseFloat(style.fontSize) < 16) say(`text of ${style.fontSize}`, node);
    const [a, b] = [light(channels(style.color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) say(`contrast ${ratio.toFixed(2)}`, node);
  }
  return found;
}
"""
"""Gives an empty list for a page that breaks none."""
