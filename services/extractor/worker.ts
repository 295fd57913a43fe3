import {
  concatenateFeatures,
  decodeFeatures,
  type Division,
  encodeFeatures,
  encodeImages,
  type Range,
} from "@subtaxa/contracts";
import {
  backboneFeatures,
  type BatchProgress,
  type Checkpoint,
  embed,
  firstCheckpoint,
  type Fold,
  inferenceBatch,
  isFeatures,
  keepLatest,
  loadBackbone,
  type LoadedBackbone,
  loadModel,
  type Model,
  type Pretrained,
  readCheckpoint,
  readPretrainedOf,
  type RunDataInput,
  runDataLoader,
} from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";

export interface ClassesInput extends RunDataInput {
  /** Names of the classes whose training images are wanted. */
  readonly classes: readonly string[];
}

export interface EmbedInput extends ClassesInput {
  /** Null before the first epoch: the network as it starts. */
  readonly checkpointFile: string | null;
  readonly pretrainedFile: string | null;
  /** Which of those images, by their place among them. */
  readonly range: Range;
  /** Gets the `features` artifact. */
  readonly outputFile: string;
}

export interface BackboneInput extends RunDataInput {
  readonly pretrainedFile: string;
  readonly range: Range;
  /** Gets the `features` artifact. */
  readonly outputFile: string;
}

type Measure = Pick<Division, "images" | "batch">;

const { fold, load } = runDataLoader();
const network = keepLatest<{ readonly checkpoint: Checkpoint; readonly model: Model }>(({ model }) =>
  model.dispose()
);
const pretrainedNetwork = keepLatest<{ readonly pretrained: Pretrained; readonly backbone: LoadedBackbone }>(
  ({ backbone }) => backbone.dispose(),
);

/** The training images of the classes, in the manifest's order. */
const imagesOf = ({ spec, classes }: ClassesInput, { split, classOf }: Fold): Uint32Array => {
  const wanted = new Set(classes.map((name) => spec.classes.indexOf(name)));
  return split.train.filter((index) => wanted.has(classOf[index]!));
};

/** The network of a run in memory; files are named by their content. */
const networkOf = ({ spec, fold, checkpointFile, pretrainedFile }: EmbedInput) =>
  network(checkpointFile ?? JSON.stringify([spec, fold, pretrainedFile]), () => {
    const checkpoint = checkpointFile === null
      ? firstCheckpoint(spec, fold, pretrainedFile)
      : readCheckpoint(checkpointFile, spec);
    return { checkpoint, model: loadModel(checkpoint) };
  });

const operations = {
  /** How much there is to embed. */
  measureClasses: async (input: ClassesInput): Promise<Measure> => ({
    images: imagesOf(input, await fold(input)).length,
    batch: inferenceBatch(input.frozenFile === null ? input.spec.imageSize : null),
  }),

  /** How much there is for a backbone. */
  measureAll: async (input: RunDataInput): Promise<Measure> => ({
    images: (await fold(input)).classOf.length,
    batch: inferenceBatch(input.spec.imageSize),
  }),

  /** Writes embeddings, not augmented, of a range of the training images of some classes; no class, an empty table. */
  embed: async (input: EmbedInput, context: WorkContext<BatchProgress>): Promise<void> => {
    const { range: { from, to }, outputFile } = input;
    const data = await load(input);
    const image = imagesOf(input, data).slice(from, to);
    const { checkpoint, model } = networkOf(input);
    const values = embed({ checkpoint, model, inputs: data.inputs, indices: image }, context);
    await Deno.writeFile(outputFile, encodeFeatures({ image, values, dimension: checkpoint.head.width }));
  },

  /** Writes what the pretrained backbone makes of a range of the dataset's images. */
  backbone: async (input: BackboneInput, context: WorkContext<BatchProgress>): Promise<void> => {
    const { spec, pretrainedFile, range: { from, to }, outputFile } = input;
    const { inputs } = await load(input);
    if (isFeatures(inputs)) throw new Error("the backbone takes images, not features");
    const { pretrained, backbone } = pretrainedNetwork(`${spec.backbone}/${pretrainedFile}`, () => {
      const pretrained = readPretrainedOf(spec, pretrainedFile);
      return { pretrained, backbone: loadBackbone(pretrained) };
    });
    const image = Uint32Array.from({ length: to - from }, (_, i) => from + i);
    const values = backboneFeatures(pretrained, inputs, context, { indices: image, backbone });
    await Deno.writeFile(
      outputFile,
      encodeFeatures({ image, values, dimension: values.length / (to - from) }),
    );
  },

  /** Writes several tables of features as one. */
  concatenate: async (
    { files, outputFile }: { readonly files: readonly string[]; readonly outputFile: string },
  ): Promise<void> => {
    const parts = await Promise.all(files.map(async (file) => decodeFeatures(await Deno.readFile(file))));
    await Deno.writeFile(outputFile, encodeFeatures(concatenateFeatures(parts)));
  },

  /** Writes the fold's training images (`images` artifact). */
  listImages: async (input: RunDataInput & { readonly outputFile: string }): Promise<void> => {
    const { split: { train }, classOf } = await fold(input);
    const trained = { image: train, class: Uint16Array.from(train, (index) => classOf[index]!) };
    await Deno.writeFile(input.outputFile, encodeImages(trained));
  },
};

export type ExtractorWork = typeof operations;
serveTensorWork(operations);
