import { expect } from "expect";
import fc from "fast-check";
import { ModelError } from "./error.ts";
import { readSafetensors, type Weights, writeSafetensors } from "./safetensors.ts";

const file = (header: unknown, data = new Uint8Array()) => {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
};

Deno.test("tensors and metadata come back as they were", () => {
  const weights = fc.oneof(
    fc.float32Array({ maxLength: 12 }),
    fc.int32Array({ maxLength: 12 }),
  ).map((values): Weights => ({ shape: [1, values.length], values }));
  fc.assert(fc.property(
    fc.dictionary(fc.string({ minLength: 1 }).filter((name) => !name.startsWith("__")), weights),
    fc.string(),
    (entries, note) => {
      const tensors = new Map(Object.entries(entries));
      const bytes = writeSafetensors({ tensors, metadata: { note } });
      const back = readSafetensors(bytes, "x");
      expect(new Map([...back.tensors].sort())).toEqual(new Map([...tensors].sort()));
      expect(back.metadata).toEqual({ note });
    },
  ));
});

Deno.test("the layout is the published one, byte by byte", () => {
  const data = new Uint8Array([0, 0, 128, 63, 0, 0, 0, 192, 7, 0, 0, 0]);
  const bytes = file(
    `{"b":{"dtype":"I32","shape":[1],"data_offsets":[8,12]},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}   `,
    data,
  );
  const { tensors, metadata } = readSafetensors(bytes, "x");
  expect(tensors.get("a")).toEqual({ shape: [2, 1], values: Float32Array.of(1, -2) });
  expect(tensors.get("b")).toEqual({ shape: [1], values: Int32Array.of(7) });
  expect(metadata).toEqual({});
});

Deno.test("floats of other widths become float32; what is skipped may be of any type", () => {
  const data = new Uint8Array([
    0x00,
    0x3c,
    0x80,
    0xbf,
    ...new Uint8Array(new Float64Array([2.5]).buffer),
    1,
    2,
  ]);
  const bytes = file({
    half: { dtype: "F16", shape: [1], data_offsets: [0, 2] },
    brain: { dtype: "BF16", shape: [1], data_offsets: [2, 4] },
    double: { dtype: "F64", shape: [], data_offsets: [4, 12] },
    counter: { dtype: "U16", shape: [], data_offsets: [12, 14] },
  }, data);
  const { tensors } = readSafetensors(bytes, "x", (name) => name === "counter");
  expect(Object.fromEntries(tensors)).toEqual({
    half: { shape: [1], values: Float32Array.of(1) },
    brain: { shape: [1], values: Float32Array.of(-1) },
    double: { shape: [], values: Float32Array.of(2.5) },
  });
});

Deno.test("a malformed file is a typed error that names file and culprit", async (t) => {
  const tensor = (entry: object) => ({ w: { dtype: "F32", shape: [1], data_offsets: [0, 4], ...entry } });
  const four = new Uint8Array(4);
  const cases: [string, Uint8Array, RegExp][] = [
    ["too short", new Uint8Array(3), /3 bytes/],
    ["header longer than the file", file(tensor({}), four).subarray(0, 20), /header claims/],
    ["absurd header length", new Uint8Array(16).fill(255), /header claims/],
    ["no JSON", file("{nonsense"), /no JSON/],
    ["header of another kind", file({ w: 1 }), /header is wrong/],
    ["unsupported type", file(tensor({ dtype: "F8_E4M3" }), four), /'w' is of type F8_E4M3/],
    ["shape and bytes differ", file(tensor({ shape: [2] }), four), /'w' of shape \[2\]/],
    ["beyond the end", file(tensor({ shape: [2], data_offsets: [0, 8] }), four), /'w'/],
    ["hole", file(tensor({ data_offsets: [4, 8] }), new Uint8Array(8)), /'w'/],
    ["bytes left over", file(tensor({}), new Uint8Array(5)), /1 bytes belong to no tensor/],
  ];
  for (const [name, bytes, message] of cases) {
    await t.step(name, () => {
      const read = () => readSafetensors(bytes, "run.safetensors");
      expect(read).toThrow(ModelError);
      expect(read).toThrow(message);
      expect(read).toThrow(/run\.safetensors/);
    });
  }
});
