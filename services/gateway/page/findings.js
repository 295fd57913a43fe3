import { count, h, table } from "./dom.js";

/** As many rows of a list are shown. */
const most = 500;

const shortened = (list) =>
  list.length > most && h("p", { class: "quiet" }, `The first ${most}; the API lists all.`);

const leftOut = ({ name, rejected, rejectedByReason }) => {
  const at = `/v1/datasets/${encodeURIComponent(name)}/rejected.csv`;
  return rejected.length > 0 && [
    h("h2", {}, `Left out (${rejected.length})`),
    table(
      "Why files were left out",
      [{ text: "Reason" }, { text: "Files", number: true }],
      rejectedByReason.map(({ reason, files }) => [reason, String(files)]),
    ),
    h("p", { class: "links" }, [
      h("a", { class: "button", href: at }, "rejected.csv"),
      h("a", { class: "button", href: `${at}?spreadsheet=true` }, "rejected.csv for a spreadsheet"),
    ]),
    h(
      "details",
      {},
      h("summary", {}, "File by file"),
      table(
        "Files that were left out",
        [{ text: "File" }, { text: "Reason" }],
        rejected.slice(0, most).map((one) => [one.file, one.reason]),
      ),
      shortened(rejected),
    ),
  ];
};

const contradicting = ({ labelConflicts }) =>
  labelConflicts.length > 0 && [
    h("h2", {}, `In several classes (${count(labelConflicts.length, "picture")})`),
    table(
      "Files that hold one picture",
      [{ text: "Picture" }, { text: "Files" }],
      labelConflicts.slice(0, most).map(({ files }, i) => [
        String(i + 1),
        files.map(({ path }) => h("div", {}, path)),
      ]),
    ),
    shortened(labelConflicts),
  ];

/** What an import found beside the images, whether or not it succeeded. */
export const findingsOf = (dataset) => {
  const { depth, pixelSize, warnings } = dataset;
  return [
    depth && h("p", { class: "quiet" }, `16-bit images: ${depth.bits} bits, black at ${depth.offset}`),
    pixelSize !== undefined && h("p", { class: "quiet" }, `A pixel is ${pixelSize} µm wide.`),
    warnings.length > 0 && [
      h("h2", {}, `Warnings (${warnings.length})`),
      h("ul", {}, warnings.map(({ message }) => h("li", {}, message))),
    ],
    leftOut(dataset),
    contradicting(dataset),
  ];
};
