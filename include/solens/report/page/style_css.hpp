#pragma once

#include <string_view>

namespace solens::report_page {

/// How the page looks, in light and in dark.
inline constexpr std::string_view style_css = R"css(
:root {
  color-scheme: light dark;
  --paper: light-dark(#faf8f4, #121417);
  --card: light-dark(#ffffff, #1a1d22);
  --ink: light-dark(#1d1f23, #e9e6df);
  --soft: light-dark(#6b6a66, #9a9892);
  --line: light-dark(#e6e1d8, #2b2f36);
  --wash: light-dark(#f2eee6, #22262c);
  --accent: light-dark(#2f5fd0, #8fb0ff);
  --positive: light-dark(#0b7a75, #4cc9b8);
  --negative: light-dark(#c2410c, #ff9e6d);
  --positive-wash: light-dark(#dff1ef, #163431);
  --negative-wash: light-dark(#fbe6da, #3c2318);
  --hit: light-dark(#ffd84d, #8a6d00);
  --shadow: light-dark(0 1px 2px #0000000f, 0 1px 2px #0006);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
:root[data-theme=light] { color-scheme: light; }
:root[data-theme=dark] { color-scheme: dark; }
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body { display: flex; flex-direction: column; background: var(--paper); color: var(--ink); }
a { color: inherit; text-decoration: none; }
h1, h2, p { margin: 0; }
h1 { font-size: 1.75rem; font-weight: 650; letter-spacing: -.02em; }
h1 small { color: var(--soft); font-weight: 400; font-size: 1rem; letter-spacing: 0; }
h2 { font-size: 1rem; font-weight: 650; }
.note { color: var(--soft); font-size: .85rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

/* The bar at the top. */
.top {
  display: flex; align-items: center; gap: 1.2rem; padding: .6rem 1.2rem;
  border-bottom: 1px solid var(--line); background: var(--card);
}
.brand { font-size: 1.2rem; letter-spacing: -.03em; }
.brand b { color: var(--accent); }
.model { color: var(--soft); max-width: 22ch; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
nav { display: flex; gap: .2rem; flex: 1; }
nav a { padding: .3rem .7rem; border-radius: 99px; color: var(--soft); }
nav a:hover { background: var(--wash); color: var(--ink); }
nav a.on { background: var(--wash); color: var(--ink); font-weight: 600; }
.search { position: relative; width: min(24rem, 40vw); }
.search input {
  width: 100%; padding: .45rem 2.2rem .45rem .9rem; border: 1px solid var(--line);
  border-radius: 99px; background: var(--paper); color: inherit; font: inherit;
}
.search kbd {
  position: absolute; right: .8rem; top: .48rem; padding: 0 .4rem; border: 1px solid var(--line);
  border-radius: 4px; color: var(--soft); font: .75rem/1.5 inherit; pointer-events: none;
}
.search input:focus + kbd { display: none; }
.menu {
  position: absolute; z-index: 9; top: calc(100% + .4rem); left: 0; right: 0; padding: .3rem;
  border: 1px solid var(--line); border-radius: 12px; background: var(--card);
  box-shadow: 0 8px 30px #0003;
}
.suggestion { display: flex; align-items: center; gap: .6rem; padding: .35rem .6rem;
  border-radius: 8px; cursor: pointer; }
.suggestion span:nth-last-child(2) { flex: 1; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.suggestion.on, .suggestion:hover { background: var(--wash); }
.theme { border: 0; background: none; color: var(--soft); font-size: 1.2rem; cursor: pointer; }
.banner { padding: .4rem 1.2rem; background: var(--negative-wash); font-size: .85rem; }
main { flex: 1; min-height: 0; overflow: auto; }

/* The table. */
.table { display: flex; flex-direction: column; height: 100%; }
.filters { display: flex; flex-wrap: wrap; align-items: center; gap: .7rem; padding: .7rem 1.2rem; }
.count { font-weight: 650; font-size: 1.05rem; }
.pills { display: flex; flex-wrap: wrap; gap: .25rem; margin-left: auto; }
.pill {
  display: inline-flex; align-items: center; gap: .3rem; padding: .2rem .7rem; font: inherit;
  font-size: .85rem; color: var(--soft); background: none; border: 1px solid var(--line);
  border-radius: 99px; cursor: pointer; white-space: nowrap;
}
.pill:hover { color: var(--ink); border-color: var(--soft); }
.pill.on { background: var(--ink); border-color: var(--ink); color: var(--paper); }
.pill[disabled] { opacity: .4; pointer-events: none; }
.row {
  display: grid; align-items: center; gap: 1rem; padding: 0 1.2rem; height: 56px;
  grid-template-columns: 6rem 13rem minmax(10rem, 1fr) repeat(2, 6.5rem) repeat(4, 5rem);
}
.row.head { height: 34px; border-bottom: 1px solid var(--line); color: var(--soft);
  font-size: .8rem; padding-right: calc(1.2rem + 10px); }
.row.head a:hover, .row.head .sorted { color: var(--ink); }
.row.head i { font-style: normal; }
.scroll { position: relative; flex: 1; overflow-y: scroll; outline: none; }
.scroll .row { position: absolute; left: 0; right: 0; border-bottom: 1px solid var(--line);
  cursor: pointer; }
.scroll .row:hover { background: var(--wash); }
.scroll .row.selected { background: var(--wash); box-shadow: inset 3px 0 var(--accent); }
.name { font-variant-numeric: tabular-nums; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.minis { display: flex; gap: .25rem; }
.mini { width: 36px; height: 36px; border-radius: 6px; object-fit: cover; background: var(--wash); }
.pill .mini { width: 20px; height: 20px; border-radius: 4px; }
.mini.none { display: inline-block; background: var(--line); }
.no-pictures .minis { display: none; }
.no-pictures .row {
  grid-template-columns: 6rem minmax(10rem, 1fr) repeat(2, 6.5rem) repeat(4, 5rem); }
.chips { display: flex; gap: .3rem; overflow: hidden; white-space: nowrap; }
.chip { padding: .08rem .55rem; border-radius: 99px; background: var(--wash); font-size: .85rem; }
.chip.positive { background: var(--positive-wash); color: var(--positive); }
.chip.negative { background: var(--negative-wash); color: var(--negative); }
.chip.negative::before { content: "− "; }
.chip.hit { box-shadow: inset 0 0 0 2px var(--hit); }
.meter { display: block; position: relative; width: 100%; height: 1.35em; line-height: 1.35em; border-radius: 4px;
  background: var(--wash); overflow: hidden; }
.meter span { position: absolute; inset: 0 auto 0 0; background: var(--accent); opacity: .3; }
.meter b { position: absolute; right: .35rem; font-weight: 500; font-size: .8rem; }
.empty { padding: 3rem; text-align: center; color: var(--soft); }

/* Pages. */
.page { max-width: 1280px; margin: 0 auto; padding: 1.4rem 1.2rem 4rem; }
.page > h1 { margin-bottom: 1rem; }
.page-head { display: flex; justify-content: space-between; align-items: flex-start; gap: 1rem; }
.crumbs { color: var(--soft); font-size: .85rem; }
.crumbs a:hover { text-decoration: underline; }
.gist { font-size: 1.1rem; color: var(--soft); }
.steps { display: flex; gap: .4rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tile { flex: 1; min-width: 9rem; padding: .7rem .9rem; border: 1px solid var(--line);
  border-radius: 12px; background: var(--card); box-shadow: var(--shadow); }
.tile-name { color: var(--soft); font-size: .8rem; }
.tile-value { font-size: 1.45rem; font-weight: 600; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.tile small { color: var(--soft); }
.tile .meter { height: 5px; display: block; }
.tile .meter b { display: none; }
.tile .meter span { opacity: 1; }
.card { margin-bottom: 1rem; padding: 1rem 1.1rem; border: 1px solid var(--line);
  border-radius: 14px; background: var(--card); box-shadow: var(--shadow); }
.card > header { margin-bottom: .8rem; }
.two { display: grid; grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr); gap: 1rem; }
.two.even { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: .7rem; }
.figure { display: block; }
.frame { position: relative; display: block; aspect-ratio: 1; border-radius: 10px; overflow: hidden;
  background: var(--wash); }
.frame img, .frame canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.frame img { transition: filter .2s; }
.heat { opacity: 0; transition: opacity .2s; }
.with-heat .heat { opacity: 1; }
.with-heat .frame:has(.heat) img { filter: grayscale(.8) brightness(.85) contrast(.85); }
.with-heat .figure:hover .heat { opacity: 0; }
.with-heat .figure:hover .frame img { filter: none; }
.frame.none { display: grid; place-items: center; padding: .3rem; color: var(--soft);
  font-size: .7rem; overflow-wrap: anywhere; text-align: center; }
.no-pictures .frame { aspect-ratio: auto; min-height: 2.6rem; }
.no-pictures .caption span { display: none; }
.caption { display: flex; justify-content: space-between; gap: .5rem; font-size: .78rem; color: var(--soft);
  font-variant-numeric: tabular-nums; }
.caption b { color: var(--ink); font-weight: 550; }
.caption span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; opacity: .7; }
.bars { display: grid; gap: .1rem; }
.bar-row { display: grid; grid-template-columns: minmax(6rem, 1fr) 1.4fr 3.6rem; gap: .6rem;
  align-items: center; padding: .12rem .3rem; border-radius: 6px; }
.bar-row:hover { background: var(--wash); }
.bar-label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bar-track { position: relative; height: 12px;
  background: linear-gradient(var(--line), var(--line)) center / 1px 100% no-repeat; }
.bar { position: absolute; top: 0; bottom: 0; border-radius: 3px; }
.bar.positive { left: 50%; background: var(--positive); }
.bar.negative { right: 50%; background: var(--negative); }
.bar-value { text-align: right; font-size: .8rem; font-variant-numeric: tabular-nums; }
.bar-value.positive, .strongest .positive { color: var(--positive); }
.bar-value.negative, .strongest .negative { color: var(--negative); }
.head-grid { display: grid; gap: 3px; font-size: .72rem; color: var(--soft);
  grid-template-columns: 4rem repeat(var(--heads), minmax(0, 1fr)); }
.grid-head { text-align: center; }
.grid-name { align-self: center; white-space: nowrap; }
.cell { height: 20px; border-radius: 4px; background: var(--wash); }
.cell.positive { background: color-mix(in srgb, var(--positive) var(--strength), var(--wash)); }
.cell.negative { background: color-mix(in srgb, var(--negative) var(--strength), var(--wash)); }
.strongest { columns: 2; margin: .8rem 0 0; padding-left: 1.2rem; font-size: .85rem; }

/* Charts. */
.plot { display: block; width: 100%; height: auto; overflow: visible; }
.plot text { fill: var(--soft); font-size: 11px; }
.plot .grid { stroke: var(--line); }
.plot .column { fill: var(--accent); opacity: .75; }
.plot .column:hover { opacity: 1; }
.plot .mark { stroke: var(--negative); stroke-width: 1.5; stroke-dasharray: 4 3; }
.plot .mark-text { fill: var(--negative); }
.plot .curve { fill: none; stroke: var(--accent); stroke-width: 2; }
.plot .area { fill: var(--accent); opacity: .12; }
.plot .significant { fill: var(--negative); opacity: .07; }
.plot .rug { stroke: var(--ink); opacity: .5; }
.plot .here { stroke: var(--line); stroke-width: 22; }
.series { --tone: var(--soft); color: var(--tone); }
.series path { fill: none; stroke: currentColor; stroke-width: 2; }
.series circle { fill: currentColor; }
.series .interval { stroke: currentColor; opacity: .35; }
.series-baseline { --tone: var(--ink); } .series-without_neurons { --tone: #dc2626; }
.series-without_significant { --tone: #f08c00; } .series-without_insignificant { --tone: #0b9a8d; }
.series-direction { --tone: #2f6fe0; } .series-code { --tone: #8b5cf6; }
.series.part { opacity: .45; } .legend .part { opacity: .6; }
.series-random_directions { --tone: #b08968; } .series-random_neurons { --tone: #8a8f98; }
.series-random_neurons_kept { --tone: #c08aa0; }
.with-legend { display: grid; gap: .6rem 1.5rem; align-items: center; }
.with-legend.beside { grid-template-columns: minmax(0, 760px) 1fr; }
.beside .legend { flex-direction: column; gap: .35rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 0; padding: 0; list-style: none;
  font-size: .8rem; }
.legend li::before { content: ""; display: inline-block; width: .9em; height: .28em;
  margin-right: .4em; border-radius: 2px; vertical-align: middle; background: var(--tone); }
.histograms { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 1rem; }
.multiples { width: 100%; border-collapse: collapse; }
.multiples tbody tr { cursor: pointer; }
.multiples tbody tr:hover { background: var(--wash); }
.multiples th { text-align: left; white-space: nowrap; }
.multiples thead th { padding-left: 2.6rem; color: var(--soft); font-size: .8rem; font-weight: 500; }
.multiples td { padding: .3rem; }
.accuracies { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums;
  align-self: start; }
.accuracies th { text-align: left; font-weight: 500; }
.accuracies thead th { color: var(--soft); font-size: .8rem; }
.accuracies td, .accuracies th { padding: .3rem .5rem; border-bottom: 1px solid var(--line); }
.head-words { display: flex; flex-wrap: wrap; gap: .3rem; }
.whisker { position: relative; width: 35%; }
.whisker span { position: absolute; top: 50%; height: 6px; margin-top: -3px; border-radius: 3px;
  background: var(--accent); opacity: .35; }
.whisker i { position: absolute; top: 50%; width: 8px; height: 8px; margin: -4px; border-radius: 50%;
  background: var(--accent); }
.leader { display: flex; align-items: center; gap: .7rem; padding: .3rem; border-radius: 8px; }
.leader:hover { background: var(--wash); }
.shelf { position: absolute; left: 1.2rem; right: 1.2rem; display: grid; gap: .7rem; }
.shelf-item { min-width: 0; font-size: .72rem; color: var(--soft); text-align: center; }
.shelf-item img, .shelf-item .none { display: block; width: 112px; height: 112px; margin: 0 auto .2rem;
  border-radius: 10px; object-fit: cover; background: var(--wash); }
.shelf-item span:last-child { display: block; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.2rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 900px) {
  .two, .two.even, .with-legend.beside { grid-template-columns: minmax(0, 1fr); }
  .row { grid-template-columns: 5rem minmax(8rem, 1fr) 6rem; }
  .row .minis, .row .number:nth-child(n + 5) { display: none; }
  .model { display: none; }
}
)css";

}  // namespace solens::report_page
