import { random } from "@subtaxa/random";

/** Indices of images, each part sorted; together they are all images, each once. */
export interface Split {
  readonly train: Uint32Array;
  readonly validation: Uint32Array;
  readonly test: Uint32Array;
}

/** Random streams of a seed (`@subtaxa/random`) that splits draw from. */
const order = 0x5911;
const choice = 0x5912;

/**
 * Divides a dataset for one fold, stratified by class; the same arguments give the same split.
 *
 * - `folds` 1: 20 % test, 10 % validation, 70 % training.
 * - `folds` k: the k test sets are disjoint and cover the dataset, 1/k of it each; an eighth of the rest is validation.
 *
 * In every class each part is within one image of its share. With at least 5 images of the class (and at least
 * `folds`), each part has one or more; with fewer, training comes first and then the test set.
 *
 * @param classOfImage class index of every image, in the manifest's order
 * @throws RangeError unless 0 ≤ fold < folds
 */
export const split = (
  classOfImage: ArrayLike<number>,
  { seed, folds, fold }: { readonly seed: number; readonly folds: number; readonly fold: number },
): Split => {
  if (!(fold >= 0 && fold < folds)) throw new RangeError(`fold ${fold} is not one of ${folds} folds`);
  const imagesOf = new Map<number, number[]>();
  for (let image = 0; image < classOfImage.length; image++) {
    const images = imagesOf.get(classOfImage[image]!);
    if (images) images.push(image);
    else imagesOf.set(classOfImage[image]!, [image]);
  }
  const train: number[] = [];
  const validation: number[] = [];
  const test: number[] = [];
  // Classes are dealt out one after another, so that no fold gets the odd image of every class.
  let dealt = 0;
  for (const [name, images] of [...imagesOf].sort(([a], [b]) => a - b)) {
    random(seed, order, name).shuffle(images);
    const tested = folds === 1
      ? images.slice(0, atLeastOne(0.2, images.length, images.length - 1))
      : images.filter((_, i) => (dealt + i) % folds === fold);
    dealt += images.length;
    const others = new Set(images).difference(new Set(tested));
    const rest = random(seed, choice, name, fold).shuffle([...others]);
    const share = folds === 1 ? 0.1 * images.length / rest.length : 1 / 8;
    const validated = atLeastOne(share, rest.length, rest.length - 1);
    test.push(...tested);
    validation.push(...rest.slice(0, validated));
    train.push(...rest.slice(validated));
  }
  const sorted = (images: number[]) => Uint32Array.from(images).sort();
  return { train: sorted(train), validation: sorted(validation), test: sorted(test) };
};

/** The share of `n`, rounded, but one at least and `most` at most. */
const atLeastOne = (share: number, n: number, most: number): number =>
  Math.max(0, Math.min(Math.max(1, Math.round(share * n)), most));
