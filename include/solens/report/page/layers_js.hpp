#pragma once

#include <string_view>

namespace solens::report_page {

/// The pages of layers, images and heads, and of the run itself.
inline constexpr std::string_view layers_js = R"js(
const ofLayer = (layer, key) =>
  columns[key] ? columns[key].subarray(layer.first, layer.first + layer.neurons) : null;

function median(values) {
  const sorted = Float32Array.from(values).sort();
  return sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)] : NaN;
}

// The upper end of an axis for values of all layers: the same on every page.
function largestOf(key) {
  let largest = 0;
  for (const v of columns[key] || []) if (v > largest) largest = v;
  return largest || 1;
}

const layerFigures = [
  {key: 'explained_variance', name: 'explained by one direction', text: (v) => format.percent(v),
   high: () => 1},
  {key: 'top_share', name: 'norm on the top 2 % of images', text: (v) => format.percent(v),
   high: () => largestOf('top_share')},
  {key: 'largest_norm', name: 'largest norm', text: String,
   high: () => largestOf('largest_norm')},
  {key: 'code_cosine', name: 'cosine of direction and words', text: String,
   high: () => largestOf('code_cosine')},
  {key: 'polysemy', name: 'polysemy', text: String, high: () => largestOf('polysemy')},
].filter((f) => columns[f.key]);

function figureHistogram(figure, layer, size) {
  const values = ofLayer(layer, figure.key);
  return histogram(values, {name: figure.name, high: figure.high(), text: figure.text,
                            mark: median(values), ...size});
}

function ablationNote() {
  const {images, classes} = run.ablation;
  return `Zero-shot accuracy over ${format.plural(images ? images.count : 0, 'image')} in ` +
    `${format.plural(classes || 0, 'class', 'classes')} when parts of the layer's effects are taken ` +
    'away; bars are 95 % intervals.';
}

const noAblation = () => el('p', {class: 'note'},
  'No ablations here yet: solens ablate --run measures them.');

function layersView() {
  const figures = layerFigures.slice(0, 4), size = {width: 250, height: 96, name: ''};
  const rows = run.layers.map((layer) => el('tr', {
    click: () => { location.hash = address('layer/' + layer.layer); }},
    el('th', {}, link(address('layer/' + layer.layer), {}, `Layer ${layer.layer}`)),
    figures.map((f) => el('td', {}, figureHistogram(f, layer, size)))));
  return {
    title: 'Layers',
    node: el('article', {class: 'page', id: 'layers-page'},
      el('h1', {}, 'Layers'),
      card('What a classification needs', run.ablation && ablationNote(),
           run.ablation ? ablationCurves(run.ablation) : noAblation()),
      card('Neurons of each layer', 'The line is the median. A layer opens with a click.',
           el('table', {class: 'multiples'},
              el('thead', {}, el('tr', {}, el('th', {}), figures.map((f) => el('th', {}, f.name)))),
              el('tbody', {}, rows)))),
    keys: {Escape: () => { location.hash = address('neurons'); }},
  };
}

// The rows of one layer's ablations: accuracy with its interval.
function ablationRows(layer) {
  const percent = (x) => format.percent(x, 1);
  const ends = layer.rows.flatMap((r) => r.top_1.interval || [r.top_1.share]);
  const least = Math.min(...ends), spread = Math.max(...ends) - least || 1;
  const at = (share) => 100 * (share - least) / spread;
  return el('table', {class: 'accuracies'}, el('thead', {}, el('tr', {},
    ['what is left', 'top-1', '', 'top-5'].map((h) => el('th', {}, h)))),
    el('tbody', {}, layer.rows.map((r) => {
      const [low, high] = r.top_1.interval || [r.top_1.share, r.top_1.share];
      return el('tr', {}, el('th', {}, ablationName(r.row)),
        el('td', {}, percent(r.top_1.share)),
        el('td', {class: 'whisker'}, el('span', {
          style: `left:${at(low)}%;width:${at(high) - at(low)}%`}),
          el('i', {style: `left:${at(r.top_1.share)}%`})),
        el('td', {}, r.top_5 ? percent(r.top_5.share) : ''));
    })));
}

