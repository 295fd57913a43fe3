import { Effect } from "effect";
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { ensureNative } from "../setup/mod.ts";
import { DeployError } from "./error.ts";
import { output } from "./tools.ts";

const root = resolve(import.meta.dirname!, "../..");

export interface StageOptions {
  /** Where the files will lie in the image, too: what Deno prepares is kept by path. */
  readonly target: string;
  /** Which TensorFlow; null leaves the native parts out. */
  readonly native: "cpu" | "gpu" | null;
  readonly log?: (line: string) => void;
}

const isTest = (name: string) =>
  /(\.test\.tsx?|\.fixture\.json|^testing.*\.ts|\.py)$/.test(name) || name === "testdata" ||
  name === "fixtures";

/** Copies what a service needs at run time; returns every module of it. */
const copySource = async (from: string, to: string): Promise<string[]> => {
  const modules: string[] = [];
  for (const entry of await readdir(join(root, from), { withFileTypes: true })) {
    const path = join(from, entry.name);
    if (isTest(entry.name) || entry.name === "node_modules") continue;
    if (entry.isDirectory()) modules.push(...await copySource(path, to));
    else if (entry.isFile()) {
      await mkdir(dirname(join(to, path)), { recursive: true });
      await copyFile(join(root, path), join(to, path));
      if (/\.tsx?$/.test(entry.name)) modules.push(join(to, path));
    }
  }
  return modules;
};

const Config = z.looseObject({ imports: z.record(z.string(), z.string()), nodeModulesDir: z.string() });
const Lock = z.looseObject({
  npm: z.record(z.string(), z.looseObject({ integrity: z.string().optional() })),
});

/** The imports that some module names. */
const usedImports = async (imports: Readonly<Record<string, string>>, modules: readonly string[]) => {
  const text = (await Promise.all(modules.map((path) => readFile(path, "utf8")))).join("\n");
  return Object.fromEntries(
    Object.entries(imports).filter(([name]) => text.includes(`"${name}`)),
  );
};

/** Installs exactly what the project's lock file holds, as far as the services need it. */
const installPackages = (app: string, modules: readonly string[]): Effect.Effect<void, DeployError> =>
  Effect.gen(function* () {
    const locked = yield* Effect.promise(async () => {
      const config = Config.parse(JSON.parse(await readFile(join(root, "deno.json"), "utf8")));
      const { imports, workspace, compilerOptions } = config;
      const used = await usedImports(imports, modules);
      const staged = { workspace, compilerOptions, nodeModulesDir: "auto", imports: used };
      await writeFile(join(app, "deno.json"), JSON.stringify(staged, null, 2));
      await copyFile(join(root, "deno.lock"), join(app, "deno.lock"));
      return Lock.parse(JSON.parse(await readFile(join(root, "deno.lock"), "utf8"))).npm;
    });
    yield* output(Deno.execPath(), ["install", "--quiet", "--config", join(app, "deno.json")]);
    const now = yield* Effect.promise(async () =>
      Lock.parse(JSON.parse(await readFile(join(app, "deno.lock"), "utf8"))).npm
    );
    // fewer packages than the project has, but no other ones
    const strange = Object.entries(now).find(([name, { integrity }]) =>
      !locked[name] || locked[name].integrity !== integrity
    );
    if (strange) {
      return yield* new DeployError({
        reason: { _tag: "Stage" },
        message: `${strange[0]} is not what deno.lock holds: run "deno install" and commit its lock file`,
      });
    }
  });

/** What nobody reads in a container: source maps, and the parts of TensorFlow that only compiling needs. */
const prune = async (target: string) => {
  const packages = join(target, "app", "node_modules");
  for (const path of await readdir(packages, { recursive: true })) {
    if (path.endsWith(".map") || path.endsWith(".min.js.map")) {
      await rm(join(packages, path), { force: true });
    }
  }
  const native = join(target, "native");
  for (const name of await readdir(native).catch(() => [])) {
    if (name.startsWith("nats-server-") || name === "lock") await rm(join(native, name), { recursive: true });
    if (name.startsWith("tensorflow-")) {
      await rm(join(native, name, "tensorflow", "include"), { recursive: true, force: true });
    }
  }
};

/** Some packages' files are for their owner alone; a container's user is another one. */
const readableByAll = async (folder: string): Promise<void> => {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await readableByAll(path);
    else if (entry.isFile()) {
      const { mode } = await stat(path);
      await chmod(path, (mode & 0o777) | (mode & 0o100 ? 0o555 : 0o444));
    }
  }
};

/**
 * Puts together what an image holds besides its base system: `app` (the services and their packages), `native` (the native
 * parts, fetched by hash: `SUBTAXA_HOME`) and `cache` (Deno's, so that a read-only container need not compile TypeScript).
 * Runs in a container's build as it runs anywhere else.
 */
export const stage = (
  { target, native, log = () => undefined }: StageOptions,
): Effect.Effect<void, DeployError> =>
  Effect.gen(function* () {
    const app = join(target, "app");
    log("copying the services");
    const modules = yield* Effect.promise(async () => {
      await mkdir(join(target, "native"), { recursive: true });
      return [...await copySource("services", app), ...await copySource("shared", app)];
    });
    log("installing packages");
    yield* installPackages(app, modules);
    if (native) {
      log(`setting up TensorFlow for the ${native.toUpperCase()}`);
      yield* ensureNative({ home: join(target, "native"), gpu: native === "gpu" }).pipe(
        Effect.mapError(({ message }) => new DeployError({ reason: { _tag: "Stage" }, message })),
      );
    }
    yield* Effect.promise(async () => {
      // weights that are fetched later go where one may write
      if (native) await symlink("/data/weights", join(target, "native", "weights"));
      await prune(target);
    });
    log("preparing the modules");
    yield* output(
      Deno.execPath(),
      ["cache", "--quiet", "--node-modules-dir=manual", "--config", join(app, "deno.json"), ...modules],
      { DENO_DIR: join(target, "cache") },
    );
    yield* Effect.promise(() => readableByAll(target));
  });
