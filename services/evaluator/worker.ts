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

const indexOfLargest = (values: Float64Array) =>
  values.reduce((best, value, i) => value > values[best]! ? i : best, 0);

const operations = {
  /**
   * Writes the class probabilities of one part of the fold; returns the mean cross-entropy over the original classes,
   * −log of the true class's probability.
   */
  classify: async (input: ClassifyInput, context: WorkContext<BatchProgress>): Promise<{ loss: number }> => {
    const { spec, part, checkpointFile, outputFile } = input;
    const { images, classOf, split } = await loadData(input);
    const image = split[part];
    const checkpoint = readCheckpoint(checkpointFile, spec);
    const classes = spec.classes.length;
    const logProbability = classify({ checkpoint, images, indices: image }, context);
    const actual = Uint16Array.from(image, (index) => classOf[index]!);
    const predicted = Uint16Array.from(
      image,
      (_, n) => indexOfLargest(logProbability.subarray(n * classes, (n + 1) * classes)),
    );
    const loss = actual.reduce((sum, c, n) => sum - logProbability[n * classes + c]!, 0) / image.length;
    await Deno.writeFile(
      outputFile,
      encodePredictions({
        image,
        true: actual,
        predicted,
        probability: Float32Array.from(logProbability, Math.exp),
        classes,
      }),
    );
    return { loss };
  },
};

export type EvaluatorWork = typeof operations;
serveTensorWork(operations);
