import { Effect } from "effect";
import type { Divided } from "./bench.ts";
import type { Check } from "./check.ts";
import { type Embed, planted, purity } from "./data.ts";
import { broken, must } from "./error.ts";

const divides: Check = {
  name: "division: groups that lie far apart become sub-classes, where they are allowed",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = bench.fold({ views: 90, whole: 40, crowd: 100 });
      const groupOf = (position: number) => position < 90 ? position % 3 : position % 5;
      const { labels } = yield* bench.divide(fold, [3, 1, 2], planted(groupOf));
      const rows = [...labels.class.keys()].filter((row) => labels.class[row] === 0);
      const groups = rows.map((row) => groupOf((labels.image[row]! - 1) / 3));
      const clusters = rows.map((row) => labels.cluster[row]!);
      const share = purity(groups, clusters);
      const count = new Set(clusters).size;
      yield* must(count > 1, "a class of three groups far apart, allowed 3 sub-classes, is left whole");
      yield* must(share > 0.9, `a planted group is torn: ${(100 * share).toFixed(0)} % of it are together`);
      return `3 groups planted, ${count} found`;
    }),
};

/** The group of an image by its position: `sizes` of consecutive ones. */
const inRuns = (...sizes: readonly (readonly [group: number, images: number])[]) => {
  const groups = sizes.flatMap(([group, images]) => new Array<number>(images).fill(group));
  return (position: number) => groups[position] ?? 0;
};

const lasting: Check = {
  name:
    "ids: the most images keep their sub-class's id, new ones start from their origin, none is given twice",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = bench.fold({ views: 83, other: 30 });
      const steps = [
        { most: 2, groupOf: inRuns([0, 58], [1, 25]) },
        // shared images, rows as new clusters: [[30, 25], [28, 0]]. The pair that shares most is not in the best pairing
        { most: 2, groupOf: inRuns([0, 30], [1, 28], [0, 25]) },
        // [[30, 0], [6, 14], [7, 10], [12, 4]]: the two new ones come from different sub-classes
        { most: 4, groupOf: inRuns([0, 30], [1, 14], [2, 10], [3, 4], [1, 6], [2, 7], [3, 12]) },
        { most: 1, groupOf: () => 0 },
        { most: 3, groupOf: (position: number) => position % 3 },
      ];
      const before = bench.faults.length;
      const ids: string[] = [];
      let last: Divided | undefined;
      for (const [wave, { most, groupOf }] of steps.entries()) {
        last = yield* bench.divide(fold, [most, 1], planted(groupOf, 32, wave), last);
        ids.push(last.labels.subclasses.filter((one) => one.class === 0).map(({ id }) => id).join(" "));
      }
      yield* bench.divide(fold, [1, 1], planted(() => 0), last);
      const fault = bench.faults.slice(before).find(({ rule }) => rule === "ids");
      if (fault) return yield* broken(fault.message);
      return ids.join(" → ");
    }),
};

const odd: Check = {
  name: "odd classes: none, one, equal and zero embeddings",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = bench.fold({ empty: 0, single: 1, equal: 30, pair: 30, zero: 20 }, { method: "gs-trs" });
      const embed = (ofClass: number, position: number) =>
        Array.from({ length: 8 }, (_, d) => {
          if (ofClass === 4) return 0;
          if (ofClass === 3) return Number(d === position % 2);
          return 0.25 * d - 1;
        });
      const first = yield* bench.divide(fold, [3, 3, 3, 3, 3], embed);
      const counts = first.event.state.classes.map(({ clusters }) => clusters);
      yield* must(
        [1, 1, 1, 2, 1].every((most, index) => counts[index]! <= most),
        `${counts.join(", ")} sub-classes, although there are 0, 1, 1, 2, 1 different embeddings`,
      );
      yield* bench.divide(fold, [3, 3, 3, 3, 3], embed, first);
      return `${counts.join(", ")} sub-classes`;
    }),
};

const normalisation: Check = {
  name: "normalisation: l2 divides by direction alone, none by length too",
  run: (bench) =>
    Effect.gen(function* () {
      const noise = planted(() => 0, 32);
      const direction = planted((position) => position % 2, 32);
      const lengthOf = (position: number) => Math.floor(position / 2) % 2;
      const rows = (ofDirection: (position: number) => number): Embed => (ofClass, position) => {
        const [unit, small] = [direction(ofClass, ofDirection(position)), noise(ofClass, position)];
        const scale = lengthOf(position) ? 40 : 1;
        return unit.map((value, d) => scale * value + 0.05 * (small[d]! - unit[d]!));
      };
      for (
        const { normalisation, embed, groupOf } of [
          { normalisation: "l2", embed: rows((position) => position % 2), groupOf: (at: number) => at % 2 },
          { normalisation: "none", embed: rows(() => 0), groupOf: lengthOf },
        ] as const
      ) {
        const fold = bench.fold({ views: 80, other: 20 }, { normalisation });
        const { labels } = yield* bench.divide(fold, [2, 1], embed);
        const of = [...labels.class.keys()].filter((row) => labels.class[row] === 0);
        const clusters = of.map((row) => labels.cluster[row]!);
        const share = purity(of.map((row) => groupOf((labels.image[row]! - 1) / 3)), clusters);
        yield* must(
          new Set(clusters).size === 2 && share > 0.9,
          `normalisation ${normalisation}: two groups that differ in ${
            normalisation === "l2" ? "direction" : "length"
          } are not the two sub-classes`,
        );
      }
      return "";
    }),
};

/** What comes of dividing embeddings whose groups are known. */
export const dividing: readonly Check[] = [divides, lasting, odd, normalisation];
