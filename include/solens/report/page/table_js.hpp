#pragma once

#include <string_view>

namespace solens::report_page {

/// The table of neurons, of which only the rows in sight exist.
inline constexpr std::string_view table_js = R"js(
// A list of rows of one height in a scrolling box; `row(i)` makes one when it comes into sight.
class VirtualList {
  constructor(rowHeight, row) {
    this.rowHeight = rowHeight;
    this.row = row;
    this.count = 0;
    this.rows = new Map();
    this.space = el('div', {class: 'space'});
    this.box = el('div', {class: 'scroll', tabindex: '-1', scroll: () => this.draw()}, this.space);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.box);
  }

  // Shows `count` rows anew.
  reset(count) {
    this.count = count;
    this.space.style.height = `${count * this.rowHeight}px`;
    this.space.replaceChildren();
    this.rows.clear();
    this.draw();
  }

  draw() {
    const extra = 4, height = this.box.clientHeight;
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.rowHeight) - extra);
    const last = Math.min(this.count,
                          Math.ceil((this.box.scrollTop + height) / this.rowHeight) + extra);
    for (const [i, node] of this.rows) {
      if (i < first || i >= last) {
        node.remove();
        this.rows.delete(i);
      }
    }
    for (let i = first; i < last; ++i) {
      if (this.rows.has(i)) continue;
      const node = this.row(i);
      node.style.top = `${i * this.rowHeight}px`;
      this.rows.set(i, node);
      this.space.append(node);
    }
  }

  // Draws one row anew.
  refresh(i) {
    if (!this.rows.has(i)) return;
    this.rows.get(i).remove();
    this.rows.delete(i);
    this.draw();
  }

  bringIntoView(i) {
    const top = i * this.rowHeight, box = this.box;
    if (top < box.scrollTop) box.scrollTop = top;
    const overhang = top + this.rowHeight - box.scrollTop - box.clientHeight;
    if (overhang > 0) box.scrollTop += overhang;
    this.draw();
  }
}

const shareBar = (x) => el('span', {class: 'meter'},
  el('span', {style: `width:${100 * Math.max(0, Math.min(1, x))}%`}), el('b', {}, format.percent(x)));

// Columns of numbers: what they are called, what they mean, how they are shown.
const tableColumns = [
  {key: 'explained_variance', name: 'One direction', show: shareBar,
   help: 'Share of the top images\' centered effects that lies along one direction'},
  {key: 'top_share', name: 'Top 2 %', show: shareBar,
   help: 'Share of the summed effect norms that lies on the 2 % of images with the largest'},
  {key: 'largest_norm', name: 'Largest', show: format.number,
   help: 'Norm of the largest centered effect; the whole representation has the norm ' +
         run.record.options.coefficient},
  {key: 'threshold', name: 'Threshold', show: format.number,
   help: 'Norm above which an effect is significant'},
  {key: 'code_cosine', name: 'Said', show: format.number,
   help: 'Cosine of the direction and the sum of its words'},
  {key: 'polysemy', name: 'Polysemy', show: format.number,
   help: 'How far apart the words lie: 0 all mean the same, about 1 nothing to do with each other'},
].filter((c) => columns[c.key]);

function wordChip(word, wanted) {
  const side = word.weight < 0 ? 'negative' : 'positive';
  const hit = wanted && word.text.toLowerCase().includes(wanted.toLowerCase());
  return el('span', {class: `chip ${side}${hit ? ' hit' : ''}`, title: format.signed(word.weight)},
            word.text);
}

// The first words of a neuron on a line, those it turns away from with a minus.
const gistOf = (n) => wordsOf(n, 3).map((w) => (w.weight < 0 ? '− ' : '') + w.text).join(', ');

function smallPicture(image) {
  const source = pictureOf(image);
  return source ? el('img', {class: 'mini', src: source, alt: '', loading: 'lazy'})
                : el('span', {class: 'mini none'});
}

// What the table shows: options of its address, and the neurons that they leave, in order.
const list = {options: {}, neurons: [], selected: 0, key: null, scroll: 0};

// Neurons that fit the options {q, layer, image}, and of each the number it is matched with.
function select(options) {
  let matches = null;
  const image = options.image === undefined ? -1 : +options.image;
  if (image >= 0) matches = neuronsWithImage(image);
  if (options.q) {
    const saying = neuronsSaying(options.q);
    matches = matches ? new Map([...matches].filter(([n]) => saying.has(n))) : saying;
  }
  const layer = run.layers.find((l) => String(l.layer) === options.layer);
  const first = layer ? layer.first : 0, end = layer ? first + layer.neurons : neuronCount;
  if (matches) return {matches, neurons: [...matches.keys()].filter((n) => n >= first && n < end)};
  return {matches, neurons: Array.from({length: end - first}, (_, i) => first + i)};
}

