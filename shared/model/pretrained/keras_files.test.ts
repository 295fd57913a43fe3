import { expect } from "expect";
import { readKerasH5 } from "./keras_h5.ts";
import expected from "./testdata/tiny.fixture.json" with { type: "json" };

// Files of a tiny network that Keras wrote through h5py: scripts/fixtures/keras_files.py.

/** What a layer's variables are called, in the order of their numbers in `.weights.h5`. */
const partsOf = (layer: string) =>
  Object.keys(expected.variables).map((name) => name.split("/")).filter(([of]) => of === layer).map((
    [, part],
  ) => part!);

for (const file of ["tiny.h5", "tiny.weights.h5"]) {
  Deno.test(`${file}, as Keras writes it: every variable with its layer, shape and values`, async () => {
    const path = new URL(`./testdata/${file}`, import.meta.url).pathname;
    const tensors = await readKerasH5(path, "small");
    const found = Object.fromEntries(tensors.map(({ layer, part, shape, values }) => {
      const name = typeof part === "number" ? partsOf(layer)[part] : part;
      return [`${layer}/${name}`, { shape, values: Array.from(values) }];
    }));
    expect(Object.keys(found).sort()).toEqual(Object.keys(expected.variables).sort());
    for (const [name, { shape, values }] of Object.entries(expected.variables)) {
      expect(found[name]).toEqual({ shape, values: values.map(Math.fround) });
    }
  });
}
