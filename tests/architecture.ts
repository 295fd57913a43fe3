import { dirname, join, relative, resolve } from "node:path";
import { z } from "zod";

/** The part of `deno info --json` that is read: who imports whom, by which words. */
const Resolved = z.object({ specifier: z.string().optional(), error: z.string().optional() });
const Graph = z.object({
  modules: z.array(z.object({
    specifier: z.string(),
    dependencies: z.array(z.object({
      specifier: z.string(),
      code: Resolved.optional(),
      type: Resolved.optional(),
    })).default([]),
  })),
});

/** One import: from a file of the tree, by its specifier, to a file of the tree or something outside. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Path below the root, or the address as Deno resolved it. */
  readonly to: string;
}

const top = ["services", "shared", "scripts", "tests"];

/** Every module of the project, as paths below its root. */
export const modulesOf = (root: string): string[] => {
  const walk = (folder: string): string[] =>
    [...Deno.readDirSync(join(root, folder))].flatMap(({ name, isDirectory }) => {
      if (name === "node_modules" || name.startsWith(".")) return [];
      const path = `${folder}/${name}`;
      if (isDirectory) return walk(path);
      return /\.tsx?$/.test(name) ? [path] : [];
    });
  const folders = new Set([...Deno.readDirSync(root)].map(({ name }) => name));
  return top.filter((folder) => folders.has(folder)).flatMap(walk).sort();
};

/** The imports of all modules, as Deno itself resolves them; static, dynamic and type-only ones alike. */
export const importsOf = async (root: string): Promise<Import[]> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-graph-" });
  try {
    const entry = join(folder, "all.ts");
    const lines = modulesOf(root).map((path) => `import ${JSON.stringify(join(root, path))};`);
    await Deno.writeTextFile(entry, lines.join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-remote", "--no-lock", "--config", join(root, "deno.json"), entry],
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(`deno info failed: ${new TextDecoder().decode(stderr)}`);
    const base = `file://${resolve(root)}/`;
    const below = (address: string) => (address.startsWith(base) ? address.slice(base.length) : address);
    return Graph.parse(JSON.parse(new TextDecoder().decode(stdout))).modules
      .filter(({ specifier }) => specifier.startsWith(base))
      .flatMap((module) =>
        module.dependencies.map(({ specifier, code, type }) => ({
          from: below(module.specifier),
          specifier,
          to: below(code?.specifier ?? type?.specifier ?? specifier),
        }))
      );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** `services/trainer` for a file in it; undefined for one that is in no workspace folder. */
const memberOf = (path: string): string | undefined => /^(services|shared)\/[^/]+(?=\/)/.exec(path)?.[0];

/**
 * What is wrong with one import; undefined when nothing is. `faces` are the paths of all mod.ts. A workspace folder may
 * export helpers for the tests, test helpers and benchmarks of others as `@subtaxa/<name>/testing`.
 */
const verdict = ({ from, specifier, to }: Import, faces: ReadonlySet<string>): string | undefined => {
  if (/^(jsr|npm|https?):/.test(specifier)) {
    return "packages are named and pinned in the root deno.json alone";
  }
  if (/^(jsr|https?):/.test(to)) return "packages come from npm";
  if (!top.some((folder) => to.startsWith(`${folder}/`))) return undefined;
  const [source, target] = [from.split("/")[0], to.split("/")[0]];
  const [member, other] = [memberOf(from), memberOf(to)];
  if (source === "shared" && target !== "shared") return `shared never imports ${target}`;
  if (source === "services" && target !== "shared" && member !== other) {
    return target === "services" ? "services never import one another" : `services never import ${target}`;
  }
  if (target === "shared" && member !== other) {
    const name = `@subtaxa/${other?.split("/")[1]}`;
    const isTest = /\.test\.ts$|\/testing\.ts$|^tests\/|^scripts\/bench\//.test(from);
    return specifier === name || (isTest && specifier === `${name}/testing`)
      ? undefined
      : `another folder is imported as ${name}`;
  }
  if (member !== undefined && member === other) return undefined; // its own affair
  // Outermost first: every folder that is entered by this import.
  const entered: string[] = [];
  for (let folder = dirname(to); folder !== "."; folder = dirname(folder)) {
    if (relative(folder, from).startsWith("..")) entered.unshift(folder);
  }
  const closed = entered.find((folder) => faces.has(`${folder}/mod.ts`) || folder === other);
  return closed && to !== `${closed}/mod.ts` ? `${closed} is entered through its mod.ts` : undefined;
};

/** The imports that break a rule of the architecture, a sentence each. */
export const violationsIn = async (root: string): Promise<string[]> => {
  const faces = new Set(modulesOf(root).filter((path) => path.endsWith("/mod.ts")));
  return (await importsOf(root)).flatMap((edge) => {
    const wrong = verdict(edge, faces);
    return wrong ? [`${edge.from} imports ${edge.specifier}: ${wrong}`] : [];
  });
};

/** Modules with more lines than one idea needs. */
export const longModules = (root: string, limit: number): string[] =>
  modulesOf(root).flatMap((path) => {
    const lines = Deno.readTextFileSync(join(root, path)).split("\n").length;
    return lines > limit ? [`${path} has ${lines} lines`] : [];
  });
