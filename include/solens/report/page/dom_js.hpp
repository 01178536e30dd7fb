#pragma once

#include <string_view>

namespace solens::report_page {

/// Elements, numbers and links. Text enters the page as text nodes only, never as markup.
inline constexpr std::string_view dom_js = R"js(
// An element with attributes (functions become listeners) and children: elements, text, nothing.
function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

// Numbers as people read them.
const format = {
  count: (x) => x.toLocaleString('en'),
  percent: (x, digits = 0) => (100 * x).toFixed(digits) + '\u2009%',
  number: (x) => !Number.isFinite(x) ? '–' : x === 0 ? '0'
    : Math.abs(x) >= 100 ? x.toFixed(0) : Math.abs(x) >= 10 ? x.toFixed(1)
    : Math.abs(x) >= 0.01 ? x.toFixed(2) : x.toExponential(1),
  signed: (x) => (x < 0 ? '−' : '+') + format.number(Math.abs(x)),
  plural: (n, one, many = one + 's') => `${format.count(n)} ${n === 1 ? one : many}`,
};

// The address of a view inside the page: '#/neurons?q=boat&layer=3'.
function address(path, options = {}) {
  const set = Object.entries(options).filter(([, v]) => v !== null && v !== undefined && v !== '');
  const query = set.map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&');
  return '#/' + path + (query ? '?' + query : '');
}

function link(to, attributes, ...children) {
  return el('a', {href: to, ...attributes}, ...children);
}

// A figure with its name, for the head of a view.
function tile(name, value, help, more) {
  return el('div', {class: 'tile', title: help}, el('div', {class: 'tile-name'}, name),
            el('div', {class: 'tile-value'}, value), more);
}

function card(title, note, ...content) {
  return el('section', {class: 'card'},
            el('header', {}, el('h2', {}, title), note && el('p', {class: 'note'}, note)),
            ...content);
}
)js";

}  // namespace solens::report_page
