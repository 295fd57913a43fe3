import { Effect } from "effect";
import { join } from "node:path";
import { z } from "zod";
import { run } from "../setup/mod.ts";
import { DeployError } from "./error.ts";
import type { Manifest } from "./render.ts";
import { kubeconform, kubernetesSchemas } from "./tools.ts";

const Verdicts = z.object({
  resources: z.array(
    z.object({
      filename: z.string(),
      kind: z.string(),
      name: z.string(),
      status: z.string(),
      msg: z.string(),
    }),
  )
    .nullable().transform((resources) => resources ?? []),
  summary: z.object({ valid: z.number(), invalid: z.number(), errors: z.number(), skipped: z.number() }),
});

export interface Validation {
  /** Objects that keep to their schema. */
  readonly valid: number;
  /** A sentence for each that doesn't, or that has no schema. */
  readonly wrong: readonly string[];
}

/** Holds sets of manifests, by name, to the schemas of Kubernetes and KEDA: unknown fields and kinds are errors. */
export const validate = (
  sets: ReadonlyMap<string, readonly Manifest[]>,
): Effect.Effect<Validation, DeployError> =>
  Effect.gen(function* () {
    const [program, schemas] = yield* Effect.all([kubeconform, kubernetesSchemas]);
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => Deno.makeTempDir({ prefix: "subtaxa-manifests-" })),
      (path) => Effect.promise(() => Deno.remove(path, { recursive: true })),
    );
    yield* Effect.promise(async () => {
      for (const [name, manifests] of sets) {
        const list = { apiVersion: "v1", kind: "List", items: manifests };
        await Deno.writeTextFile(join(folder, `${name}.json`), JSON.stringify(list));
      }
    });
    // its exit status says what the verdicts say
    const finished = yield* run(program, [
      ...["-strict", "-summary", "-output", "json", "-n", "2"],
      ...["-schema-location", join(schemas, "{{.ResourceKind}}{{.KindSuffix}}.json"), folder],
    ]);
    const parsed = Verdicts.safeParse(JSON.parse(finished?.stdout || "null"));
    if (!parsed.success) {
      return yield* new DeployError({
        reason: { _tag: "ToolFailed", tool: "kubeconform" },
        message: `kubeconform gave no verdict: ${finished?.stderr}`,
      });
    }
    return {
      valid: parsed.data.summary.valid,
      wrong: parsed.data.resources.map(({ filename, kind, name, msg }) =>
        `${filename.slice(folder.length + 1, -".json".length)}: ${kind} ${name}: ${msg}`
      ),
    };
  }).pipe(Effect.scoped);
