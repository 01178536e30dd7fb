#pragma once

#include <string_view>

namespace solens::report_page {

/// The data of the page.
///
/// JSON in #run: `record` (run.json), `layers` [{layer, neurons, heads}], `shown` images and
/// `atoms` words a neuron, `probabilities` of the quantiles, `pictures` {count, heat_ranks, note},
/// `ablation` and `head_words` (or null), `words`, `images` (names).
///
/// Columns, base64 in #column-<name>, each over the N neurons of all layers in order:
///   explained_variance, explained_variance_all, threshold, top_share, largest_norm   [N]
///   n_significant            [N]
///   top_images, top_norms    [N, shown]; norms in parts of the largest
///   norm_quantiles           [N, probabilities], likewise
///   code_cosine, polysemy, word_scale [N], words, word_weights [N, atoms]; words from -1, none;
///                            weights in parts of the scale; only with words
///   heads, head_scale        [N, later heads], in parts of the scale; may be missing
///   thumbnails, thumbnail_sizes       bytes of pictures, and their number by image, 0 for none
///   heat, heat_scale         [neuron and rank, below heat_ranks, of each image with a picture,
///                            tokens], [N]
inline constexpr std::string_view data_js = R"js(
const run = JSON.parse(document.getElementById('run').textContent);

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const arrayTypes = {Uint8Array, Int8Array, Uint16Array, Int16Array, Uint32Array, Int32Array,
                    Float32Array};

// The numbers of a column, null where the report has none; its text leaves memory.
function readColumn(name) {
  const source = document.getElementById('column-' + name);
  if (!source) return null;
  const bytes = bytesOf(source.textContent);
  source.remove();
  return new arrayTypes[source.dataset.type + 'Array'](bytes.buffer);
}

const columns = {};
for (const name of [
  'explained_variance', 'explained_variance_all', 'threshold', 'top_share', 'largest_norm',
  'n_significant', 'top_images', 'top_norms', 'norm_quantiles', 'code_cosine', 'polysemy',
  'words', 'word_weights', 'word_scale', 'heads', 'head_scale', 'thumbnails', 'thumbnail_sizes',
  'heat', 'heat_scale']) columns[name] = readColumn(name);

const architecture = run.record.model.architecture;
const imageCount = run.images.length;
const hasWords = columns.words !== null;
const shown = run.shown;

// Layers, with their first neuron among all and the first of their head terms.
let neuronCount = 0, headTerms = 0;
for (const layer of run.layers) {
  layer.first = neuronCount;
  layer.firstHead = headTerms;
  neuronCount += layer.neurons;
  headTerms += layer.neurons * layer.heads;
}

function layerOf(n) {
  let found = run.layers[0];
  for (const layer of run.layers) if (layer.first <= n) found = layer;
  return found;
}

// A neuron as 'layer/number', and back; -1 where there is none.
function nameOf(n) {
  const layer = layerOf(n);
  return `${layer.layer}/${n - layer.first}`;
}

function neuronNamed(layerNumber, number) {
  const layer = run.layers.find((l) => l.layer === layerNumber);
  return layer && number >= 0 && number < layer.neurons ? layer.first + number : -1;
}

// The words of a neuron, the largest weight first: [{index, text, weight}].
function wordsOf(n, most = run.atoms) {
  const words = [];
  for (let i = n * run.atoms; hasWords && words.length < most && i < (n + 1) * run.atoms; ++i) {
    const index = columns.words[i];
    if (index < 0) break;
    words.push({index, text: run.words[index],
                weight: columns.word_weights[i] / 32767 * columns.word_scale[n]});
  }
  return words;
}

// Images of a neuron, the largest effect first: [{image, norm}].
function imagesOf(n, most = shown) {
  const images = [];
  for (let r = 0; r < Math.min(most, shown); ++r) {
    images.push({image: columns.top_images[n * shown + r],
                 norm: columns.top_norms[n * shown + r] / 65535 * columns.largest_norm[n]});
  }
  return images;
}

function quantilesOf(n) {
  const count = run.probabilities.length;
  return Array.from({length: count}, (_, i) =>
    columns.norm_quantiles[n * count + i] / 65535 * columns.largest_norm[n]);
}

// The later heads of a neuron: [{layer, head, value}], value the part of the effect.
function headsOf(n) {
  if (!columns.heads) return null;
  const layer = layerOf(n);
  const first = layer.firstHead + (n - layer.first) * layer.heads;
  return Array.from({length: layer.heads}, (_, k) => ({
    layer: layer.layer + 1 + Math.floor(k / architecture.heads), head: k % architecture.heads,
    value: columns.heads[first + k] / 127 * columns.head_scale[n]}));
}

// The neurons whose words hold a text, with the largest such weight (by magnitude).
function neuronsSaying(text) {
  const wanted = text.toLowerCase();
  const matches = new Uint8Array(run.words.length);
  run.words.forEach((word, i) => { matches[i] = word.toLowerCase().includes(wanted); });
  const found = new Map();
  for (let n = 0; hasWords && n < neuronCount; ++n) {
    for (let i = n * run.atoms; i < (n + 1) * run.atoms && columns.words[i] >= 0; ++i) {
      if (!matches[columns.words[i]]) continue;
      found.set(n, columns.word_weights[i] / 32767 * columns.word_scale[n]);
      break;  // words stand by magnitude
    }
  }
  return found;
}

// The neurons that have an image among those shown, with its rank.
function neuronsWithImage(image) {
  const found = new Map();
  for (let i = 0; i < columns.top_images.length; ++i) {
    if (columns.top_images[i] === image) found.set(Math.floor(i / shown), i % shown);
  }
  return found;
}

// Pictures, as addresses that <img> takes; made when asked for.
const thumbnailStart = new Float64Array(imageCount + 1);
for (let i = 0; i < imageCount; ++i) {
  thumbnailStart[i + 1] = thumbnailStart[i] +
    (columns.thumbnail_sizes ? columns.thumbnail_sizes[i] : 0);
}
const pictureAddresses = new Map();

const hasPicture = (image) => thumbnailStart[image + 1] > thumbnailStart[image];

function pictureOf(image) {
  if (!hasPicture(image)) return null;
  if (!pictureAddresses.has(image)) {
    const bytes = columns.thumbnails.subarray(thumbnailStart[image], thumbnailStart[image + 1]);
    const type = bytes[0] === 0x89 ? 'image/png' : 'image/jpeg';
    pictureAddresses.set(image, URL.createObjectURL(new Blob([bytes], {type})));
  }
  return pictureAddresses.get(image);
}

// The first heat map of every neuron: maps are there for images with a picture, rank by rank.
let heatStart = null;

// {scale, tokens: the class token and the patches row by row, in parts of the scale}, or null.
function heatOf(n, rank) {
  const at = n * shown;
  const ranks = run.pictures.heat_ranks;
  if (!columns.heat || rank >= ranks || !hasPicture(columns.top_images[at + rank])) return null;
  if (!heatStart) {
    heatStart = new Uint32Array(neuronCount + 1);
    for (let i = 0; i < neuronCount; ++i) {
      let count = 0;
      for (let r = 0; r < ranks; ++r) count += hasPicture(columns.top_images[i * shown + r]);
      heatStart[i + 1] = heatStart[i] + count;
    }
  }
  let row = heatStart[n];
  for (let r = 0; r < rank; ++r) row += hasPicture(columns.top_images[at + r]);
  const tokens = 1 + (architecture.image_size / architecture.patch_size) ** 2;
  return {scale: columns.heat_scale[n],
          tokens: Array.from(columns.heat.subarray(row * tokens, (row + 1) * tokens),
                             (x) => x / 127)};
}
)js";

}  // namespace solens::report_page
