/** A stream of random numbers: `uniform` in [0, 1), `normal` with mean 0 and variance 1. */
export interface Random {
  uniform(): number;
  normal(): number;
}

/** Fills a new tensor, value by value. */
export type Initial = (random: Random) => number;

export const constant = (value: number): Initial => () => value;

/** He et al. 2015: keeps the variance of activations through layers followed by a ReLU. */
export const heNormal = (fanIn: number): Initial => (random) => Math.sqrt(2 / fanIn) * random.normal();

/** Glorot & Bengio 2010, for layers without a ReLU after them. */
export const glorotUniform = (fanIn: number, fanOut: number): Initial => (random) =>
  (2 * random.uniform() - 1) * Math.sqrt(6 / (fanIn + fanOut));
