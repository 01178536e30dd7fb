#pragma once

#include <string_view>

namespace solens::report_page {

/// Charts, drawn as SVG or plain boxes; colours come from the style sheet.
inline constexpr std::string_view charts_js = R"js(
// Signed numbers as bars about a middle line: [{text, weight, to}].
function signedBars(rows) {
  const largest = Math.max(...rows.map((r) => Math.abs(r.weight)), 1e-9);
  return el('div', {class: 'bars'}, rows.map((r) => {
    const side = r.weight < 0 ? 'negative' : 'positive';
    const bar = el('span', {class: 'bar ' + side,
                            style: `width:${50 * Math.abs(r.weight) / largest}%`});
    return link(r.to, {class: 'bar-row', title: format.signed(r.weight)},
                el('span', {class: 'bar-label'}, r.text),
                el('span', {class: 'bar-track'}, bar),
                el('span', {class: 'bar-value ' + side}, format.signed(r.weight)));
  }));
}

// Round numbers between 0 (or low) and high, about `count` of them.
function ticks(low, high, count = 4) {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
  const marks = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high * (1 + 1e-9); x += step) {
    marks.push(+x.toPrecision(12));
  }
  return marks;
}

// A frame with axes. `draw(x, y)` gets the two scales and returns what stands in it.
function plot({width = 520, height = 220, x, y, xName, yName, xText = String,
               yText = String, xTicks, yTicks}, draw) {
  const left = 52, right = 14, top = 12, bottom = xName ? 40 : 26;
  const scale = ([low, high], from, to) => (v) =>
    from + (to - from) * (high > low ? (v - low) / (high - low) : 0.5);
  const px = scale(x, left, width - right), py = scale(y, height - bottom, top);
  const marks = [];
  for (const v of yTicks || ticks(...y)) {
    marks.push(svg('line', {class: 'grid', x1: left, x2: width - right, y1: py(v), y2: py(v)}),
               svg('text', {class: 'tick', x: left - 8, y: py(v) + 4, 'text-anchor': 'end'},
                   yText(v)));
  }
  for (const v of xTicks || ticks(...x, 5)) {
    marks.push(svg('text', {class: 'tick', x: px(v), y: height - bottom + 17,
                            'text-anchor': 'middle'}, xText(v)));
  }
  if (xName) {
    marks.push(svg('text', {class: 'axis-name', x: (left + width - right) / 2, y: height - 6,
                            'text-anchor': 'middle'}, xName));
  }
  if (yName) {
    const middle = (top + height - bottom) / 2;
    marks.push(svg('text', {class: 'axis-name', x: 12, y: middle, 'text-anchor': 'middle',
                            transform: `rotate(-90 12 ${middle})`}, yName));
  }
  return svg('svg', {class: 'plot', viewBox: `0 0 ${width} ${height}`, role: 'img'},
             marks, draw(px, py));
}

const round = (x) => +x.toPrecision(3);

// How many values lie in each of `bins` parts of [low, high].
function histogram(values, {name, low = 0, high = 1, bins = 40, text = String, mark,
                            height = 170, width = 420}) {
  const counts = new Array(bins).fill(0);
  for (const v of values) {
    if (Number.isFinite(v)) {
      const bin = Math.floor(bins * (v - low) / (high - low || 1));
      ++counts[Math.min(bins - 1, Math.max(0, bin))];
    }
  }
  const most = Math.max(...counts, 1), step = (high - low) / bins;
  return plot({width, height, x: [low, high], y: [0, most], xName: name, xText: text,
               yText: format.count, yTicks: ticks(0, most, 3)}, (px, py) => [
    counts.map((count, i) => svg('rect', {
      class: 'column', x: px(low + i * step) + 0.5, width: Math.max(1, px(step) - px(0) - 1),
      y: py(count), height: py(0) - py(count)},
      svg('title', {}, `${text(round(low + i * step))} to ${text(round(low + (i + 1) * step))}: ` +
                       format.plural(count, 'neuron')))),
    mark !== undefined && svg('line', {class: 'mark', x1: px(mark), x2: px(mark), y1: py(0),
                                       y2: py(most)})]);
}

