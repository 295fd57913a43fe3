/** The contract as files for people and programs outside: generated, and compared with what is committed. */
import { join } from "node:path";
import { arrowLayout } from "./arrow.ts";
import { asyncApi } from "./asyncapi.ts";
import { clustererProse } from "./prose.ts";
import { jsonSchemas } from "./schemas.ts";

export { asyncApi };

/** The folder of the generated files, below the root. */
export const folder = join(import.meta.dirname!, "../../shared/contracts/generated");

/** Every generated file's text, by its path below the folder. */
export const generated = (): ReadonlyMap<string, string> => {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return new Map([
    ["CLUSTERER.md", clustererProse()],
    ["asyncapi.json", json(asyncApi())],
    ["arrow.json", json(arrowLayout())],
    ...Object.entries(jsonSchemas()).map(([path, schema]) => [path, json(schema)] as const),
  ]);
};
