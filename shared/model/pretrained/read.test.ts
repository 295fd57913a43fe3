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

const inFolder = async (use: (folder: string) => Promise<void>) => {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const failure = async (reading: Promise<unknown>): Promise<ModelError> => {
  const error = await reading.then(() => undefined, (cause) => cause);
  expect(error).toBeInstanceOf(ModelError);
  return error;
};

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
        "keras3.weights.h5": (path) => writeKerasModern(path, modern, legacy, { fill: marks }),
        "keras3.0.weights.h5": (path) =>
          writeKerasModern(path, modern, legacy, { fill: marks, named: false }),
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

Deno.test("a wrong file is a typed error that names the file, the layer, what was expected and what was found", async (t) => {
  const timm = torch["timm/efficientnet-b0"]!;
  const { legacy, modern } = keras["efficientnet-b0"];
  const { block7a_project_conv, ...lacking } = legacy as LegacyLayout;
  const deeper = { block8a_expand_conv: { "block8a_expand_conv/kernel": [1, 1, 320, 1920] } };
  const tiny = new TextEncoder();
  const write: Record<string, [
    file: string,
    make: (path: string) => Promise<void>,
    tag: string,
    message: RegExp,
    layer?: string,
  ]> = {
    "a tensor is missing": [
      "m.h5",
      (path) => writeKerasLegacy(path, lacking, { fill: marks }),
      "Mismatch",
      /layer 'block7a_project_conv' should have its kernel in a tensor 'block7a_project_conv\/kernel'/,
      "block7a_project_conv",
    ],
    "a tensor too many": [
      "m.h5",
      (path) => writeKerasLegacy(path, { ...legacy, ...deeper } as LegacyLayout, { fill: marks }),
      "Mismatch",
      /'block8a_expand_conv\/kernel' of shape \[1,1,320,1920\] belongs to no layer/,
      "block8a_expand_conv",
    ],
    "another shape": [
      "m.safetensors",
      (path) => writeTorch(path, { ...timm, "conv_head.weight": ["F32", 1280, 320, 3, 3] }, marks),
      "Mismatch",
      /layer 'top_conv' should have a kernel of shape \[1280,320,1,1\], 'conv_head.weight' is of shape \[1280,320,3,3\]/,
      "top_conv",
    ],
    "another network's": [
      "m.safetensors",
      (path) => writeTorch(path, { "conv1.weight": ["F32", 64, 3, 7, 7] }, marks),
      "Mismatch",
      /layer 'stem_conv'.*and \d+ more tensors are missing/,
      "stem_conv",
    ],
    "a layer twice": [
      "m.weights.h5",
      (path) =>
        writeKerasModern(
          path,
          {
            ...modern,
            "layers/model/layers/conv2d/vars": { name: "stem_conv", variables: [["float32", 3, 3, 3, 32]] },
          },
          legacy as LegacyLayout,
          { fill: marks },
        ),
      "Mismatch",
      /the layer 'stem_conv' twice/,
      "stem_conv",
    ],
    "a graph model": [
      "model.json",
      (path) =>
        writeTfjs(path, { "model/stem_conv/Conv2D_weights": ["float32", 2] }, { format: "graph-model" }),
      "Mismatch",
      /graph model, in which batch normalisation has been folded/,
    ],
    "a shard is missing": [
      "model.json",
      async (path) => {
        await writeTfjs(path, { "a/kernel": ["float32", 2] });
        await Deno.remove(join(path, "../group1-shard2of2.bin"));
      },
      "Unreadable",
      /group1-shard2of2\.bin, which .*model\.json names, can't be read/,
    ],
    "a shard is too short": [
      "model.json",
      async (path) => {
        await writeTfjs(path, { "a/kernel": ["float32", 2] });
        await Deno.writeFile(join(path, "../group1-shard2of2.bin"), new Uint8Array());
      },
      "Malformed",
      /tensor 'a\/kernel' ends at byte 8/,
    ],
    "a shard outside of the folder": [
      "model.json",
      (path) =>
        Deno.writeTextFile(
          path,
          JSON.stringify({ weightsManifest: [{ paths: ["../../etc/passwd"], weights: [] }] }),
        ),
      "Malformed",
      /lies outside its folder/,
    ],
    "HDF5 of something else": [
      "m.h5",
      (path) => writeKerasLegacy(path, {}, { within: "other" }),
      "Malformed",
      /is HDF5, but not of Keras/,
    ],
    "truncated HDF5": [
      "m.h5",
      async (path) => {
        await writeKerasLegacy(path, legacy as LegacyLayout, { fill: marks });
        await Deno.truncate(path, 5_000_000);
      },
      "Malformed",
      /m\.h5 can't be read as HDF5/,
    ],
    "a pickle": [
      "m.pth",
      (path) => Deno.writeFile(path, Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0)),
      "Unreadable",
      /is a zip archive or a pickle/,
    ],
    "something else": [
      "m.txt",
      (path) => Deno.writeFile(path, tiny.encode("weights")),
      "Unreadable",
      /unknown kind/,
    ],
    "nothing": ["m.h5", () => Promise.resolve(), "Unreadable", /can't be read/],
  };
  expect(Object.keys(block7a_project_conv!)).toHaveLength(1);
  for (const [name, [file, make, tag, message, layer]] of Object.entries(write)) {
    await t.step(name, () =>
      inFolder(async (folder) => {
        await make(join(folder, file));
        const error = await failure(readPretrained(join(folder, file), "efficientnet-b0"));
        expect(error.reason).toMatchObject({ _tag: tag, ...(layer ? { layer } : {}) });
        expect(error.message).toMatch(message);
        expect(error.message).toContain(folder);
      }));
  }
});
