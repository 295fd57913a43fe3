/** Seeded random numbers: the same on every machine, for splits, shuffles, augmentation and initial weights. */
import { splitmix64, xoshiro128 } from "./xoshiro.ts";

/** A deterministic source of random numbers. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  next(): number;
  /** Uniform over 0, 1 … n − 1, without bias; 1 ≤ n ≤ 2^32. */
  integer(n: number): number;
  /** From the standard normal distribution. */
  normal(): number;
  /** Shuffles in place, every order equally likely, and returns the same array. */
  shuffle<T extends { readonly length: number; [index: number]: unknown }>(array: T): T;
}

/**
 * xoshiro128** seeded by SplitMix64 from `seed` and any number of `stream` numbers (all of them integers). Different
 * streams of one seed are independent sequences: give each use its own (`random(seed, epoch)`), so that drawing more
 * numbers in one place never moves another.
 */
export const random = (seed: number, ...stream: readonly number[]): Random => {
  let state = BigInt.asUintN(64, BigInt(seed));
  for (const number of stream) state = splitmix64(state).output ^ BigInt.asUintN(64, BigInt(number));
  const first = splitmix64(state);
  const second = splitmix64(first.state);
  const word = (bits: bigint) => Number(BigInt.asUintN(32, bits));
  const bits = xoshiro128([
    word(first.output),
    word(first.output >> 32n),
    word(second.output),
    word(second.output >> 32n),
  ]);

  const next = (): number => ((bits() >>> 5) * 2 ** 26 + (bits() >>> 6)) / 2 ** 53;

  const integer = (n: number): number => {
    // Draws above the last whole multiple of n would favour small numbers.
    const limit = 2 ** 32 - (2 ** 32 % n);
    let draw = bits();
    while (draw >= limit) draw = bits();
    return draw % n;
  };

  // The polar method yields two at a time.
  let spare: number | undefined;
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    let x: number, y: number, square: number;
    do {
      x = 2 * next() - 1;
      y = 2 * next() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const scale = Math.sqrt(-2 * Math.log(square) / square);
    spare = y * scale;
    return x * scale;
  };

  const shuffle = <T extends { readonly length: number; [index: number]: unknown }>(array: T): T => {
    for (let i = array.length - 1; i > 0; i--) {
      const j = integer(i + 1);
      const value = array[i];
      array[i] = array[j];
      array[j] = value;
    }
    return array;
  };

  return { next, integer, normal, shuffle };
};
