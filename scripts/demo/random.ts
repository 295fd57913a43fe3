/** A stream of random numbers that is the same for the same seeds on every machine. */
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

/** Starts a stream (sfc32); seeds are 32-bit integers, and streams of different seeds are unrelated. */
export const seeded = (...seeds: readonly number[]): Random => {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1];
  const next = (): number => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21 | c >>> 11) + sum) | 0;
    return sum >>> 0;
  };
  for (const seed of seeds) {
    a ^= seed;
    for (let round = 0; round < 12; round++) next();
  }

  const unit = (): number => next() / 2 ** 32;
  const normal = (mean: number, deviation: number): number => {
    const z = Math.sqrt(-2 * Math.log(1 - unit())) * Math.cos(2 * Math.PI * unit());
    return Math.abs(z) > 2.5 ? normal(mean, deviation) : mean + deviation * z;
  };
  return {
    unit,
    between: (low, high) => low + (high - low) * unit(),
    integer: (n) => Math.floor(n * unit()),
    normal,
  };
};
