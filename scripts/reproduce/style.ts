/** The style sheet of the page: light, or dark as the reader's system asks for. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #fff; --raised: #f5f7f9; --ink: #1b2733; --soft: #5b6a78; --line: #dbe1e7; --link: #1f66ad;
  --cyan: #35c4d7; --orange: #f0902c; --green: #2a8f47;
}
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #12181f; --raised: #1b232c; --ink: #e4eaf0; --soft: #9aa9b7; --line: #2e3944; --link: #6fb1f2; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1240px; padding: 2.2rem clamp(1rem, 4vw, 2.5rem) 4rem;
  background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .6rem; } a { color: var(--link); }
.note, caption { color: var(--soft); font-size: .88rem; max-width: 95ch; text-align: left; }
.verdict { background: var(--raised); border-radius: 8px; padding: .3rem 1.1rem; max-width: 95ch; }
.verdict p:first-child { font-weight: 600; }
.scroll { overflow-x: auto; margin: 0 0 1rem; } .scroll:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 500; } thead th { color: var(--soft); vertical-align: bottom; white-space: normal; }
.number { text-align: right; }
svg text { fill: var(--ink); font-family: inherit; } svg .tick { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); } figure { margin: 0; }
.cyan { fill: var(--cyan); background: var(--cyan); } .orange { fill: var(--orange); background: var(--orange); }
.green { fill: var(--green); background: var(--green); }
.swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .4rem; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; font-size: .88rem; color: var(--soft); }
.gallery { width: 100%; margin: 0 0 1.8rem; } .gallery th, .gallery td { text-align: left; white-space: normal; }
.gallery th { width: 13rem; } .gallery th small { display: block; color: var(--soft); font-weight: 400; }
.gallery caption strong { color: var(--ink); }
.thumbnails { display: flex; flex-wrap: wrap; gap: 6px; }
.thumbnails img { width: 80px; height: 80px; object-fit: contain; border: 1px solid var(--line); border-radius: 4px; }
@media print { .scroll { overflow: visible; } tr, figure, img { break-inside: avoid; } th, td { white-space: normal; } }
`;
