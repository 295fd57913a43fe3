import { expect } from "expect";
import { dirname, join, resolve } from "node:path";
import { importsOf, longModules, violationsIn } from "./architecture.ts";

const root = resolve(import.meta.dirname!, "..");

Deno.test("the project keeps the rules of its architecture", async () => {
  const imports = await importsOf(root);
  // The graph is really the project's.
  expect(imports.length).toBeGreaterThan(100);
  expect(imports).toContainEqual({
    from: "shared/bus/connection.ts",
    specifier: "@subtaxa/contracts",
    to: "shared/contracts/mod.ts",
  });
  expect(await violationsIn(root)).toEqual([]);
  for (const long of longModules(root, 500)) console.warn(`warning: ${long}; is it still one idea?`);
});

/** A project in which everything is allowed, and what shall be added to it. */
const plant = async (files: Record<string, string>): Promise<string[]> => {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "subtaxa-planted-" }));
  const member = (name: string, face: string) =>
    JSON.stringify({ name: `@subtaxa/${name}`, version: "0.1.0", exports: `./${face}` });
  const all = {
    "deno.json": JSON.stringify({ workspace: ["./services/*", "./shared/*"], imports: {} }),
    "services/one/deno.json": member("one", "main.ts"),
    "services/one/main.ts": `import "@subtaxa/bus"; import "./handlers.ts";`,
    "services/one/handlers.ts": "export {};",
    "services/two/deno.json": member("two", "main.ts"),
    "services/two/main.ts": "export {};",
    "shared/bus/deno.json": JSON.stringify({
      name: "@subtaxa/bus",
      version: "0.1.0",
      exports: { ".": "./mod.ts", "./testing": "./testing.ts" },
    }),
    "shared/bus/mod.ts": `import "./inner/deep.ts"; export type { A } from "./types.ts";`,
    "shared/bus/types.ts": "export type A = 1;",
    "shared/bus/testing.ts": `import "./types.ts";`,
    "shared/bus/inner/mod.ts": `import "../types.ts"; import "./deep.ts";`,
    "shared/bus/inner/deep.ts": "export {};",
    "shared/model/deno.json": member("model", "mod.ts"),
    "shared/model/mod.ts": `import "@subtaxa/bus";`,
    "scripts/setup/mod.ts": `import "./part.ts";`,
    "scripts/setup/part.ts": "export {};",
    "scripts/main.ts": `import "./setup/mod.ts"; import "@subtaxa/model";`,
    "tests/x.test.ts": `import "../scripts/setup/mod.ts"; import "@subtaxa/bus/testing";`,
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeTextFile(join(folder, path), text);
  }
  const found = await violationsIn(folder);
  await Deno.remove(folder, { recursive: true });
  return found;
};

Deno.test("a project that keeps the rules has no violation", async () => {
  expect(await plant({})).toEqual([]);
});

const planted: [path: string, specifier: string, says: string][] = [
  ["services/one/x.ts", "../two/main.ts", "services never import one another"],
  ["services/one/x.ts", "@subtaxa/two", "services never import one another"],
  ["services/one/x.ts", "../../scripts/setup/mod.ts", "services never import scripts"],
  ["services/one/x.ts", "../../shared/bus/mod.ts", "another folder is imported as @subtaxa/bus"],
  ["shared/bus/x.ts", "../../services/one/handlers.ts", "shared never imports services"],
  ["shared/bus/x.ts", "../../scripts/setup/mod.ts", "shared never imports scripts"],
  ["shared/bus/x.ts", "../../tests/x.test.ts", "shared never imports tests"],
  ["shared/bus/x.ts", "../model/mod.ts", "another folder is imported as @subtaxa/model"],
  ["shared/model/x.ts", "@subtaxa/bus/testing", "another folder is imported as @subtaxa/bus"],
  ["scripts/x.ts", "../shared/bus/types.ts", "another folder is imported as @subtaxa/bus"],
  ["scripts/x.ts", "./setup/part.ts", "scripts/setup is entered through its mod.ts"],
  ["scripts/x.ts", "../services/one/handlers.ts", "services/one is entered through its mod.ts"],
  ["tests/x.ts", "../scripts/setup/part.ts", "scripts/setup is entered through its mod.ts"],
  ["scripts/x.ts", "jsr:@std/path", "packages are named and pinned in the root deno.json alone"],
  ["scripts/x.ts", "npm:zod", "packages are named and pinned in the root deno.json alone"],
  ["scripts/x.ts", "https://example.com/mod.ts", "packages are named and pinned in the root deno.json alone"],
];

Deno.test("every planted violation is found, and it alone", async () => {
  for (const [path, specifier, says] of planted) {
    const found = await plant({ [path]: `import ${JSON.stringify(specifier)};` });
    expect(found).toEqual([`${path} imports ${specifier}: ${says}`]);
  }
});

Deno.test("type-only and dynamic imports count", async () => {
  const found = await plant({
    "shared/bus/x.ts": `import type { A } from "../../scripts/setup/mod.ts";\nexport type B = A;`,
    "shared/bus/y.ts": `await import("../../scripts/setup/mod.ts");`,
  });
  expect(found.map((text) => text.split(" ")[0])).toEqual(["shared/bus/x.ts", "shared/bus/y.ts"]);
});

Deno.test("a module that is too long is named", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-long-" });
  await Deno.mkdir(join(folder, "shared"));
  await Deno.writeTextFile(join(folder, "shared", "long.ts"), "\n".repeat(600));
  expect(longModules(folder, 500)).toEqual(["shared/long.ts has 601 lines"]);
  await Deno.remove(folder, { recursive: true });
});
