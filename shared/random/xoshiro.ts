/** SplitMix64's increment: 2^64 divided by the golden ratio. */
const increment = 0x9e3779b97f4a7c15n;

/** SplitMix64 (Steele, Lea & Flood 2014) as Vigna's reference has it: the next state, and the output it gives. */
export const splitmix64 = (state: bigint): { state: bigint; output: bigint } => {
  const next = BigInt.asUintN(64, state + increment);
  let z = next;
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return { state: next, output: z ^ (z >> 31n) };
};

const rotateLeft = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/** xoshiro128** 1.1 (Blackman & Vigna 2021): 32 uniform bits per call. A state of four zeros is not allowed. */
export const xoshiro128 = (state: readonly [number, number, number, number]): () => number => {
  let [a, b, c, d] = state;
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result;
  };
};
