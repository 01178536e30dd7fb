#pragma once

#include <string_view>

namespace solens::report_page {

/// The search field: neurons by name, words, images.
inline constexpr std::string_view search_js = R"js(
// What a text may stand for: [{label, note, picture, to}], the likeliest first.
function suggestionsFor(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const found = [];
  const neuron = /^(?:l|layer)?\s*(\d+)\s*[\/.:, ]\s*(\d+)$/.exec(wanted);
  const n = neuron ? neuronNamed(+neuron[1], +neuron[2]) : -1;
  if (n >= 0) {
    found.push({label: `Neuron ${nameOf(n)}`, note: gistOf(n),
                picture: columns.top_images[n * shown], to: address('neuron/' + nameOf(n))});
  }
  if (hasWords) {
    const all = neuronsSaying(wanted).size;
    if (all > 0) {
      found.push({label: `“${text.trim()}”`, note: format.plural(all, 'neuron'),
                  to: address('neurons', {q: text.trim()})});
    }
    found.push(...wordsLike(wanted).map((word) => ({
      label: word, note: format.plural(neuronsSaying(word).size, 'neuron'),
      to: address('neurons', {q: word})})));
  }
  const images = [];
  for (let i = 0; i < imageCount && images.length < 5; ++i) {
    if (baseName(run.images[i]).toLowerCase().includes(wanted)) images.push(i);
  }
  found.push(...images.map((image) => ({label: baseName(run.images[image]), picture: image,
                                        note: 'image', to: address('neurons', {image})})));
  if (images.length === 5) {
    found.push({label: `Images named “${text.trim()}”`, note: 'all',
                to: address('images', {q: text.trim()})});
  }
  return found;
}

// Up to six words that hold the text and are more than it, those that begin with it first.
function wordsLike(wanted) {
  const begins = [], holds = [];
  for (const word of run.words) {
    const at = word.toLowerCase().indexOf(wanted);
    if (at < 0 || word.length === wanted.length) continue;
    (at === 0 ? begins : holds).push(word);
    if (begins.length === 6) break;
  }
  return [...begins, ...holds].slice(0, 6);
}

function searchField() {
  let found = [], chosen = 0;
  const menu = el('div', {class: 'menu', role: 'listbox', hidden: ''});
  const input = el('input', {
    id: 'search', type: 'search', placeholder: 'Search words, images, 3/123', spellcheck: 'false',
    autocomplete: 'off', 'aria-label': 'Search',
    input: () => { found = suggestionsFor(input.value); chosen = 0; draw(); },
    focus: () => { found = suggestionsFor(input.value); draw(); },
    blur: () => { menu.hidden = true; }, keydown: (event) => key(event)});
  const draw = () => {
    menu.hidden = found.length === 0;
    menu.replaceChildren(...found.map((s, i) => el('div', {
      class: 'suggestion' + (i === chosen ? ' on' : ''), role: 'option',
      'aria-selected': String(i === chosen), mousedown: (e) => { e.preventDefault(); go(s); }},
      s.picture !== undefined && smallPicture(s.picture), el('span', {}, s.label),
      el('span', {class: 'note'}, s.note))));
  };
  const go = (suggestion) => {
    input.value = '';
    input.blur();
    location.hash = suggestion.to;
  };
  const key = (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const step = event.key === 'ArrowDown' ? 1 : -1;
      chosen = (chosen + step + found.length) % Math.max(1, found.length);
      draw();
      event.preventDefault();
    } else if (event.key === 'Enter' && found.length > 0) {
      go(found[chosen]);
    } else if (event.key === 'Escape') {
      input.value = '';
      input.blur();
    }
    event.stopPropagation();
  };
  return el('div', {class: 'search'}, input, el('kbd', {}, '/'), menu);
}
)js";

}  // namespace solens::report_page
