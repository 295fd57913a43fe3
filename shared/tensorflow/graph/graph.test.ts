import type { Tensor, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { expect } from "expect";
import { tf } from "../load.ts";
import { affineConvolution, FusedAdam } from "../ops/mod.ts";
import { expectClose, expectNoLeak } from "../ops/testing.ts";
import { GraphFunction } from "./graph_function.ts";
import { handleOf, Recording, resumed } from "./recording.ts";

const normal = (shape: number[], seed: number): Tensor => tf.randomNormal(shape, 0, 1, "float32", seed);

/** What a body does with its inputs, recorded. */
const functionOf = (
  body: (inputs: readonly Tensor[]) => Tensor[],
  inputs: readonly Tensor[],
): GraphFunction => {
  const handles = inputs.map(handleOf);
  const recording = new Recording();
  recording.begin();
  try {
    const outputs = body(inputs).map(handleOf);
    return new GraphFunction(recording, handles, outputs);
  } finally {
    recording.end();
  }
};

Deno.test("recorded operations give as one function what they gave one by one, on other inputs", () => {
  const body = ([x, w]: readonly Tensor[]) => {
    const y = tf.relu(tf.matMul(x as Tensor2D, w as Tensor2D));
    const halves = tf.split(tf.concat([y, tf.mul(y, 0.5)], 1), 2, 1); // constants: an axis, a factor
    return [tf.cast(tf.sum(halves[1]!, 1), "int32"), tf.transpose(tf.mean(halves[0]!, 0, true))];
  };
  tf.tidy(() => {
    const compiled = functionOf(body, [normal([5, 4], 1), normal([4, 6], 2)]);
    const inputs = [normal([5, 4], 3), normal([4, 6], 4)];
    const [expected, actual] = [body(inputs), compiled.call(inputs)];
    expect(actual.map(({ dtype }) => dtype)).toEqual(["int32", "float32"]);
    actual.forEach((output, i) => expectClose(output, expected[i]!));
    compiled.dispose();
  });
});

Deno.test("attributes that are lists pass into a function", () => {
  const body = ([x, kernel]: readonly Tensor[]) => [
    affineConvolution(x as Tensor4D, kernel as Tensor4D, tf.tensor1d([0.5, -0.5]), { stride: 2, relu: true }),
  ];
  tf.tidy(() => {
    const inputs = [normal([2, 6, 6, 3], 1), normal([3, 3, 3, 2], 2)];
    const compiled = functionOf(body, inputs);
    expectClose(compiled.call(inputs)[0]!, body(inputs)[0]!);
    compiled.dispose();
  });
});

Deno.test("a computation in two parts goes on with what the first left, reads variables anew and changes them in place", () => {
  const zeros = new Float32Array(12);
  const value = tf.tidy(() => normal([3, 4], 7).dataSync<"float32">());
  const weights = new Map([["w", { shape: [3, 4], value, first: zeros, second: zeros }]]);
  const [one, other] = [new FusedAdam({ step: 0, weights }), new FusedAdam({ step: 0, weights })];
  const x = normal([5, 3], 8) as Tensor2D;

  const first = (adam: FusedAdam) => {
    const w = adam.values().get("w") as Tensor2D;
    const y = tf.matMul(x, w);
    return { w, y, squares: tf.square(y) };
  };
  // a gradient that takes the variable's value, something of the first part and something from outside
  const second = (
    adam: FusedAdam,
    { w, y }: ReturnType<typeof first>,
    dy: Tensor2D,
    scalars: readonly Tensor[],
  ) => adam.apply(new Map([["w", tf.add(tf.matMul(x, tf.mul(y, dy), true), tf.mul(w, 0.1))]]), scalars);
  const gradientOf = (squares: Tensor): Tensor2D => tf.sub(squares, 1) as Tensor2D;
  const stepByStep = (adam: FusedAdam) =>
    tf.tidy(() => {
      const made = first(adam);
      second(adam, made, gradientOf(made.squares), adam.nextStep(0.1));
    });

  const [forward, backward] = [new Recording(), new Recording()];
  let compiled!: Record<"forward" | "backward", GraphFunction>;
  tf.tidy(() => {
    const outside = [x, ...one.variables()].map(handleOf);
    const scalars = one.nextStep(0.1);
    const scalarHandles = scalars.map(handleOf);
    forward.begin();
    const made = first(one);
    forward.end();
    const squares = handleOf(made.squares);
    const dy = gradientOf(made.squares);
    const gradient = handleOf(dy);
    backward.begin();
    second(one, made, dy, scalars);
    backward.end();
    const { kept, recording } = resumed(forward, backward);
    expect(kept.length).toBe(1); // y; neither the variable's value nor what nobody takes
    compiled = {
      forward: new GraphFunction(forward, outside, [squares, ...kept]),
      backward: new GraphFunction(recording, [gradient, ...scalarHandles, ...outside, ...kept], []),
    };
  });
  stepByStep(other);
  expectNoLeak(() => {
    tf.tidy(() => {
      const [squares, ...kept] = compiled.forward.call([x, ...one.variables()]) as [Tensor, ...Tensor[]];
      compiled.backward.call([gradientOf(squares), ...one.nextStep(0.1), x, ...one.variables(), ...kept]);
    });
    stepByStep(other);
    tf.tidy(() => expectClose(one.values().get("w")!, other.values().get("w")!));
  });
  Object.values(compiled).forEach((one) => one.dispose());
  one.dispose();
  other.dispose();
  x.dispose();
});

Deno.test("what can't be replayed is refused: a value that is read, a tensor of unknown origin", () => {
  tf.tidy(() => {
    const [x, stranger] = [normal([2], 1), normal([2], 2)];
    handleOf(stranger);
    expect(() => functionOf(([x]) => [tf.mul(x!, tf.add(x!, 1).dataSync()[0]!)], [x])).toThrow(
      "must not read",
    );
    expect(() => functionOf(([x]) => [tf.add(x!, stranger)], [x])).toThrow("Add takes a tensor");
    // and the recordings that failed listen no more
    expectClose(tf.add(x, 1), tf.add(x, 1));
    expect(tf.add(x, 1).dataSync().length).toBe(2);
  });
});

Deno.test("a function that was disposed is gone", () => {
  tf.tidy(() => {
    const x = normal([2], 1);
    const compiled = functionOf(([x]) => [tf.square(x!)], [x]);
    compiled.dispose();
    expect(() => compiled.call([x])).toThrow(/subtaxa_\d+/);
  });
});

Deno.test("every thread that loads the add-on has functions of its own", async () => {
  const two = tf.tensor1d([2]);
  const here = functionOf(([x]) => [tf.square(x!)], [two]);
  const worker = new Worker(new URL("./testing_thread.ts", import.meta.url), { type: "module" });
  const said = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  worker.terminate();
  expect(said).toEqual([9]);
  tf.tidy(() => expectClose(here.call([tf.tensor1d([4])])[0]!, tf.tensor1d([16])));
  here.dispose();
});
