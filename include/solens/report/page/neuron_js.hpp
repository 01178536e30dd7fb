#pragma once

#include <string_view>

namespace solens::report_page {

/// The page of a neuron.
inline constexpr std::string_view neuron_js = R"js(
// Whether heat maps are shown over pictures; kept from neuron to neuron.
let heatShown = true;

// A heat map as a small canvas, one pixel a patch, which the browser smooths when it stretches it.
function heatCanvas(heat) {
  const side = Math.round(Math.sqrt(heat.tokens.length - 1));
  const canvas = el('canvas', {class: 'heat', width: side, height: side});
  const context = canvas.getContext('2d');
  const picture = context.createImageData(side, side);
  for (let i = 0; i < side * side; ++i) {
    const x = heat.tokens[1 + i];  // after the class token
    const [red, green, blue] = x < 0 ? [40, 120, 255] : [255, 110 + 110 * x, 20];
    picture.data.set([red, green, blue, 235 * Math.abs(x) ** 0.7], 4 * i);
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

function figureOf(n, rank, {image, norm}) {
  const source = pictureOf(image), heat = heatOf(n, rank);
  const name = baseName(run.images[image]);
  const significant = norm > columns.threshold[n] ? ' significant' : '';
  return link(address('neurons', {image}), {class: 'figure' + significant, title: run.images[image]},
    source ? el('span', {class: 'frame'}, el('img', {src: source, alt: name}),
                heat && heatCanvas(heat))
           : el('span', {class: 'frame none'}, el('span', {}, name)),
    el('span', {class: 'caption'}, el('b', {}, format.number(norm)), el('span', {}, name)));
}

function imagesCard(n) {
  const images = imagesOf(n);
  const any = images.some(({image}) => hasPicture(image));
  const grid = el('div', {class: 'gallery' + (heatShown ? ' with-heat' : '')},
                  images.map((at, rank) => figureOf(n, rank, at)));
  const toggle = any && el('button', {class: 'pill', id: 'heat', click: () => toggleHeat(),
                                      title: 'Key h'}, heatShown ? 'hide heat' : 'show heat');
  const note = any
    ? 'Warm: tokens that push the representation along the neuron\'s direction; blue: against it. ' +
      'Below a picture: the norm of its centered effect.'
    : 'The images with the largest centered effects, and their norms.';
  return card(el('span', {}, 'Strongest images ', toggle), note, grid);
}

function toggleHeat() {
  heatShown = !heatShown;
  for (const grid of document.querySelectorAll('.gallery')) {
    grid.classList.toggle('with-heat', heatShown);
  }
  const button = document.getElementById('heat');
  if (button) button.textContent = heatShown ? 'hide heat' : 'show heat';
}

function wordsCard(n) {
  if (!hasWords) return card('Words', 'This run has no words: solens describe adds them.');
  const words = wordsOf(n);
  return card('In words',
    `A sparse code of the direction, cosine ${format.number(columns.code_cosine[n])}. ` +
      'A word leads to the neurons that share it.',
    words.length > 0
      ? signedBars(words.map((w) => ({...w, to: address('neurons', {q: w.text})})))
      : el('p', {class: 'note'}, 'No word says anything of this direction.'));
}

function headsCard(n) {
  const heads = headsOf(n);
  if (!heads) return null;
  const total = heads.reduce((sum, h) => sum + h.value, 0);
  const strongest = [...heads].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 6);
  return card('Through which heads',
    'The part of the mean centered effect on the top images that lies along the direction, by the ' +
      `later head that moves it to the class token; ${format.signed(total)} in all.`,
    headGrid(heads),
    el('ol', {class: 'strongest'}, strongest.map((h) => el('li', {},
      el('b', {}, `${h.layer}.${h.head}`), ' ',
      el('span', {class: h.value < 0 ? 'negative' : 'positive'}, format.signed(h.value)),
      headSays(h.layer, h.head)))));
}

// What another command says of a head, where it did.
function headSays(layer, head) {
  const said = headWords(layer, head);
  return said && el('span', {class: 'note'}, ' ' + said.slice(0, 4).join(', '));
}

function neuronView(n) {
  const layer = layerOf(n);
  if (!list.neurons.includes(n)) arrange({});  // come from elsewhere
  const place = list.neurons.indexOf(n);
  const go = (step) => {
    const to = list.neurons[place + step];
    if (place < 0 || to === undefined) return;
    list.selected = place + step;
    location.hash = address('neuron/' + nameOf(to));
  };
  const step = (by, text, help) => el('button', {class: 'pill', title: help, click: () => go(by),
    disabled: place < 0 || list.neurons[place + by] === undefined ? '' : null}, text);
  const significant = columns.n_significant[n];
  return {
    title: `Neuron ${nameOf(n)}`,
    node: el('article', {class: 'page', id: 'neuron-page'},
      el('header', {class: 'page-head'},
        el('div', {},
          el('p', {class: 'crumbs'}, link(address('neurons', list.options), {}, 'Neurons'), ' / ',
             link(address('layer/' + layer.layer), {}, `layer ${layer.layer}`)),
          el('h1', {}, `Neuron ${n - layer.first}`, el('small', {}, ` layer ${layer.layer}`)),
          el('p', {class: 'gist'}, gistOf(n))),
        el('div', {class: 'steps'}, step(-1, '↑ previous', 'Key k'), step(1, 'next ↓', 'Key j'))),
      el('div', {class: 'tiles'},
        tile('along one direction', format.percent(columns.explained_variance[n], 1),
             'Share of the top images\' centered effects', shareBar(columns.explained_variance[n])),
        tile('of all images', format.percent(columns.explained_variance_all[n], 1),
             'Share of the first direction over all images',
             shareBar(columns.explained_variance_all[n])),
        tile('on the top 2 % of images', format.percent(columns.top_share[n], 1),
             'Share of the summed norms', shareBar(columns.top_share[n])),
        tile('significant', format.count(significant), 'Images with a norm above the threshold',
             el('small', {}, `of ${format.plural(imageCount, 'image')}`)),
        tile('largest effect', format.number(columns.largest_norm[n]), 'Norm',
             el('small', {}, `of ${run.record.options.coefficient}`)),
        hasWords && tile('polysemy', format.number(columns.polysemy[n]),
                         'How far apart the words lie', el('small', {}, '0 one meaning'))),
      el('div', {class: 'two'},
        el('div', {}, imagesCard(n)),
        el('div', {}, wordsCard(n), headsCard(n),
           card('How selective', 'Norms over all images. The shaded part is significant; ' +
                'ticks are the images shown.', normCurve(n))))),
    keys: {
      j: () => go(1), k: () => go(-1), ArrowRight: () => go(1), ArrowLeft: () => go(-1),
      h: toggleHeat, Escape: () => { location.hash = address('neurons', list.options); },
    },
  };
}
)js";

}  // namespace solens::report_page
