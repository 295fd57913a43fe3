import { Backbone } from "@subtaxa/contracts";
import { z } from "zod";
import { ModelError } from "../error.ts";
import { Convention } from "../layers.ts";
import { Preprocessing } from "../preprocessing.ts";
import { readSafetensors, type Weights, writeSafetensors } from "../safetensors.ts";
import { shapesOf } from "./shapes.ts";

/** Weights of a network up to its pooled features, in Subtaxa's names and shapes whatever file they came from. */
export interface Pretrained {
  readonly backbone: Backbone;
  readonly convention: Convention;
  /** What the weights were trained with. */
  readonly preprocessing: Preprocessing;
  readonly parameters: ReadonlyMap<string, Weights<Float32Array>>;
  /** `<layer>/moving_mean` and `<layer>/moving_variance`. */
  readonly statistics: ReadonlyMap<string, Weights<Float32Array>>;
}

const VERSION = 1;
const METADATA_KEY = "subtaxa.pretrained";

const Description = z.object({
  v: z.literal(VERSION),
  backbone: Backbone,
  convention: Convention,
  preprocessing: Preprocessing,
});

const kinds = { parameters: "model/", statistics: "statistics/" } as const;

/** Safetensors bytes; the same weights always give the same. */
export const encodePretrained = (pretrained: Pretrained): Uint8Array<ArrayBuffer> => {
  const { backbone, convention, preprocessing: { channels, scale, offset } } = pretrained;
  const shapes = shapesOf(backbone);
  const tensors = new Map(
    (["parameters", "statistics"] as const).flatMap((kind) =>
      [...shapes[kind].keys()].map((name) => {
        const weights = pretrained[kind].get(name);
        if (!weights) throw new Error(`the pretrained ${backbone} lacks '${name}'`);
        return [kinds[kind] + name, weights] as const;
      })
    ),
  );
  const description = { v: VERSION, backbone, convention, preprocessing: { channels, scale, offset } };
  return writeSafetensors({ tensors, metadata: { [METADATA_KEY]: JSON.stringify(description) } });
};

/** Whether a safetensors file with these metadata was written by `encodePretrained`. */
export const isPretrained = (metadata: Readonly<Record<string, string>>): boolean => METADATA_KEY in metadata;

/** Throws `ModelError/Malformed` for bytes that `encodePretrained` did not write. `file` is named in the message. */
export const decodePretrained = (bytes: Uint8Array, file: string): Pretrained => {
  const malformed = (detail: string) =>
    new ModelError({
      reason: { _tag: "Malformed", file },
      message: `${file} does not hold pretrained weights of Subtaxa: ${detail}`,
    });
  const { tensors, metadata } = readSafetensors(bytes, file);
  const parsed = z.string().transform((text, context) => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "no JSON" });
    }
  }).pipe(Description).safeParse(metadata[METADATA_KEY]);
  if (!parsed.success) throw malformed(`its metadata are wrong: ${z.prettifyError(parsed.error)}`);
  const { v: _, ...description } = parsed.data;
  const shapes = shapesOf(description.backbone);
  const part = (kind: keyof typeof kinds) =>
    new Map([...shapes[kind]].map(([name, shape]) => {
      const { values, shape: actual } = tensors.get(kinds[kind] + name) ?? {};
      if (!(values instanceof Float32Array) || actual?.join() !== shape.join()) {
        throw malformed(
          `'${name}' should be of shape [${shape}], it is ${actual ? `[${actual}]` : "missing"}`,
        );
      }
      return [name, { shape, values }] as const;
    }));
  return { ...description, parameters: part("parameters"), statistics: part("statistics") };
};