// Neurons of a layer that lead by some figure.
function leaders(layer, key) {
  const numbers = Array.from({length: layer.neurons}, (_, i) => layer.first + i);
  return numbers.sort((a, b) => columns[key][b] - columns[key][a] || a - b).slice(0, 6);
}

function leadersCard(layer, key, title) {
  return card(title, null, el('div', {class: 'leaders'}, leaders(layer, key).map((n) =>
    link(address('neuron/' + nameOf(n)), {class: 'leader'},
      el('span', {class: 'minis'}, imagesOf(n, 3).map(({image}) => smallPicture(image))),
      el('span', {}, el('b', {}, nameOf(n)), ' ', wordsOf(n, 3).map((w) => wordChip(w)))))));
}

function layerView(number) {
  const index = run.layers.findIndex((l) => l.layer === number), layer = run.layers[index];
  const go = (by) => {
    const to = run.layers[index + by];
    if (to) location.hash = address('layer/' + to.layer);
  };
  const ablation = run.ablation && run.ablation.layers.find((l) => l.layer === number);
  const average = (key) => median(ofLayer(layer, key));
  return {
    title: `Layer ${number}`,
    node: el('article', {class: 'page', id: 'layer-page'},
      el('header', {class: 'page-head'},
        el('div', {}, el('p', {class: 'crumbs'}, link(address('layers'), {}, 'Layers')),
           el('h1', {}, `Layer ${number}`)),
        el('div', {class: 'steps'},
           link(address('neurons', {layer: number}), {class: 'pill'},
                `its ${format.plural(layer.neurons, 'neuron')} →`))),
      el('div', {class: 'tiles'},
        tile('neurons', format.count(layer.neurons)),
        tile('later heads', format.count(layer.heads)),
        tile('median along one direction', format.percent(average('explained_variance'), 1)),
        tile('median on the top 2 %', format.percent(average('top_share'), 1)),
        hasWords && tile('median cosine of words', format.number(average('code_cosine')))),
      card('Ablations', run.ablation && ablationNote(),
           run.ablation ? el('div', {class: 'two even'}, ablationCurves(run.ablation, number),
                             ablation ? ablationRows(ablation)
                                      : el('p', {class: 'note'}, 'Not measured for this layer.'))
                        : noAblation()),
      card('How its neurons spread', 'The line is the median.',
           el('div', {class: 'histograms'}, layerFigures.map((f) => figureHistogram(f, layer)))),
      el('div', {class: 'two even'},
         leadersCard(layer, 'explained_variance', 'Closest to one direction'),
         leadersCard(layer, 'largest_norm', 'Largest effects'))),
    keys: {j: () => go(1), k: () => go(-1), ArrowRight: () => go(1), ArrowLeft: () => go(-1),
           Escape: () => { location.hash = address('layers'); }},
  };
}

// All images, a row of them at a time.
function imagesView(options) {
  const wanted = (options.q || '').toLowerCase();
  const found = [];
  run.images.forEach((name, i) => { if (name.toLowerCase().includes(wanted)) found.push(i); });
  let across = 8;
  const rows = new VirtualList(148, (r) => el('div', {class: 'shelf',
    style: `grid-template-columns:repeat(${across},1fr)`},
    found.slice(r * across, (r + 1) * across).map((image) =>
      link(address('neurons', {image}), {class: 'shelf-item', title: run.images[image]},
        hasPicture(image) ? el('img', {src: pictureOf(image), alt: ''})
                          : el('span', {class: 'none'}),
        el('span', {}, baseName(run.images[image]))))));
  return {
    title: 'Images',
    node: el('div', {class: 'table'},
      el('div', {class: 'filters'}, el('span', {class: 'count'}, format.plural(found.length, 'image')),
         options.q && link(address('images'), {class: 'pill on'}, `“${options.q}” ×`),
         el('span', {class: 'note'}, 'An image leads to the neurons that have it among their ' +
            `${shown} strongest.`)), rows.box),
    shown: () => {
      across = Math.max(2, Math.floor(rows.box.clientWidth / 132));
      rows.reset(Math.ceil(found.length / across));
    },
    keys: {Escape: () => { location.hash = address('neurons'); }},
  };
}

