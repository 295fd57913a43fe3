import { join, resolve } from "node:path";

/** One process that the supervisor keeps running: a Deno module that calls `runService`. */
export interface ServiceDefinition {
  /** Unique; names the log file and the entry in `ps`. */
  readonly name: string;
  /** Absolute path of the module. */
  readonly module: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The folder of the root deno.json. */
export const root = resolve(import.meta.dirname ?? ".", "../..");

/** Arguments of `deno` that run a module of this project from any working folder. */
export const runArguments = (module: string, ...args: readonly string[]): string[] => [
  ...["run", "--quiet", "-A", "--config", join(root, "deno.json")],
  ...[module, ...args],
];

/** Services of which several instances may share the work: folders below services/. */
export const workers = ["trainer", "evaluator", "extractor", "clusterer", "clusterer-kmeans"] as const;
export type Worker = typeof workers[number];

/** The services of one machine: one gateway, and of every worker one or as many as wanted (`trainer`, `trainer-2`, …). */
export const servicesOf = (
  instances: Readonly<Partial<Record<Worker, number>>> = {},
): ServiceDefinition[] =>
  (["gateway", ...workers] as const).flatMap((folder) =>
    Array.from({ length: folder === "gateway" ? 1 : instances[folder] ?? 1 }, (_, index) => ({
      name: index === 0 ? folder : `${folder}-${index + 1}`,
      module: join(root, "services", folder, "main.ts"),
    }))
  );
