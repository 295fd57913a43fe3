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

/** Folders below services/ that run on one machine. */
const folders = ["gateway", "trainer", "evaluator", "extractor", "clusterer", "clusterer-kmeans"] as const;

/** The services of one machine, with as many trainers as wanted (`trainer`, `trainer-2`, …). */
export const servicesOf = ({ trainers = 1 }: { readonly trainers?: number } = {}): ServiceDefinition[] =>
  folders.flatMap((folder) =>
    Array.from({ length: folder === "trainer" ? trainers : 1 }, (_, index) => ({
      name: index === 0 ? folder : `${folder}-${index + 1}`,
      module: join(root, "services", folder, "main.ts"),
    }))
  );
