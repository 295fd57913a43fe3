import type { Random } from "@subtaxa/random";

/** Fills a new tensor, value by value. */
export type Initial = (random: Random) => number;

export const constant = (value: number): Initial => () => value;

/** He et al. 2015: keeps the variance of activations through layers followed by a ReLU. */
export const heNormal = (fanIn: number): Initial => (random) => Math.sqrt(2 / fanIn) * random.normal();

/** Glorot & Bengio 2010, for layers without a ReLU after them. */
export const glorotUniform = (fanIn: number, fanOut: number): Initial => (random) =>
  (2 * random.next() - 1) * Math.sqrt(6 / (fanIn + fanOut));
