/** The report's style sheet: light, dark as the reader's system asks for, and plain on paper. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --raised: #f5f7f9; --ink: #1b2733; --soft: #5b6a78; --line: #dbe1e7;
  --first: #1f66ad; --second: #c05a12; --right: #1f66ad; --wrong: #c8431b; --on: #ffffff;
  --calm: #9fb2c4; --loud: #d2581f; --mark: #7d8b98;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #12181f; --raised: #1b232c; --ink: #e4eaf0; --soft: #9aa9b7; --line: #2e3944;
    --first: #6fb1f2; --second: #f0a060; --right: #62a8f0; --wrong: #f58a5b; --on: #0d1319;
    --calm: #54687b; --loud: #f08a50; --mark: #8494a3;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1240px; padding: 2.2rem clamp(1rem, 4vw, 2.5rem) 4rem;
  background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
h1 { font-size: 2rem; line-height: 1.15; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
a { color: var(--first); }
.brand { margin: 0 0 .2rem; color: var(--soft); font-size: .85rem; letter-spacing: .04em; }
.lead { font-size: 1.1rem; max-width: 62ch; margin: 0 0 1.3rem; }
.note, caption { color: var(--soft); font-size: .88rem; }
.note { max-width: 90ch; margin: 0 0 .9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: .7rem 0 0; margin: 1.2rem 0 0; list-style: none; }
dl { margin: 0; } dd { margin: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .8rem 1.5rem; }
.facts dt, .tile dt { color: var(--soft); font-size: .82rem; }
.facts dd { overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .7rem; margin-bottom: 1.4rem; }
.tile { background: var(--raised); border-radius: 8px; padding: .7rem .9rem .8rem; }
.tile dt { min-height: 2.5em; line-height: 1.25; }
.tile dd { font-size: 1.45rem; font-weight: 600; line-height: 1.2; }
.tile small { display: block; font-size: .85rem; font-weight: 400; color: var(--soft); margin-top: .15rem; }
.scroll { overflow-x: auto; margin: 0 0 1.2rem; }
.scroll:focus-visible { outline: 2px solid var(--first); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
table.narrow { width: auto; }
caption { text-align: left; padding-bottom: .5rem; }
th, td { padding: .32rem .7rem .32rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: middle; }
th { font-weight: 600; } thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; line-height: 1.25; }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 8.5rem; } .dense tbody th { min-width: 0; }
.number { text-align: right; white-space: nowrap; } thead .number { white-space: normal; }
.number + :not(.number) { padding-left: 1.2rem; }
.meaning { color: var(--soft); font-size: .85rem; }
code { font: .78rem ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: minmax(16rem, auto) 1fr; gap: 2.5rem; align-items: start; }
@media (max-width: 760px) { .columns { grid-template-columns: 1fr; gap: 1rem; } }
details { margin: 0 0 1.2rem; } summary { cursor: pointer; color: var(--first); font-size: .9rem; padding: .2rem 0; }
.dense { font-size: .8rem; } .dense th, .dense td { padding: .22rem .55rem .22rem 0; }
.dense .none { color: var(--line); } .dense .changes { min-width: 15rem; color: var(--soft); font-weight: 400; }
.changes span, .key { white-space: nowrap; }
tr.best > * { background: var(--raised); } tr.best > .number { font-weight: 600; }
.bar { display: inline-flex; align-items: center; gap: .6rem; justify-content: flex-end; }
.bar data { min-width: 3.4rem; } .track { width: 6rem; height: .6rem; border-radius: 2px; background: var(--raised); display: inline-block; }
.fill { display: block; height: 100%; border-radius: 2px; } .fill.bad { background: var(--loud); }
.swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .4rem 0 0; vertical-align: -1px; }
.swatch.right { background: var(--right); } .swatch.wrong, .swatch.above { background: var(--wrong); }
.swatch.above { background: var(--loud); } .swatch.below, .swatch.whole { background: var(--calm); }
.swatch.divided { background: var(--first); }
.swatch.allowed { height: 0; border-top: 2px solid var(--ink); vertical-align: 4px; border-radius: 0; }
.swatch.best { width: 0; margin-left: .3rem; border-left: 2px dashed var(--mark); border-radius: 0; }
.swatch.line { height: 3px; width: 1.2rem; vertical-align: 3px;}
.swatch.first { background: var(--first); } .swatch.second { background: var(--second); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.4rem 2rem; }
figure { margin: 0; } .chart figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; margin-bottom: .3rem; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; font-size: .84rem; color: var(--soft); margin: 0 0 .9rem; }
.chart .legend { margin: 0; }
svg { display: block; } svg text { fill: var(--ink); font-family: inherit; }
.chart svg { width: 100%; height: auto; overflow: visible; }
svg .tick { fill: var(--soft); font-size: 12px; } svg .grid { stroke: var(--line); fill: none; stroke-width: 1; }
svg .axis { stroke: var(--mark); stroke-width: 1; } svg .best { stroke: var(--mark); stroke-width: 1.4; stroke-dasharray: 3 3; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .several .line { stroke-width: 1.3; opacity: .8; }
g.first .line { stroke: var(--first); } g.second .line { stroke: var(--second); }
g.first .dot { fill: var(--first); } g.second .dot { fill: var(--second); } svg .hit { fill: transparent; }
.matrix { height: auto; } .matrix .right rect { fill: var(--right); } .matrix .wrong rect { fill: var(--wrong); }
.matrix .small { font-size: .8em; opacity: .8; } .matrix .strong text { fill: var(--on); }
.strips td, .strips th { padding-top: .22rem; padding-bottom: .22rem; } .strips .over { width: 27%; padding-right: 1.2rem; padding-left: .4rem; }
.strips .track { width: 4rem; }
.epochs { display: flex; justify-content: space-between; font-size: .75rem; }
.strip { width: 100%; height: 30px; overflow: visible; } .strip .below, .strip .whole { fill: var(--calm); } .strip .above { fill: var(--loud); }
.strip .divided { fill: var(--first); } .strip .allowed { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.strip .limit, .strip .level { stroke: var(--page); stroke-width: 1; } .strip .limit { stroke: var(--ink); opacity: .35; }
.gallery { margin: 0 0 1.8rem; } .gallery caption { font-size: .92rem; padding-bottom: .35rem; }
.gallery caption strong { color: var(--ink); font-size: 1.05rem; } .gallery th { width: 13rem; }
.gallery th small { display: block; color: var(--soft); font-weight: 400; }
.thumbnails { display: flex; flex-wrap: wrap; gap: 6px; } .thumbnails img { width: 80px; height: 80px; object-fit: contain; background: var(--raised); border: 1px solid var(--line); border-radius: 4px; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: start; } .beside > * { min-width: 0; max-width: 100%; }
.beside > div { flex: 1 1 20rem; } .beside table { font-size: .82rem; } .beside th { overflow-wrap: normal; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media print {
  @page { margin: 14mm; } body { max-width: none; padding: 0; font-size: 9pt; }
  nav, .screen { display: none; } .scroll { overflow: visible; } h2 { break-after: avoid; }
  tr, .chart, .tile, img { break-inside: avoid; } thead { display: table-header-group; }
  .matrix { max-width: 100%; } .charts { grid-template-columns: 1fr 1fr; } .strips .track { width: 2rem; } h2 { margin-top: 1.6rem; }
  table { font-size: 8.5pt; } .dense { font-size: 6.5pt; } .dense .changes { min-width: 42mm; }
  .thumbnails img { width: 15mm; height: 15mm; } details::details-content { content-visibility: visible; block-size: auto; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
