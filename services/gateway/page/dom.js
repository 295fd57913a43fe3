/** Makes an element: `h("td", { class: "number" }, "3", child)`. Functions are listeners; false, null: left out. */
export const h = (tag, attributes = {}, ...children) => {
  const [name, namespace] = tag.startsWith("svg:")
    ? [tag.slice(4), "http://www.w3.org/2000/svg"]
    : [tag, "http://www.w3.org/1999/xhtml"];
  const element = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
};

/** Puts new content in place of the old, unless it is the same: what a reader has selected or scrolled to stays. */
export const fill = (element, ...children) => {
  const next = h("div", {}, ...children);
  if (next.innerHTML === element.innerHTML) return;
  element.replaceChildren(...next.childNodes);
};

/** A table with a header row; cells that are numbers are set as such. */
export const table = (caption, headings, rows) =>
  h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", {}, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          headings.map(({ text, number }) => h("th", { scope: "col", class: number && "number" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((cells) =>
          h(
            "tr",
            {},
            cells.map((cell, i) =>
              i === 0
                ? h("th", { scope: "row" }, cell)
                : h("td", { class: headings[i].number && "number" }, cell || "")
            ),
          )
        ),
      ),
    ),
  );

export const badge = (state) => h("span", { class: `badge ${state}` }, state);

/** A bar from 0 to 1. */
export const bar = (label, value, text) =>
  h(
    "div",
    { class: "bar" },
    h("div", {}, h("span", {}, label), h("span", { class: "quiet" }, text)),
    h("progress", {
      max: "1",
      value: String(Math.min(1, Math.max(0, value))),
      "aria-label": `${label}: ${text}`,
    }),
  );

export const percent = (value) => value === undefined ? "" : `${(100 * value).toFixed(1)} %`;
export const decimal = (value, digits = 3) => value === undefined ? "" : value.toFixed(digits);
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** 3.14 → "3.1 images/s", as the command line has it */
export const speed = (perSecond) => {
  const figure = perSecond < 9.95 ? perSecond.toFixed(1) : String(Math.round(perSecond));
  return `${figure} ${Number(figure) === 1 ? "image" : "images"}/s`;
};

/** 75 → "1 min 15 s" */
export const duration = (seconds) => {
  if (seconds === undefined || !Number.isFinite(seconds)) return "";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
};

export const time = (iso) =>
  iso
    ? h(
      "time",
      { datetime: iso },
      new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }),
    )
    : "";
