import type { Backbone } from "@subtaxa/contracts";
import { expect } from "expect";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { newCheckpoint } from "../model.ts";
import { ModelError } from "../error.ts";
import layouts from "./layouts.fixture.json" with { type: "json" };
import { decodePretrained, encodePretrained, type Pretrained } from "./pretrained.ts";
import { readPretrained } from "./read.ts";
import { shapesOf } from "./shapes.ts";
import {
  failure,
  inFolder,
  type LegacyLayout,
  marks,
  type TypedShape,
  wordsOf,
  writeKerasLegacy,
  writeKerasModern,
  writeTfjs,
  writeTorch,
} from "./testing.ts";
import sample from "./tfjs.fixture.json" with { type: "json" };
import { readTfjs } from "./tfjs.ts";

// The layouts are those that the libraries write: scripts/fixtures/pretrained.py.

type TorchLayout = Readonly<Record<string, TypedShape>>;
const torch: Readonly<Record<string, TorchLayout>> = layouts.torch;
const keras = layouts.keras;
const backbones = ["resnet50", "efficientnet-b0"] as const;

const equals = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/**
 * Expects every tensor to be the one that `marks` marked with the name that `nameOf` gives; undefined: zeros, null: any.
 */
const expectMarks = (
  { parameters, statistics }: Pretrained,
  nameOf: (name: string) => string | undefined | null,
) => {
  for (const [name, { values }] of [...parameters, ...statistics]) {
    const theirs = nameOf(name);
    if (theirs === null) continue;
    const mark = theirs === undefined ? 0 : wordsOf(theirs)(0) / 2 ** 31;
    if (values[0] !== Math.fround(mark)) throw new Error(`'${name}' is not '${theirs}'`);
  }
};

Deno.test("the survey of a network finds the tensors that the network asks for", () => {
  for (const backbone of ["small", ...backbones] as Backbone[]) {
    const { parameters } = newCheckpoint({ backbone, imageSize: 32, classes: ["a", "b"], seed: 0, fold: 0 });
    const asked = [...parameters].filter(([name]) => !name.startsWith("embedding/"));
    expect([...shapesOf(backbone).parameters]).toEqual(asked.map(([name, { shape }]) => [name, shape]));
  }
});

for (const backbone of backbones) {
  Deno.test(`${backbone}: every tensor of a file of Keras lands under its name, whatever the format`, () =>
    inFolder(async (folder) => {
      const { legacy, modern } = keras[backbone];
      const isOld = (name: string) =>
        name.replace(/(dwconv\/)kernel$/, "$1depthwise_kernel").replace(/$/, ":0");
      const files: Record<string, (path: string) => Promise<void>> = {
        "keras2.h5": (path) => writeKerasLegacy(path, legacy, { fill: marks, rename: isOld }),
        "model.h5": (path) => writeKerasLegacy(path, legacy, { fill: marks, within: "model_weights" }),
        "nested.h5": (path) =>
          writeKerasLegacy(path, { base: Object.assign({}, ...Object.values(legacy)) }, { fill: marks }),
        "keras3.weights.h5": (path) => writeKerasModern(path, modern, legacy, { fill: marks }),
        "keras3.0.weights.h5": (path) =>
          writeKerasModern(path, modern, legacy, { fill: marks, named: false }),
        "nested.weights.h5": (path) =>
          writeKerasModern(
            path,
            Object.fromEntries(
              Object.entries(modern).map(([group, layer]) => [`layers/functional/${group}`, layer]),
            ),
            legacy,
            { fill: marks },
          ),
        "model.json": (path) => writeTfjs(path, layouts.tfjs[backbone], { fill: marks }),
      };
      for (const [name, write] of Object.entries(files)) {
        await write(join(folder, name));
        const pretrained = await readPretrained(join(folder, name), backbone);
        expectMarks(pretrained, (tensor) => tensor);
        expect(pretrained.convention).toBe("keras");
        expect(pretrained.preprocessing.channels).toBe(backbone === "resnet50" ? "bgr" : "rgb");
        await Deno.remove(join(folder, name));
      }
    }));
}

const torchParts: Readonly<Record<string, string>> = {
  ...{ kernel: "weight", gamma: "weight", beta: "bias", moving_mean: "running_mean" },
  moving_variance: "running_var",
};

Deno.test("PyTorch's names are found where their order in the network says", () =>
  inFolder(async (folder) => {
    // torchvision and timm list tensors in the order of the network, Keras too, but for the shortcuts of a ResNet.
    for (const name of ["torchvision/efficientnet-b0", "timm/efficientnet-b0"]) {
      const path = join(folder, "model.safetensors");
      await writeTorch(path, torch[name]!, marks);
      const pretrained = await readPretrained(path, "efficientnet-b0");
      const theirs = Object.keys(torch[name]!).filter((tensor) => !/num_batches|^classifier/.test(tensor));
      const layers = [...new Set([...pretrained.parameters.keys()].map((tensor) => tensor.split("/")[0]!))];
      const theirLayers = [...new Set(theirs.map((tensor) => tensor.slice(0, tensor.lastIndexOf("."))))];
      expect(layers.length).toBe(theirLayers.length);
      expectMarks(pretrained, (tensor) => {
        const [layer, part] = tensor.split("/") as [string, string];
        return `${theirLayers[layers.indexOf(layer)]}.${torchParts[part] ?? part}`;
      });
    }
  }));

