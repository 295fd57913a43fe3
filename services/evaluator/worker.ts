import { encodePredictions } from "@subtaxa/contracts";
import {
  type BatchProgress,
  classify,
  readCheckpoint,
  type RunDataInput,
  runDataLoader,
} from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";

export interface ClassifyInput extends RunDataInput {
  readonly part: "validation" | "test";
  readonly checkpointFile: string;
  /** Gets the `predictions` artifact. */
  readonly outputFile: string;
}

const loadData = runDataLoader();

const indexOfLargest = (values: Float32Array) =>
  values.reduce((best, value, i) => value > values[best]! ? i : best, 0);

const operations = {
  /** Writes the class probabilities of one part of the fold. */
  classify: async (input: ClassifyInput, context: WorkContext<BatchProgress>): Promise<void> => {
    const { spec, part, checkpointFile, outputFile } = input;
    const { inputs, classOf, split } = await loadData(input);
    const image = split[part];
    const checkpoint = readCheckpoint(checkpointFile, spec);
    const classes = spec.classes.length;
    const probability = classify({ checkpoint, inputs, indices: image }, context);
    const actual = Uint16Array.from(image, (index) => classOf[index]!);
    const predicted = Uint16Array.from(
      image,
      (_, n) => indexOfLargest(probability.subarray(n * classes, (n + 1) * classes)),
    );
    await Deno.writeFile(
      outputFile,
      encodePredictions({
        image,
        true: actual,
        predicted,
        probability,
        classes,
      }),
    );
  },
};

export type EvaluatorWork = typeof operations;
serveTensorWork(operations);