// The share of images with a smaller effect, against the norm, and the threshold.
function normCurve(n) {
  const quantiles = quantilesOf(n), largest = columns.largest_norm[n] || 1;
  const threshold = columns.threshold[n];
  const points = [[0, 0], ...quantiles.map((q, i) => [q, run.probabilities[i]]), [largest, 1]];
  return plot({x: [0, largest], y: [0, 1], xName: 'norm of the centered effect',
               yName: 'images below', yText: (v) => format.percent(v)}, (px, py) => {
    const path = points.map(([q, p], i) => `${i ? 'L' : 'M'}${px(q)},${py(p)}`).join('');
    const right = px(threshold) < 400;
    return [
      svg('rect', {class: 'significant', x: px(threshold), y: py(1),
                   width: Math.max(0, px(largest) - px(threshold)), height: py(0) - py(1)}),
      svg('path', {class: 'area', d: `${path}L${px(largest)},${py(0)}Z`}),
      svg('path', {class: 'curve', d: path}),
      imagesOf(n).map(({norm}) => svg('line', {class: 'rug', x1: px(norm), x2: px(norm),
                                               y1: py(0), y2: py(0) - 7})),
      svg('line', {class: 'mark', x1: px(threshold), x2: px(threshold), y1: py(0), y2: py(1)}),
      svg('text', {class: 'mark-text', x: px(threshold) + (right ? 6 : -6), y: py(0.06),
                   'text-anchor': right ? 'start' : 'end'},
          `threshold ${format.number(threshold)}`)];
  });
}

// Later heads as a grid of signed cells, a row a layer.
function headGrid(heads) {
  const largest = Math.max(...heads.map((h) => Math.abs(h.value)), 1e-12);
  const layers = [...new Set(heads.map((h) => h.layer))];
  const cells = layers.flatMap((layer) => [
    el('span', {class: 'grid-name'}, `layer ${layer}`),
    ...heads.filter((h) => h.layer === layer).map((h) => el('span', {
      class: 'cell ' + (h.value < 0 ? 'negative' : 'positive'),
      style: `--strength:${Math.round(100 * Math.abs(h.value) / largest)}%`,
      title: `layer ${h.layer}, head ${h.head}: ${format.signed(h.value)}`}))]);
  return el('div', {class: 'head-grid', style: `--heads:${architecture.heads}`},
            el('span', {class: 'grid-name'}, ''),
            Array.from({length: architecture.heads}, (_, h) =>
              el('span', {class: 'grid-head'}, String(h))), ...cells);
}

// What rows of an ablation are called, in the order in which they are shown.
const ablationNames = {
  baseline: 'everything', without_neurons: 'all neurons at their mean',
  without_significant: 'significant effects away', without_insignificant: 'significant effects only',
  direction: 'along the direction only', code: 'along the words only',
  random_directions: 'along random directions', random_neurons: 'random effects away',
  random_neurons_kept: 'random effects only'};
const ablationName = (row) => ablationNames[row] ||
  (row === 'code_1' ? 'along the first word' : row.startsWith('code_')
    ? `along the first ${row.slice(5)} words` : row);

// Beginnings of the code share its colour, paler.
const seriesClass = (row) => row.startsWith('code_') ? 'series-code part'
                                                     : 'series-' + row.replace(/\W/g, '');

// Accuracy against layer, a line for every row of the ablations.
function ablationCurves(ablation, current) {
  const layers = ablation.layers.map((l) => l.layer);
  const names = [...new Set(ablation.layers.flatMap((l) => l.rows.map((r) => r.row)))];
  const point = (layer, name) => layer.rows.find((r) => r.row === name);
  const shares = ablation.layers.flatMap((l) => l.rows.flatMap((r) => r.top_1.interval ||
                                                                      [r.top_1.share]));
  const low = Math.max(0, Math.min(...shares) - 0.03), high = Math.min(1, Math.max(...shares) + 0.03);
  const edge = layers.length > 1 ? 0.25 : 1;
  const chart = plot({
    width: 620, height: 330, x: [Math.min(...layers) - edge, Math.max(...layers) + edge],
    y: [low, high], xName: 'layer', yName: 'top-1 accuracy', xTicks: layers, xText: String,
    yText: (v) => format.percent(v)}, (px, py) => [
    current !== undefined && svg('line', {class: 'here', x1: px(current), x2: px(current),
                                          y1: py(low), y2: py(high)}),
    names.map((name) => {
      const of = ablation.layers.filter((l) => point(l, name));
      const d = of.map((l, k) => `${k ? 'L' : 'M'}${px(l.layer)},${py(point(l, name).top_1.share)}`);
      return svg('g', {class: `series ${seriesClass(name)}`},
                 svg('path', {d: d.join('')}),
                 of.map((l) => {
                   const {share, interval} = point(l, name).top_1;
                   return svg('g', {}, interval && svg('line', {
                     class: 'interval', x1: px(l.layer), x2: px(l.layer), y1: py(interval[0]),
                     y2: py(interval[1])}), svg('circle', {cx: px(l.layer), cy: py(share), r: 3.5},
                     svg('title', {}, `layer ${l.layer}, ${ablationName(name)}: ` +
                                      format.percent(share, 1))));
                 }));
    })]);
  return el('div', {class: 'with-legend' + (current === undefined ? ' beside' : '')}, chart, el('ul', {class: 'legend'}, names.map((name) =>
    el('li', {class: seriesClass(name)}, ablationName(name)))));
}
)js";

}  // namespace solens::report_page