Deno.test("a ResNet50 of PyTorch: the shortcut's projection, and zeros for the biases it does without", () =>
  inFolder(async (folder) => {
    const path = join(folder, "model.safetensors");
    await writeTorch(path, torch["timm/resnet50"]!, marks);
    const pretrained = await readPretrained(path, "resnet50");
    expectMarks(pretrained, (tensor) => {
      const [layer, part] = tensor.split("/") as [string, string];
      if (part === "bias") return undefined;
      const [, stage, block, number, kind] = /^conv(\d)_block(\d)_(\d)_(\w+)$/.exec(layer) ?? [];
      const theirs = stage === undefined
        ? layer.replace(/conv1_(conv|bn)/, "$11")
        : `layer${+stage - 1}.${+block! - 1}.` +
          (number === "0" ? `downsample.${kind === "conv" ? 0 : 1}` : `${kind}${number}`);
      return `${theirs}.${torchParts[part]}`;
    });
  }));

Deno.test("floats of other widths are read as float32", () =>
  inFolder(async (folder) => {
    const path = join(folder, "model.safetensors");
    for (const [type, tolerance] of [["F16", 1e-3], ["BF16", 1e-2], ["F64", 0]] as const) {
      await writeTorch(path, torch["timm/efficientnet-b0"]!, marks, type);
      const { parameters } = await readPretrained(path, "efficientnet-b0");
      const mark = wordsOf("conv_head.weight")(0) / 2 ** 31;
      const value = parameters.get("top_conv/kernel")!.values[0]!;
      expect(Math.abs(value - Math.fround(mark))).toBeLessThanOrEqual(tolerance * mark);
    }
  }));

Deno.test("the canonical form comes back as it was, and is the same for the same weights", () =>
  inFolder(async (folder) => {
    const path = join(folder, "model.safetensors");
    await writeTorch(path, torch["torchvision/efficientnet-b0"]!, marks);
    const pretrained = await readPretrained(path, "efficientnet-b0");
    const bytes = encodePretrained(pretrained);
    // Comparing bytes is much faster than comparing arrays of numbers.
    const same = (other: Pretrained) => equals(encodePretrained(other), bytes);
    const back = decodePretrained(bytes, "x");
    expect(same(back)).toBe(true);
    expect([back.backbone, back.convention, back.preprocessing]).toEqual([
      ...["efficientnet-b0", "torch"],
      pretrained.preprocessing,
    ]);
    expectMarks(back, (tensor) => tensor === "top_bn/moving_mean" ? "features.8.1.running_mean" : null);
    expect(same({ ...pretrained, parameters: new Map([...pretrained.parameters].reverse()) })).toBe(true);
    expect(same({ ...pretrained, convention: "keras" })).toBe(false);
    await Deno.writeFile(path, bytes);
    expect(same(await readPretrained(path, "efficientnet-b0"))).toBe(true);
    expect((await failure(readPretrained(path, "resnet50"))).message).toMatch(
      /of efficientnet-b0, not of resnet50/,
    );
    expect(() => decodePretrained(bytes.subarray(0, -4), "x")).toThrow(ModelError);
  }));

Deno.test("Keras' EfficientNet: what stands ahead of the first convolution becomes the preprocessing", () =>
  inFolder(async (folder) => {
    const { legacy } = keras["efficientnet-b0"];
    const path = join(folder, "model.h5");
    const scaleOf = async (layout: LegacyLayout, rename = (name: string) => name) => {
      await writeKerasLegacy(path, layout, { fill: marks, rename });
      return (await readPretrained(path, "efficientnet-b0")).preprocessing;
    };
    const published = await scaleOf(legacy);
    [0.229, 0.224, 0.225].forEach((deviation, c) => expect(published.scale[c]).toBeCloseTo(1 / deviation, 4));
    [0.485, 0.456, 0.406].forEach((mean, c) =>
      expect(published.offset[c]! / published.scale[c]!).toBeCloseTo(-mean, 5)
    );
    const { normalization, ...without } = legacy;
    expect((await scaleOf(without)).scale[0]).toBeCloseTo(1 / 0.229, 9);
    // Of the user's own: a variance that is one.
    const own = {
      ...without,
      normalization_3: { "normalization_3/mean": [3], "normalization_3/variance": [3] },
    };
    const { scale } = await scaleOf(own);
    expect(scale[0]).toBeCloseTo(1 / Math.sqrt(wordsOf("normalization_3/variance")(0) / 2 ** 31), 5);
    expect(Object.keys(normalization)).toContain("normalization/mean");
  }));

Deno.test("quantised weights of TensorFlow.js: as the library reads them", () =>
  inFolder(async (folder) => {
    const { weightsManifest, shards, expected } = sample;
    for (const [name, base64] of Object.entries(shards)) {
      await Deno.writeFile(join(folder, name), Uint8Array.fromBase64(base64));
    }
    const { tensors } = await readTfjs(JSON.stringify({ weightsManifest }), join(folder, "model.json"));
    const values: Readonly<Record<string, number[]>> = expected;
    expect(tensors.map(({ layer, part }) => `${layer}/${part}`)).toEqual(Object.keys(values));
    for (const { layer, part, shape, values: found } of tensors) {
      expect(shape).toEqual([3, 2]);
      values[`${layer}/${part}`]!.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 6));
    }
  }));