// Sorts by `sort` ('-' before it for the smallest first); by the match where there is one.
function arrange(asked) {
  const matched = asked.q || asked.image !== undefined;
  const options = {...asked, sort: asked.sort || (matched ? undefined : 'explained_variance')};
  const key = JSON.stringify(options);
  if (list.key === key) return;
  const {matches, neurons} = select(options);
  const [down, sort] = (options.sort || '').startsWith('-') ? [-1, options.sort.slice(1)]
                                                           : [1, options.sort];
  const values = columns[sort];
  if (values) neurons.sort((a, b) => down * (values[b] - values[a]) || a - b);
  else if (sort === 'neuron') neurons.sort((a, b) => down * (b - a));
  else if (options.image !== undefined) neurons.sort((a, b) => matches.get(a) - matches.get(b));
  else if (options.q) neurons.sort((a, b) => Math.abs(matches.get(b)) - Math.abs(matches.get(a)));
  Object.assign(list, {options, neurons, key, selected: 0, scroll: 0});
}

function neuronRow(i, open) {
  const n = list.neurons[i];
  return el('div', {class: 'row' + (i === list.selected ? ' selected' : ''), role: 'row',
                    'data-neuron': nameOf(n), click: () => open(i)},
            link(address('neuron/' + nameOf(n)), {class: 'name', role: 'cell'},
                 el('b', {}, String(layerOf(n).layer)), ' / ' + (n - layerOf(n).first)),
            el('span', {class: 'minis', role: 'cell'},
               imagesOf(n, 5).map(({image}) => smallPicture(image))),
            el('span', {class: 'chips', role: 'cell'},
               wordsOf(n, 8).map((w) => wordChip(w, list.options.q))),
            tableColumns.map((c) => el('span', {class: 'number', role: 'cell'},
                                       c.show(columns[c.key][n]))));
}

function tableHead() {
  const {options} = list;
  const head = (key, name, help, kind) => {
    const down = options.sort === key, up = options.sort === '-' + key;
    const next = down ? '-' + key : key;
    return link(address('neurons', {...options, sort: next}),
                {class: kind + (down || up ? ' sorted' : ''), title: help, role: 'columnheader',
                 'data-sort': key, 'aria-sort': down ? 'descending' : up ? 'ascending' : 'none'},
                name, el('i', {}, down ? ' ▾' : up ? ' ▴' : ''));
  };
  return el('div', {class: 'row head', role: 'row'},
            head('neuron', 'Neuron', 'Layer and number', 'name'),
            el('span', {class: 'minis', role: 'columnheader'}, 'Strongest images'),
            el('span', {class: 'chips', role: 'columnheader'}, hasWords ? 'Words' : ''),
            tableColumns.map((c) => head(c.key, c.name, c.help, 'number')));
}

// Buttons that narrow the table, and what it is narrowed to.
function tableFilters() {
  const {options} = list;
  const choice = (name, layer) => link(
    address('neurons', {...options, layer}),
    {class: 'pill' + ((options.layer || '') === (layer || '') ? ' on' : '')}, name);
  const without = (key, ...label) => link(address('neurons', {...options, [key]: undefined}),
                                          {class: 'pill on', title: 'Remove'}, ...label, ' ×');
  return el('div', {class: 'filters'},
            el('span', {class: 'count', id: 'count'}, format.plural(list.neurons.length, 'neuron')),
            options.q && without('q', `say “${options.q}”`),
            options.image !== undefined && without('image', smallPicture(+options.image), ' ',
                                                   baseName(run.images[+options.image] || '?')),
            el('span', {class: 'pills'}, choice('all layers', ''),
               run.layers.map((l) => choice(String(l.layer), String(l.layer)))));
}

const baseName = (path) => path.slice(path.lastIndexOf('/') + 1);

function neuronsView(options) {
  arrange(options);
  const open = (i) => {
    list.selected = i;
    location.hash = address('neuron/' + nameOf(list.neurons[i]));
  };
  const rows = new VirtualList(56, (i) => neuronRow(i, open));
  rows.box.addEventListener('scroll', () => { list.scroll = rows.box.scrollTop; });
  const move = (to) => {
    const before = list.selected;
    list.selected = Math.max(0, Math.min(list.neurons.length - 1, to));
    rows.refresh(before);
    rows.refresh(list.selected);
    rows.bringIntoView(list.selected);
  };
  const page = () => Math.max(1, Math.floor(rows.box.clientHeight / rows.rowHeight) - 1);
  return {
    title: 'Neurons',
    node: el('div', {class: 'table', role: 'table'}, tableFilters(), tableHead(), rows.box,
             list.neurons.length === 0 && el('p', {class: 'empty'}, 'No neuron fits.')),
    shown: () => {
      const {scroll} = list;  // drawing moves it
      rows.reset(list.neurons.length);
      rows.box.scrollTop = scroll;
      rows.draw();
    },
    keys: {
      ArrowDown: () => move(list.selected + 1), ArrowUp: () => move(list.selected - 1),
      j: () => move(list.selected + 1), k: () => move(list.selected - 1),
      PageDown: () => move(list.selected + page()), PageUp: () => move(list.selected - page()),
      Home: () => move(0), End: () => move(list.neurons.length - 1),
      Enter: () => list.neurons.length > 0 && open(list.selected),
      Escape: () => { location.hash = address('neurons'); },
    },
  };
}
)js";

}  // namespace solens::report_page
