import { random } from "@subtaxa/random";

/** Random numbers as a draughtsman wants them. */
export interface Random {
  /** Uniform in [0, 1). */
  readonly unit: () => number;
  /** Uniform in [low, high). */
  readonly between: (low: number, high: number) => number;
  /** Uniform integer in [0, n). */
  readonly integer: (n: number) => number;
  /** Gaussian, redrawn beyond 2.5 standard deviations so that no specimen is absurd. */
  readonly normal: (mean: number, deviation: number) => number;
}

/** Starts a stream; the same integers give the same numbers on every machine. */
export const seeded = (seed: number, ...stream: readonly number[]): Random => {
  const source = random(seed, ...stream);
  const normal = (mean: number, deviation: number): number => {
    const z = source.normal();
    return Math.abs(z) > 2.5 ? normal(mean, deviation) : mean + deviation * z;
  };
  return {
    unit: source.next,
    between: (low, high) => low + (high - low) * source.next(),
    integer: source.integer,
    normal,
  };
};
