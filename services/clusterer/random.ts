import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { mersenne } from "pure-rand/generator/mersenne";

/** Uniform in [0, 1). */
export type Random = () => number;

/**
 * A stream of random numbers (Mersenne Twister) that depends on nothing but `parts`: the run's seed, fold, epoch and class,
 * say. Different parts give unrelated streams.
 */
export const randomOf = (...parts: readonly (string | number)[]): Random => {
  // FNV-1a, 32 bit; JSON keeps ("a", "bc") apart from ("ab", "c").
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(JSON.stringify(parts))) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  const generator = mersenne(hash);
  return () => uniformFloat64(generator);
};
