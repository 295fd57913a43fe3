import { expect } from "expect";
import { join } from "node:path";
import layouts from "./layouts.fixture.json" with { type: "json" };
import { readPretrained } from "./read.ts";
import {
  failure,
  inFolder,
  type LegacyLayout,
  marks,
  type TypedShape,
  writeKerasLegacy,
  writeKerasModern,
  writeTfjs,
  writeTorch,
} from "./testing.ts";

const timm: Readonly<Record<string, TypedShape>> = layouts.torch["timm/efficientnet-b0"];
const { legacy, modern } = layouts.keras["efficientnet-b0"];

Deno.test("a wrong file is a typed error that names the file, the layer, what was expected and what was found", async (t) => {
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
    "a shard that leads out of the folder": [
      "model.json",
      async (path) => {
        await writeTfjs(path, { "a/kernel": ["float32", 2] });
        const shard = join(path, "../group1-shard2of2.bin");
        await Deno.remove(shard);
        await Deno.symlink(import.meta.filename!, shard);
      },
      "Malformed",
      /'group1-shard2of2\.bin' lies outside its folder/,
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
