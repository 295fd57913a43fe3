import { tf } from "../load.ts";
import type { WorkContext } from "./protocol.ts";
import { serveTensorWork } from "./serve.ts";

/** A failure as any module's tagged error looks. */
class NoImages extends Error {
  readonly _tag = "EvaluationError";
  readonly reason = { _tag: "NoImages", fold: 3 };
  readonly retryable = false;
}

/** Many seconds of work. */
const MOST_PRODUCTS = 100_000;

const operations = {
  /** Multiplies two seeded square matrices and sums the product; takes the native library. */
  multiply: ({ size, times }: { size: number; times: number }): number =>
    tf.tidy(() => {
      let product = tf.fill([size, size], 1 / size);
      for (let round = 0; round < times; round++) product = tf.matMul(product, product);
      return tf.sum(product).dataSync()[0] ?? NaN;
    }),
  /** Multiplies matrices without a pause, telling how often, until the caller raises the flag. */
  multiplyUntil: ({ raised }: { raised: SharedArrayBuffer }, context: WorkContext<number>): number => {
    const flag = new Int32Array(raised);
    let products = 0;
    while (Atomics.load(flag, 0) === 0 && products < MOST_PRODUCTS) {
      tf.tidy(() => tf.matMul(tf.ones([256, 256]), tf.ones([256, 256])).dataSync());
      context.progress(++products);
    }
    return products;
  },
  /** Counts batches of a few milliseconds until the limit or the caller's cancellation, and says when it ended. */
  countBatches: async (
    { batches, ended }: { batches: number; ended: SharedArrayBuffer },
    context: WorkContext<number>,
  ): Promise<number> => {
    let done = 0;
    while (done < batches && !context.cancelled()) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      context.progress(++done);
    }
    Atomics.store(new Int32Array(ended), 0, done);
    return done;
  },
  neverStop: (): Promise<never> => new Promise(() => {}),
  crash: (): Promise<never> => {
    setTimeout(() => {
      throw new Error("out of nowhere");
    });
    return new Promise(() => {});
  },
  failTyped: (): never => {
    throw new NoImages("Fold 3 has no images: import more or use fewer folds.");
  },
  readFile: ({ path }: { path: string }): Promise<Uint8Array> => Deno.readFile(path),
  writeFile: ({ path }: { path: string }): Promise<void> => Deno.writeFile(path, new Uint8Array(1000)),
  /** More numbers than any machine has room for. */
  exhaustTensorFlow: (): number => tf.tidy(() => tf.fill([2 ** 21, 2 ** 21], 1).dataSync().length),
  exhaustArrays: (): number => new Float64Array(2 ** 40).length,
  failUntyped: (): never => {
    throw new TypeError("x is not a tensor");
  },
  returnFunction: () => () => 1,
};

export type TestWork = typeof operations;

serveTensorWork(operations);
