import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { type Attribute, runOperation, withGradient } from "./native.ts";
import { hasOneDnn, oneDnnKernel } from "./one_dnn.ts";

export interface ConvolutionOptions {
  /** Default 1. */
  readonly stride?: number;
  /** TensorFlow's SAME, or as many zeros on every side. Default `same`. */
  readonly padding?: "same" | number;
}

type Padding = Required<ConvolutionOptions>["padding"];

const attributes = (stride: number, padding: Padding): Attribute[] => [
  ["T", "type", "float32"],
  ["strides", "ints", [1, stride, stride, 1]],
  ["data_format", "string", "NHWC"],
  ["dilations", "ints", [1, 1, 1, 1]],
  ...(padding === "same" || padding === 0
    ? [["padding", "string", padding === 0 ? "VALID" : "SAME"]] as const
    : [
      ["padding", "string", "EXPLICIT"],
      ["explicit_paddings", "ints", [0, 0, padding, padding, padding, padding, 0, 0]],
    ] as const),
];

const run = (name: string, attributes: Attribute[], ...inputs: Tensor[]): Tensor4D =>
  runOperation(name, attributes, inputs, 1)[0] as Tensor4D;

const product = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor2D =>
  runOperation(
    "MatMul",
    [
      ["T", "type", "float32"],
      ["transpose_a", "bool", transposeA],
      ["transpose_b", "bool", transposeB],
    ],
    [a, b],
    1,
  )[0] as Tensor2D;

/** All but the last axis as one. */
const rows = (x: Tensor4D): Tensor2D => tf.reshape(x, [-1, x.shape[3]]);

/** A 1 × 1 convolution is a product of matrices, and faster as one. */
const pointwise = (x: Tensor4D, kernel: Tensor4D): Tensor4D => {
  const [images, height, width] = x.shape;
  return withGradient<Tensor4D>([x, kernel], (save) => {
    const [inputs, matrix] = [rows(x), rows(kernel)];
    save([inputs, matrix]);
    return {
      value: tf.reshape(product(inputs, matrix, false, false), [images, height, width, kernel.shape[3]]),
      gradient: (dy, [inputs, matrix]) => {
        const outputs = rows(dy);
        return [
          () => tf.reshape(product(outputs, matrix!, false, true), x.shape),
          () => tf.reshape(product(inputs!, outputs, true, false), kernel.shape),
        ];
      },
    };
  });
};

/** Every `stride`-th line and column, of images whose sides are multiples of it: as a slice of pairs of them, in one copy. */
const subsample = (x: Tensor4D, stride: number): Tensor4D => {
  const [images, height, width, channels] = x.shape;
  const [rows, columns] = [height / stride, width / stride];
  const lines = [images, rows, stride, columns, stride * channels];
  return withGradient<Tensor4D>([x], () => ({
    value: tf.reshape(
      tf.slice(tf.reshape(x, lines), [0, 0, 0, 0, 0], [images, rows, 1, columns, channels]),
      [images, rows, columns, channels],
    ),
    gradient: (dy) => {
      const left = [[0, 0], [0, 0], [0, stride - 1], [0, 0], [0, (stride - 1) * channels]] as [
        number,
        number,
      ][];
      return tf.reshape(tf.pad(tf.reshape(dy, [images, rows, 1, columns, channels]), left), x.shape);
    },
  }));
};

/** What the gradient needs to see padded: TensorFlow's gradient operations are slow with a padding of their own. */
const padded = (x: Tensor4D, padding: Padding): Tensor4D => {
  if (padding === "same" || padding === 0) return x;
  const side: [number, number] = [padding, padding];
  return tf.pad(x, [[0, 0], side, side, [0, 0]]);
};

const inputGradient = (dy: Tensor4D, kernel: Tensor, shape: number[], stride: number, padding: Padding) => {
  const [count = 0, height = 0, width = 0, channels = 0] = shape;
  const zeros = padding === "same" ? 0 : padding;
  const sizes = tf.tensor1d([count, height + 2 * zeros, width + 2 * zeros, channels], "int32");
  const inner = padding === "same" ? padding : 0;
  const dx = run("Conv2DBackpropInput", attributes(stride, inner), sizes, kernel, dy);
  return zeros === 0 ? dx : tf.slice(dx, [0, zeros, zeros, 0], [count, height, width, channels]);
};

const kernelGradient = (x: Tensor4D, dy: Tensor4D, shape: number[], stride: number, padding: Padding) =>
  run(
    "Conv2DBackpropFilter",
    attributes(stride, padding === "same" ? padding : 0),
    padded(x, padding),
    tf.tensor1d(shape, "int32"),
    dy,
  );

/**
 * Convolution, differentiable once.
 *
 * @param x [batch, height, width, channels], float32
 * @param kernel [height, width, channels, filters]
 */
export const convolution = (
  x: Tensor4D,
  kernel: Tensor4D,
  { stride = 1, padding = "same" }: ConvolutionOptions = {},
): Tensor4D => {
  const [height, width] = kernel.shape;
  if (height === 1 && width === 1 && (padding === "same" || padding === 0)) {
    if (stride === 1) return pointwise(x, kernel);
    if (x.shape[1] % stride === 0 && x.shape[2] % stride === 0) {
      return pointwise(subsample(x, stride), kernel);
    }
  }
  return withGradient([x, kernel], (save) => {
    save([x, kernel]);
    return {
      value: run("Conv2D", attributes(stride, padding), x, kernel),
      gradient: (dy, [x, kernel]) => [
        () => inputGradient(dy, kernel!, x!.shape, stride, padding),
        () => kernelGradient(x as Tensor4D, dy, kernel!.shape, stride, padding),
      ],
    };
  });
};

export interface AffineConvolutionOptions extends ConvolutionOptions {
  /** Added before the activation, shaped like the result. */
  readonly shortcut?: Tensor4D | undefined;
  /** max(·, 0) at the end. Default false. */
  readonly relu?: boolean;
}

/**
 * Convolution + bias + shortcut, then ReLU, for inference: in one operation where oneDNN computes. It has no gradient.
 *
 * @param x [batch, height, width, channels], float32
 * @param kernel [height, width, channels, filters]
 * @param bias [filters]
 */
export const affineConvolution = (
  x: Tensor4D,
  kernel: Tensor4D,
  bias: Tensor1D,
  { stride = 1, padding = "same", shortcut, relu = false }: AffineConvolutionOptions = {},
): Tensor4D => {
  const added = shortcut === undefined ? [bias] : [bias, shortcut];
  if (hasOneDnn()) {
    const fused = ["BiasAdd", ...(shortcut === undefined ? [] : ["Add"]), ...(relu ? ["Relu"] : [])];
    return run(
      "_MklNativeFusedConv2D",
      [
        ...attributes(stride, padding),
        ["num_args", "int", added.length],
        ["TArgs", "types", added.map(() => "float32" as const)],
        ["fused_ops", "strings", fused],
        oneDnnKernel,
      ],
      x,
      kernel,
      ...added,
    );
  }
  return tf.tidy(() => {
    const convolved: Tensor4D = run("Conv2D", attributes(stride, padding), x, kernel);
    const sum = added.reduce<Tensor4D>((y, term) => tf.add(y, term), convolved);
    return relu ? tf.relu(sum) : sum;
  });
};
