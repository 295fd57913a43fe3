import { type BlobRef, type ClassState, encodeLabels, type EventOf, type Labels } from "@subtaxa/contracts";
import { tableFromIPC } from "apache-arrow";
import { distanceFaults, type Given, pairingFaults, summaryFaults } from "./answers.ts";

/** What came of it. */
export interface Answer {
  readonly event: EventOf<"dataset.relabelled">;
  readonly labels: Labels;
  /** The table as it was fetched. */
  readonly bytes: Uint8Array;
  readonly ref: BlobRef;
}

/** What the rules are about; each is a check of its own. */
export type Rule = "images" | "limits" | "subclasses" | "ids" | "state" | "layout" | "distance" | "summary";

export interface Fault {
  readonly rule: Rule;
  readonly message: string;
}

const key = (ofClass: number, id: number) => `${ofClass}/${id}`;

const imageFaults = ({ images }: Given, labels: Labels): string[] => {
  const classOf = new Map(Array.from(images.image, (image, i) => [image, images.class[i]!]));
  const seen = new Set<number>();
  const faults: string[] = [];
  labels.image.forEach((image, row) => {
    const own = classOf.get(image);
    if (own === undefined) faults.push(`image ${image} is labelled, but is no training image`);
    else if (own !== labels.class[row]) {
      faults.push(`image ${image} of class ${own} is labelled as class ${labels.class[row]}`);
    }
    if (seen.has(image)) faults.push(`image ${image} is labelled twice`);
    seen.add(image);
  });
  const missing = images.image.filter((image) => !seen.has(image));
  if (missing.length > 0) {
    faults.push(`${missing.length} training images have no label, such as ${missing[0]}`);
  }
  return faults;
};

const columnsOf = (bytes: Uint8Array) =>
  tableFromIPC(bytes).schema.fields.map(({ name, type, nullable }) =>
    `${name}: ${type}${nullable ? ", nullable" : ""}`
  );

const nothing = { image: new Uint32Array(), class: new Uint16Array(), cluster: new Uint16Array() };
const layout = columnsOf(
  encodeLabels({ ...nothing, distance: new Float32Array(), subclasses: [], highestIds: [] }),
);

const layoutFaults = ({ bytes, ref }: Answer): string[] => {
  const faults: string[] = [];
  const columns = columnsOf(bytes);
  if (columns.join("; ") !== layout.join("; ")) {
    faults.push(`the columns are (${columns.join("; ")}) instead of (${layout.join("; ")})`);
  }
  if (ref.key !== `sha256-${ref.sha256}`) {
    faults.push(`the table's key is ${ref.key} instead of sha256-${ref.sha256}`);
  }
  if (ref.bytes !== bytes.length) {
    faults.push(`the reference says ${ref.bytes} bytes, the table has ${bytes.length}`);
  }
  return faults;
};

const limitFaults = ({ classes }: Given, labels: Labels): string[] =>
  classes.flatMap(({ name, allowedClusters }, index) => {
    const ids = new Set(labels.cluster.filter((_, row) => labels.class[row] === index));
    return ids.size > allowedClusters
      ? [`class ${name} may have ${allowedClusters} sub-classes, it has ${ids.size}`]
      : [];
  });

const subclassFaults = (_given: Given, labels: Labels): string[] => {
  const faults: string[] = [];
  const listed = labels.subclasses.map((one) => key(one.class, one.id));
  const used = new Set(labels.class.keys().map((row) => key(labels.class[row]!, labels.cluster[row]!)));
  if (new Set(listed).size < listed.length) faults.push("a sub-class is listed twice");
  for (const one of used) if (!listed.includes(one)) faults.push(`sub-class ${one} is used, but not listed`);
  for (const one of listed) if (!used.has(one)) faults.push(`sub-class ${one} is listed, but has no image`);
  const sorted = labels.subclasses.toSorted((a, b) => a.class - b.class || a.id - b.id);
  if (sorted.some((one, i) => one !== labels.subclasses[i])) {
    faults.push("the sub-classes are not sorted by class and id");
  }
  return faults;
};

const idFaults = ({ classes, previous }: Given, labels: Labels): string[] =>
  labels.highestIds.length !== classes.length
    ? [`there are ${labels.highestIds.length} highest ids for ${classes.length} classes`]
    : labels.subclasses.flatMap(({ class: index, id, from }) => {
      const name = `sub-class ${id} of class ${classes[index]?.name ?? index}`;
      const before = previous
        ? previous.subclasses.filter((one) => one.class === index).map((one) => one.id)
        : [0];
      const highest = previous?.highestIds[index] ?? 0;
      const faults: string[] = [];
      if (!before.includes(id) && id <= highest) faults.push(`${name} has an id that was another's before`);
      if (!before.includes(from)) faults.push(`${name} starts from ${from}, which was none before`);
      if (before.includes(id) && from !== id) faults.push(`${name} has lasted, but starts from ${from}`);
      if (id > labels.highestIds[index]!) faults.push(`${name} is above the highest id`);
      if (labels.highestIds[index]! < highest) faults.push(`the highest id of class ${index} has fallen`);
      return faults;
    });

const stateFaults = ({ classes }: Given, labels: Labels, state: readonly ClassState[]): string[] =>
  classes.flatMap((before, index) => {
    const after = state[index];
    const clusters = Math.max(1, labels.subclasses.filter((one) => one.class === index).length);
    if (after?.name !== before.name) {
      return [`class ${before.name} is ${after ? `called ${after.name}` : "missing"} in the new state`];
    }
    const faults: string[] = [];
    if (after.clusters !== clusters) {
      faults.push(`class ${before.name} has ${clusters} sub-classes, its state says ${after.clusters}`);
    }
    if (after.allowedClusters !== before.allowedClusters || after.flag !== before.flag) {
      faults.push(`the limit or flag of class ${before.name} changed while it was divided`);
    }
    return faults;
  });

/** Everything in which a labels table, and the event that names it, breaks a rule. */
export const faultsOf = (given: Given, answer: Answer): Fault[] => {
  const { labels, event } = answer;
  const under = (rule: Rule, messages: readonly string[]) => messages.map((message) => ({ rule, message }));
  return [
    ...under("images", imageFaults(given, labels)),
    ...under("limits", limitFaults(given, labels)),
    ...under("subclasses", subclassFaults(given, labels)),
    ...under("ids", [...idFaults(given, labels), ...pairingFaults(given, labels)]),
    ...under("state", stateFaults(given, labels, event.state.classes)),
    ...under("layout", layoutFaults(answer)),
    ...under("distance", distanceFaults(given, labels)),
    ...under("summary", summaryFaults(given, labels, event)),
  ];
};
