import { encodeFeatures, encodeImages } from "@subtaxa/contracts";
import {
  backboneFeatures,
  type BatchProgress,
  embed,
  firstCheckpoint,
  isFeatures,
  readCheckpoint,
  readPretrainedOf,
  type RunDataInput,
  runDataLoader,
} from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";

export interface EmbedInput extends RunDataInput {
  /** Null before the first epoch: the network as it starts. */
  readonly checkpointFile: string | null;
  readonly pretrainedFile: string | null;
  /** Names of the classes whose training images are wanted. */
  readonly classes: readonly string[];
  /** Gets the `features` artifact. */
  readonly outputFile: string;
  /** Gets the `images` artifact. */
  readonly imagesFile: string;
}

export interface BackboneInput extends RunDataInput {
  readonly pretrainedFile: string;
  /** Gets the `features` artifact. */
  readonly outputFile: string;
}

const loadData = runDataLoader();

const operations = {
  /** Writes the fold's training images, and embeddings, not augmented, of those of some classes; no class, an empty table. */
  embed: async (input: EmbedInput, context: WorkContext<BatchProgress>): Promise<void> => {
    const { spec, fold, checkpointFile, pretrainedFile, classes, outputFile, imagesFile } = input;
    const { inputs, classOf, split } = await loadData(input);
    const checkpoint = checkpointFile === null
      ? firstCheckpoint(spec, fold, pretrainedFile)
      : readCheckpoint(checkpointFile, spec);
    const trained = { image: split.train, class: Uint16Array.from(split.train, (index) => classOf[index]!) };
    await Deno.writeFile(imagesFile, encodeImages(trained));
    const wanted = new Set(classes.map((name) => spec.classes.indexOf(name)));
    const image = split.train.filter((index) => wanted.has(classOf[index]!));
    const values = embed({ checkpoint, inputs, indices: image }, context);
    await Deno.writeFile(outputFile, encodeFeatures({ image, values, dimension: checkpoint.head.width }));
  },

  /** Writes what the pretrained backbone makes of every image of the dataset. */
  backbone: async (input: BackboneInput, context: WorkContext<BatchProgress>): Promise<void> => {
    const { spec, pretrainedFile, outputFile } = input;
    const { inputs } = await loadData(input);
    if (isFeatures(inputs)) throw new Error("the backbone takes images, not features");
    const values = backboneFeatures(readPretrainedOf(spec, pretrainedFile), inputs, context);
    const image = Uint32Array.from({ length: inputs.count }, (_, i) => i);
    await Deno.writeFile(
      outputFile,
      encodeFeatures({ image, values, dimension: values.length / inputs.count }),
    );
  },
};

export type ExtractorWork = typeof operations;
serveTensorWork(operations);
