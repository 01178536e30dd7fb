#pragma once

#include <string_view>

namespace solens::report_page {

/// The frame around the views: addresses, keys, light and dark.
inline constexpr std::string_view app_js = R"js(
// The view that an address names; the table of neurons for one that names nothing.
function viewAt(hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
  const options = Object.fromEntries(new URLSearchParams(query));
  const [kind, a, b] = path.split('/');
  if (kind === 'neuron') {
    const n = neuronNamed(Number(a), Number(b));
    if (n >= 0) return neuronView(n);
  }
  if (kind === 'layer' && run.layers.some((l) => String(l.layer) === a)) return layerView(+a);
  const views = {layers: layersView, images: () => imagesView(options), heads: headsView,
                 about: aboutView};
  return Object.hasOwn(views, kind) ? views[kind]() : neuronsView(kind === 'neurons' ? options : {});
}

const sections = [['neurons', 'Neurons'], ['layers', 'Layers'], ['images', 'Images'],
                  ...(run.head_words ? [['heads', 'Heads']] : []), ['about', 'About']];
let view = null;

function show() {
  view = viewAt(location.hash);
  const kind = location.hash.replace(/^#\/?/, '').split(/[/?]/)[0] || 'neurons';
  for (const item of document.querySelectorAll('nav a')) {
    const of = item.dataset.section;
    item.classList.toggle('on', of === kind || of === kind + 's');
  }
  document.title = `${view.title} · solens`;
  const main = document.querySelector('main');
  main.replaceChildren(view.node);
  main.scrollTop = 0;
  if (view.shown) view.shown();
}

// Light or dark as the system has it, until somebody chooses.
const memory = {
  get: () => { try { return localStorage.getItem('solens-theme'); } catch { return null; } },
  set: (theme) => { try { localStorage.setItem('solens-theme', theme); } catch { /* no storage */ } },
};
const isDark = () => document.documentElement.dataset.theme
  ? document.documentElement.dataset.theme === 'dark'
  : matchMedia('(prefers-color-scheme: dark)').matches;

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
  memory.set(document.documentElement.dataset.theme);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const everywhere = {
    '/': () => document.getElementById('search').focus(), t: toggleTheme,
    1: () => { location.hash = address('neurons'); }, 2: () => { location.hash = address('layers'); },
    3: () => { location.hash = address('images'); }, '?': () => { location.hash = address('about'); }};
  const action = (view.keys && view.keys[event.key]) || everywhere[event.key];
  // Enter on a link or button is theirs.
  if (!action || (event.key === 'Enter' && event.target.closest('a, button'))) return;
  event.preventDefault();
  action();
}

function start() {
  const theme = memory.get();
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  document.body.classList.toggle('no-pictures', run.pictures.count === 0);
  const model = run.record.model.path.split('/').filter(Boolean).slice(-2).join('/');
  document.body.append(
    el('header', {class: 'top'},
      link('#/neurons', {class: 'brand'}, 'sol', el('b', {}, 'ens')),
      el('span', {class: 'model', title: run.record.model.path}, model),
      el('nav', {}, sections.map(([path, name]) =>
        link(address(path), {'data-section': path}, name))),
      searchField(),
      el('button', {class: 'theme', id: 'theme', title: 'Light or dark (t)', click: toggleTheme},
         '◐')),
    run.pictures.note ? el('p', {class: 'banner', id: 'pictures-note'}, run.pictures.note) : '',
    el('main', {}));
  addEventListener('hashchange', show);
  addEventListener('keydown', onKey);
  show();
  document.body.dataset.ready = 'true';
}

start();
)js";

}  // namespace solens::report_page
