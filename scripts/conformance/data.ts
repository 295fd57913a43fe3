import { random } from "@subtaxa/random";

/** An embedding for an image of a class: `ofClass` is the class's index, `position` the image's among all. */
export type Embed = (ofClass: number, position: number) => readonly number[];

/** Groups far apart, one blob each, by `groupOf`: unit directions with a little noise. `wave` moves every image a little. */
export const planted = (groupOf: (position: number) => number, dimension = 32, wave = 0): Embed => {
  const centres = new Map<string, number[]>();
  const centre = (ofClass: number, group: number) => {
    const key = `${ofClass}/${group}`;
    const known = centres.get(key);
    if (known) return known;
    const source = random(11, ofClass, group);
    const made = Array.from({ length: dimension }, () => source.normal());
    centres.set(key, made);
    return made;
  };
  return (ofClass, position) => {
    const [noise, shift] = [random(12, position), random(13, position, wave)];
    return centre(ofClass, groupOf(position)).map((value) =>
      4 * value + 0.3 * noise.normal() + 0.02 * shift.normal()
    );
  };
};

/** For every planted group, the largest share of it that lies in one sub-class; of those the least. */
export const purity = (groups: ArrayLike<number>, clusters: ArrayLike<number>): number => {
  const members = Map.groupBy(Array.from(groups).keys(), (row) => groups[row]!);
  return Math.min(
    ...members.values().map((rows) => {
      const sizes = Map.groupBy(rows, (row) => clusters[row]!).values().map((one) => one.length);
      return Math.max(...sizes) / rows.length;
    }),
  );
};