// The words of a head, by the share of its variance that they explain; null where there are none.
function headWords(layer, head) {
  const of = (run.head_words || []).find((h) => h.layer === layer && h.head === head);
  return of && Array.isArray(of.texts) ? of.texts.map((t) => String(t.text)) : null;
}

function headsView() {
  return {
    title: 'Heads',
    node: el('article', {class: 'page', id: 'heads-page'}, el('h1', {}, 'Heads'),
      card('Attention heads in words',
        'Words along which what a head writes to the representation varies most, in order.',
        el('table', {class: 'accuracies'},
          el('thead', {}, el('tr', {}, ['head', 'variance', 'words'].map((t) => el('th', {}, t)))),
          el('tbody', {}, (run.head_words || []).map((h) =>
            el('tr', {}, el('th', {}, `${h.layer}.${h.head}`),
               el('td', {}, format.number(h.variance ?? NaN)),
               el('td', {}, el('div', {class: 'head-words'},
                 (headWords(h.layer, h.head) || []).map((text) =>
                   link(address('neurons', {q: text}), {class: 'chip'}, text)))))))))),
    keys: {Escape: () => { location.hash = address('neurons'); }},
  };
}

function aboutView() {
  const {record} = run;
  const rows = {
    model: record.model.path, 'SHA-256 of its weights': record.model.sha256,
    architecture: Object.entries(architecture).map(([k, v]) => `${k} ${v}`).join(', '),
    images: `${format.count(record.images.count)} of ${record.images.source}` +
            (record.images.skipped ? `, ${record.images.skipped} skipped` : ''),
    pictures: run.pictures.note ||
      (run.pictures.count > 0 ? `of all ${format.plural(run.pictures.count, 'image')} shown` : 'none'),
    words: record.words ? `${format.count(record.words.count)} of ${record.words.list}, template ` +
                          `“${record.words.template ?? ''}”` : 'none',
    options: Object.entries(record.options).filter(([, v]) => v !== '')
      .map(([k, v]) => `${k} ${v}`).join(', '),
    seconds: record.seconds && Object.entries(record.seconds)
      .map(([k, v]) => `${k} ${format.number(v)}`).join(', '),
    'made by': `solens ${record.solens}`,
  };
  const terms = {
    'Second-order effect': 'What a neuron adds to the image\'s representation by way of later ' +
      'attention heads: it writes to the residual stream, heads read that and move it to the class ' +
      `token. In units in which the whole representation has the norm ${record.options.coefficient}.`,
    Centered: 'Less the mean over all images.',
    'One direction': 'The first principal direction of the centered effects on the neuron\'s ' +
      `${record.options.top} strongest images.`,
    'Significant': `An effect longer than the ${record.options.top}th largest.`,
    'Heat map': 'The effect along the direction as a sum over the image\'s tokens, after those have ' +
      'attended to each other in earlier layers. Not centered.',
    Polysemy: 'One minus the weighted mean cosine of a neuron\'s words in pairs.',
  };
  const listOf = (entries) => el('dl', {}, Object.entries(entries).filter(([, v]) => v)
    .flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, v)]));
  return {
    title: 'About',
    node: el('article', {class: 'page', id: 'about-page'}, el('h1', {}, 'This run'),
             card('The run', null, listOf(rows)), card('Terms', null, listOf(terms)),
             card('Keys', null, listOf(keyHelp))),
    keys: {Escape: () => { location.hash = address('neurons'); }},
  };
}

const keyHelp = {
  '/': 'search', 'j k ↓ ↑': 'next and previous neuron or layer', 'Enter': 'open', 'Esc': 'back',
  'h': 'heat maps on and off', 't': 'light or dark', '1 2 3': 'neurons, layers, images',
};
)js";

}  // namespace solens::report_page
