/** One figure of a service, with its labels. */
export interface Figure {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The figures of one metric; a histogram's have its name with `_bucket`, `_sum` or `_count` added. */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly figures: readonly Figure[];
}

const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/;
const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/y;
const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};
const escapes: Readonly<Record<string, string>> = { n: "\n", '"': '"', "\\": "\\" };

const numberIn = (text: string): number => text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : +text;

const labelsIn = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {};
  label.lastIndex = 0;
  while (label.lastIndex < text.length) {
    const [, name, value] = label.exec(text) ?? [];
    if (name === undefined || value === undefined) throw new Error(`no labels: ${text}`);
    labels[name] = value.replaceAll(/\\(.)/g, (all, one: string) => escapes[one] ?? all);
  }
  return labels;
};

/** Counters, gauges and histograms in Prometheus' text exposition format (version 0.0.4). Throws where the text is none. */
export const parseFigures = (text: string): readonly Family[] => {
  const families: (Omit<Family, "figures"> & { readonly figures: Figure[] })[] = [];
  let help = { name: "", text: "" };
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.split("\n").slice(0, -1)) {
    const [, kind, about, words] = comment.exec(line) ?? [];
    if (kind === "HELP") help = { name: about!, text: words! };
    else if (kind === "TYPE") {
      if (!suffixes[words!]) throw new Error(`no type that is known here: ${line}`);
      if (families.some(({ name }) => name === about)) throw new Error(`${about} comes twice`);
      families.push({
        name: about!,
        type: words!,
        help: help.name === about ? help.text : "",
        figures: [],
      });
    } else {
      const [, name, labels = "", value] = sample.exec(line) ?? [];
      const family = families.at(-1);
      const isOfFamily = suffixes[family?.type ?? ""]?.some((suffix) => name === `${family?.name}${suffix}`);
      if (!isOfFamily) throw new Error(`no figure of ${family?.name}: ${line}`);
      const number = numberIn(value!);
      if (Number.isNaN(number) && value !== "NaN") throw new Error(`no number: ${line}`);
      family!.figures.push({ name: name!, labels: labelsIn(labels), value: number });
    }
  }
  return families;
};

/** The figures of a name; none if the service does not know it. */
export const figuresOf = (families: readonly Family[], name: string): readonly Figure[] =>
  families.flatMap(({ figures }) => figures.filter((figure) => figure.name === name));
