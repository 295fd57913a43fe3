import type { ClassState, Features, Images, Labels } from "@subtaxa/contracts";
import { normalisedMutualInformation } from "@subtaxa/metrics";
import { linearSumAssignment } from "linear-sum-assignment";

/** What a clusterer's answer must follow from its labels table and what it was given, computed plainly. */

/** What a labels table came from. */
export interface Given {
  /** Algorithm 1's state per class as the clusterer was given it. */
  readonly classes: readonly ClassState[];
  readonly images: Images;
  readonly previous: Labels | null;
  readonly features: Features;
  readonly normalisation: "l2" | "none";
}

/** Id of every image's former sub-class: 0 where it had none. */
const formerIds = (previous: Labels | null) => {
  const known = new Map(
    previous ? Array.from(previous.image, (image, row) => [image, previous.cluster[row]!]) : [],
  );
  return (image: number) => known.get(image) ?? 0;
};

const rowsOfClass = (labels: Labels, index: number) =>
  [...labels.class.keys()].filter((row) => labels.class[row] === index);

/** Ids that are kept by fewer images than could keep theirs, or given to the wrong sub-class. */
export const pairingFaults = ({ classes, previous }: Given, labels: Labels): string[] =>
  classes.flatMap(({ name }, index) => {
    const former = formerIds(previous);
    const rows = rowsOfClass(labels, index);
    const ids = [...new Set(rows.map((row) => labels.cluster[row]!))].sort((a, b) => a - b);
    const before = [...new Set(rows.map((row) => former(labels.image[row]!)))].sort((a, b) => a - b);
    const shared = ids.map(() => before.map(() => 0));
    for (const row of rows) {
      shared[ids.indexOf(labels.cluster[row]!)]![before.indexOf(former(labels.image[row]!))]!++;
    }
    if (rows.length === 0) return [];
    const most = linearSumAssignment(shared, { maximaze: true }).rowAssignments
      .reduce((sum, column, row) => sum + (column >= 0 ? shared[row]![column]! : 0), 0);
    const kept = ids.reduce((sum, id, row) => sum + (shared[row]![before.indexOf(id)] ?? 0), 0);
    const faults: string[] = [];
    if (kept < most) {
      faults.push(`class ${name}: ${kept} images keep their sub-class's id, where ${most} could`);
    }
    const highest = previous?.highestIds[index] ?? 0;
    const fresh = ids.filter((id) => id > highest);
    if (fresh.some((id, i) => id !== highest + 1 + i)) {
      faults.push(`class ${name}: the new ids are ${fresh.join(", ")}, they must follow ${highest}`);
    }
    ids.forEach((id, row) => {
      const from = labels.subclasses.find((one) => one.class === index && one.id === id)?.from;
      if (id <= highest || from === undefined) return;
      const share = shared[row]![before.indexOf(from)] ?? 0;
      if (share < Math.max(...shared[row]!)) {
        faults.push(
          `the new sub-class ${id} of class ${name} starts from ${from}, with which it shares ${share} images, ` +
            `and not from the one with which it shares ${Math.max(...shared[row]!)}`,
        );
      }
    });
    return faults;
  });

/** Distances that are not those to the mean of the sub-class, in the space of the normalised embeddings. */
export const distanceFaults = (
  { classes, normalisation, features }: Given,
  labels: Labels,
): string[] => {
  const rowOf = new Map(Array.from(features.image, (image, row) => [image, row]));
  const { dimension } = features;
  const embedding = (image: number) => {
    const row = rowOf.get(image)!;
    const values = Array.from(features.values.subarray(row * dimension, (row + 1) * dimension));
    const length = normalisation === "l2" ? Math.hypot(...values) : 1;
    return length === 0 ? values : values.map((value) => value / length);
  };
  const wrong = (name: string, row: number, should: number) =>
    `class ${name}: the distance of image ${labels.image[row]} is ${
      labels.distance[row]!.toPrecision(4)
    } instead of ` +
    should.toPrecision(4);
  return classes.flatMap(({ name }, index) => {
    const groups = Map.groupBy(rowsOfClass(labels, index), (row) => labels.cluster[row]!);
    if (groups.size === 1) {
      const row = [...groups.values()][0]!.find((row) => labels.distance[row] !== 0);
      return row === undefined ? [] : [`${wrong(name, row, 0)}: the class has one sub-class`];
    }
    for (const rows of groups.values()) {
      if (rows.some((row) => !rowOf.has(labels.image[row]!))) return []; // too many sub-classes: a fault of its own
      const points = rows.map((row) => embedding(labels.image[row]!));
      const mean = Array.from(
        { length: dimension },
        (_, d) => points.reduce((sum, one) => sum + one[d]!, 0) / points.length,
      );
      const distances = points.map((one) => Math.hypot(...one.map((value, d) => value - mean[d]!)));
      const tolerance = 1e-3 * Math.max(...distances) + 1e-5 * Math.hypot(...mean);
      const at = rows.findIndex((row, i) => !(Math.abs(labels.distance[row]! - distances[i]!) <= tolerance));
      if (at >= 0) return [wrong(name, rows[at]!, distances[at]!)];
    }
    return [];
  });
};

/** `changes` and `agreement` that are not those of the tables. */
export const summaryFaults = (
  { classes, images, previous }: Given,
  labels: Labels,
  { changes, agreement }: {
    readonly changes: readonly { readonly class: string; readonly from: number; readonly to: number }[];
    readonly agreement: number;
  },
): string[] => {
  const faults: string[] = [];
  const count = (index: number) => Math.max(1, labels.subclasses.filter((one) => one.class === index).length);
  const told = (all: typeof changes) =>
    all.map(({ class: name, from, to }) => `${name} ${from} → ${to}`).sort().join(", ") || "none";
  const should = classes.map(({ name, clusters }: ClassState, index) => ({
    class: name,
    from: clusters,
    to: count(index),
  })).filter(({ from, to }) => from !== to);
  if (told(changes) !== told(should)) {
    faults.push(`\`changes\` says: ${told(changes)}; the tables say: ${told(should)}`);
  }
  if (labels.image.length !== images.image.length) return faults; // a fault of its own
  const former = formerIds(previous);
  const key = (id: (row: number) => number) =>
    Array.from(labels.class, (index, row) => `${index}/${id(row)}`);
  const expected = normalisedMutualInformation(
    key((row) => former(labels.image[row]!)),
    key((row) => labels.cluster[row]!),
  );
  if (Math.abs(agreement - expected) > 1e-6) {
    faults.push(`\`agreement\` is ${agreement}, the tables say ${expected.toFixed(6)}`);
  }
  return faults;
};
