import { encodeFeatures } from "@subtaxa/contracts";
import { type BatchProgress, embed, readCheckpoint, type RunDataInput, runDataLoader } from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";

export interface EmbedInput extends RunDataInput {
  readonly checkpointFile: string;
  /** Names of the classes whose training images are wanted. */
  readonly classes: readonly string[];
  /** Gets the `features` artifact. */
  readonly outputFile: string;
}

const loadData = runDataLoader();

const operations = {
  /** Writes the embeddings of the fold's training images of some classes, not augmented; no class, an empty table. */
  embed: async (input: EmbedInput, context: WorkContext<BatchProgress>): Promise<void> => {
    const { spec, checkpointFile, classes, outputFile } = input;
    const { images, classOf, split } = await loadData(input);
    const checkpoint = readCheckpoint(checkpointFile, spec);
    const wanted = new Set(classes.map((name) => spec.classes.indexOf(name)));
    const image = split.train.filter((index) => wanted.has(classOf[index]!));
    const values = embed({ checkpoint, images, indices: image }, context);
    await Deno.writeFile(outputFile, encodeFeatures({ image, values, dimension: checkpoint.head.width }));
  },
};

export type ExtractorWork = typeof operations;
serveTensorWork(operations);
