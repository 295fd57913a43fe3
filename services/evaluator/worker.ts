import {
  concatenatePredictions,
  decodePredictions,
  type Division,
  encodePredictions,
  type Range,
  requireImages,
} from "@subtaxa/contracts";
import {
  type BatchProgress,
  type Checkpoint,
  classify,
  inferenceBatch,
  keepLatest,
  loadModel,
  type Model,
  readCheckpoint,
  type RunDataInput,
  runDataLoader,
} from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";

export interface PartInput extends RunDataInput {
  readonly part: "validation" | "test";
}

export interface ClassifyInput extends PartInput {
  readonly checkpointFile: string;
  /** Which of the part's images, by their place among them. */
  readonly range: Range;
  /** Gets the `predictions` artifact. */
  readonly outputFile: string;
}

export interface ConcatenateInput extends PartInput {
  /** Tables, in the order of their rows. */
  readonly files: readonly string[];
  readonly outputFile: string;
}

const { fold, load } = runDataLoader();
const network = keepLatest<{ readonly checkpoint: Checkpoint; readonly model: Model }>(({ model }) =>
  model.dispose()
);

const indexOfLargest = (values: Float32Array) =>
  values.reduce((best, value, i) => value > values[best]! ? i : best, 0);

const operations = {
  /** How much there is to classify. */
  measure: async (input: PartInput): Promise<Pick<Division, "images" | "batch">> => ({
    images: (await fold(input)).split[input.part].length,
    batch: inferenceBatch(input.frozenFile === null ? input.spec.imageSize : null),
  }),

  /** Writes the class probabilities of a range of one part of the fold. */
  classify: async (input: ClassifyInput, context: WorkContext<BatchProgress>): Promise<void> => {
    const { spec, part, checkpointFile, range: { from, to }, outputFile } = input;
    const { inputs, sizes, classOf, split } = await load(input);
    const image = split[part].slice(from, to);
    const { checkpoint, model } = network(checkpointFile, () => {
      const checkpoint = readCheckpoint(checkpointFile, spec);
      return { checkpoint, model: loadModel(checkpoint) };
    });
    const classes = spec.classes.length;
    const probability = classify({ checkpoint, model, inputs, sizes, indices: image }, context);
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

  /** Writes several tables of predictions, together of the whole part, as one. */
  concatenate: async (input: ConcatenateInput): Promise<void> => {
    const { part, files, outputFile } = input;
    const parts = await Promise.all(files.map(async (file) => decodePredictions(await Deno.readFile(file))));
    const all = concatenatePredictions(parts);
    requireImages("predictions", all, (await fold(input)).split[part]);
    await Deno.writeFile(outputFile, encodePredictions(all));
  },
};

export type EvaluatorWork = typeof operations;
serveTensorWork(operations);
