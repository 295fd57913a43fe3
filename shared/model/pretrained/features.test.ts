import type { Backbone } from "@subtaxa/contracts";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import { join } from "node:path";
import { loadBackbone } from "../model.ts";
import { imageTensor } from "../run_data.ts";
import reference from "./features.fixture.json" with { type: "json" };
import layouts from "./layouts.fixture.json" with { type: "json" };
import { readPretrained } from "./read.ts";
import { formulaImages, wordsOf, writeKerasLegacy, writeTorch } from "./testing.ts";

// Files as the libraries write them, with weights by formula; the features that they compute: scripts/fixtures/pretrained.py.

const TOLERANCE = 1e-4;

const { torch, keras } = layouts;
const cases: readonly {
  readonly name: keyof typeof reference.features;
  readonly backbone: Backbone;
  readonly file: string;
  readonly write: (path: string) => Promise<void>;
  /** What timm puts beside its weights. */
  readonly architecture?: string;
}[] = [
  ...([
    "torchvision/resnet50",
    "torchvision/efficientnet-b0",
    "timm/resnet50",
    "timm/efficientnet-b0",
  ] as const).map((name) => ({
    name,
    backbone: name.endsWith("resnet50") ? "resnet50" as const : "efficientnet-b0" as const,
    file: "model.safetensors",
    write: (path: string) => writeTorch(path, torch[name]),
  })),
  {
    name: "timm/tf_efficientnet-b0",
    backbone: "efficientnet-b0",
    file: "model.safetensors",
    write: (path) => writeTorch(path, torch["timm/tf_efficientnet-b0"]),
    architecture: "tf_efficientnet_b0",
  },
  ...(["resnet50", "efficientnet-b0"] as const).map((backbone) => ({
    name: `keras/${backbone}` as const,
    backbone,
    file: "model.h5",
    write: (path: string) => writeKerasLegacy(path, keras[backbone].legacy),
  })),
];

for (const { name, backbone, file, write, architecture } of cases) {
  Deno.test(`${name}: features are the library's own`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = join(folder, file);
      await write(path);
      if (architecture) {
        const pretrained_cfg = {
          mean: [0.485, 0.456, 0.406],
          std: [0.229, 0.224, 0.225],
          input_size: [3, 224, 224],
        };
        await Deno.writeTextFile(
          join(folder, "config.json"),
          JSON.stringify({ architecture, pretrained_cfg }),
        );
      }
      const pretrained = await readPretrained(path, backbone);
      const network = loadBackbone(pretrained);
      const features = tf.tidy(() =>
        network.pooled(imageTensor(formulaImages(2, 64), [0, 1], pretrained.preprocessing)).dataSync<
          "float32"
        >()
      );
      network.dispose();

      const { norm, projection, first } = reference.features[name];
      const word = wordsOf("projection");
      const sum = (value: (feature: number, i: number) => number) =>
        features.reduce((total, feature, i) => total + value(feature, i), 0);
      const close = (actual: number, expected: number) =>
        expect(Math.abs(actual - expected) / norm).toBeLessThan(TOLERANCE);
      close(Math.sqrt(sum((feature) => feature ** 2)), norm);
      close(sum((feature, i) => feature * (word(i) / 2 ** 31 - 1)), projection);
      first.forEach((expected, i) => close(features[i]!, expected));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
