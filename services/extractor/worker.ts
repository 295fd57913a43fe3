import {
  concatenateFeatures,
  concatenateViews,
  decodeFeatures,
  decodeViews,
  type Division,
  encodeFeatures,
  encodeImages,
  featuresOf,
  type Range,
  requireImages,
  viewChunks,
  type ViewFeatures,
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
  ModelError,
  type Pretrained,
  readCheckpoint,
  readPretrainedOf,
  type RunDataInput,
  runDataLoader,
  viewFeatures,
} from "@subtaxa/model";
import { readOnce, serveTensorWork, type WorkContext, writeChunks } from "@subtaxa/tensorflow";

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
  /** Gets the `views` artifact, or with one view the `features` artifact. */
  readonly outputFile: string;
}

export interface ConcatenateInput extends RunDataInput {
  /** Tables, in the order of their rows. */
  readonly files: readonly string[];
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
const networkOf = ({ spec, fold, checkpointFile, pretrainedFile }: EmbedInput, data: Fold) =>
  network(checkpointFile ?? JSON.stringify([spec, fold, pretrainedFile]), () => {
    const checkpoint = checkpointFile === null
      ? firstCheckpoint(spec, fold, pretrainedFile, data)
      : readCheckpoint(checkpointFile, spec);
    return { checkpoint, model: loadModel(checkpoint) };
  });

const writeViews = (path: string, features: ViewFeatures) => writeChunks(path, viewChunks(features));

const readFeatures = async (file: string) => decodeFeatures(await Deno.readFile(file));

const readViews = function* (files: readonly string[]): Generator<ViewFeatures> {
  for (const file of files) yield decodeViews(readOnce(file));
};

/** A backbone's weights that give no number for some image must not stand for it. */
const requireFinite = (values: Float32Array | Float16Array, pretrainedFile: string): void => {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) throw ModelError.notFinite(pretrainedFile);
  }
};

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
    const { checkpoint, model } = networkOf(input, data);
    const { inputs, sizes } = data;
    const values = embed({ checkpoint, model, inputs, sizes, indices: image }, context);
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
    const { views } = spec;
    const dimension = featuresOf[spec.backbone];
    const work = { pretrained, backbone, images: inputs, indices: image };
    if (views === 1) {
      const values = backboneFeatures(work, context);
      requireFinite(values, pretrainedFile);
      await Deno.writeFile(outputFile, encodeFeatures({ image, values, dimension }));
    } else {
      const values = viewFeatures(work, views, context);
      requireFinite(values, pretrainedFile);
      await writeViews(outputFile, { image, values, views, dimension });
    }
  },

  /** Writes several tables of embeddings, together of all training images of the classes, as one. */
  concatenate: async (input: ConcatenateInput & Pick<ClassesInput, "classes">): Promise<void> => {
    const { files, outputFile } = input;
    const all = concatenateFeatures(await Promise.all(files.map(readFeatures)));
    requireImages("features", all, imagesOf(input, await fold(input)));
    await Deno.writeFile(outputFile, encodeFeatures(all));
  },

  /** Writes several tables of what the backbone makes of the dataset's images as one. */
  concatenateBackbone: async (input: ConcatenateInput): Promise<void> => {
    const { spec: { views }, files, outputFile } = input;
    const images = Uint32Array.from((await fold(input)).classOf, (_, index) => index);
    if (views === 1) {
      const all = concatenateFeatures(await Promise.all(files.map(readFeatures)));
      requireImages("features", all, images);
      return await Deno.writeFile(outputFile, encodeFeatures(all));
    }
    const all = concatenateViews(readViews(files), images.length);
    requireImages("views", all, images);
    await writeViews(outputFile, all);
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
