import { Effect } from "effect";
import { join, resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { findPython } from "../setup/mod.ts";
import { DeployError } from "./error.ts";
import { helmSdk } from "./tools.ts";

export const chartFolder = resolve(import.meta.dirname!, "../../deploy/helm/subtaxa");
export const release = "demo";
export const namespace = "microscopy";

/** Values of the chart, as in a file that `helm install -f` takes. */
export type Values = { readonly [key: string]: unknown };

/** An object for the API server; what differs between kinds is looked at by whoever knows the kind. */
export const Manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
export type Manifest = z.infer<typeof Manifest>;

export interface Rendered {
  readonly manifests: readonly Manifest[];
  readonly notes: string;
}

const Answer = z.record(
  z.string(),
  z.union([z.object({ manifests: z.record(z.string(), z.string()) }), z.object({ error: z.string() })]),
);

const parsed = (files: Readonly<Record<string, string>>): Rendered => {
  const notes = Object.entries(files).find(([file]) => file.endsWith("NOTES.txt"))?.[1] ?? "";
  const manifests = Object.entries(files).filter(([file]) => file.endsWith(".yaml")).flatMap(([, text]) =>
    parseAllDocuments(text).flatMap((document) => {
      // a key that is there twice is an error here, as for the API server
      if (document.errors[0]) throw document.errors[0];
      const value: unknown = document.toJS();
      return value === null ? [] : [Manifest.parse(value)];
    })
  );
  return { manifests, notes };
};

/** What a script of this folder, with Helm's SDK, answers. */
const withHelm = (
  script: string,
  order: Readonly<Record<string, unknown>>,
): Effect.Effect<unknown, DeployError> =>
  Effect.gen(function* () {
    const sdk = yield* helmSdk;
    const { command } = yield* Effect.mapError(
      findPython,
      ({ message }) => new DeployError({ reason: { _tag: "ToolMissing", tool: "python3" }, message }),
    );
    const text = yield* Effect.promise(async () => {
      const child = new Deno.Command(command, {
        args: [join(import.meta.dirname!, script)],
        env: { PYTHONPATH: sdk },
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(
        new TextEncoder().encode(JSON.stringify({ chart: chartFolder, release, namespace, ...order })),
      );
      await writer.close();
      const { success, stdout } = await child.output();
      return success ? new TextDecoder().decode(stdout) : null;
    });
    if (text === null) {
      return yield* new DeployError({
        reason: { _tag: "ToolFailed", tool: "helm" },
        message: `Helm could not load ${chartFolder}: see its words above`,
      });
    }
    return JSON.parse(text);
  });

/** What Helm makes of the chart for each set of values, or what it says against them; a few milliseconds each. */
export const render = (
  values: Readonly<Record<string, Values>>,
): Effect.Effect<ReadonlyMap<string, Rendered | { readonly error: string }>, DeployError> =>
  Effect.map(withHelm("render.py", { values }), (answer) =>
    new Map(
      Object.entries(Answer.parse(answer)).map(([name, one]) => [
        name,
        "error" in one ? one : parsed(one.manifests),
      ]),
    ));

/** What Helm makes of the chart in a cluster that has these objects already. */
export const renderLive = (
  values: Values,
  objects: readonly Manifest[],
): Effect.Effect<Rendered | { readonly error: string }, DeployError> =>
  Effect.map(withHelm("live.py", { values, objects }), (answer) => {
    const one = z.union([z.object({ manifest: z.string() }), z.object({ error: z.string() })]).parse(answer);
    return "error" in one ? one : parsed({ "all.yaml": one.manifest });
  });
