/** What the machine offers: programs, disk, GPU. */
import { Effect } from "effect";
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { hasNvidiaDriver, type TensorFlowBuild } from "@subtaxa/tensorflow";
import { findCompiler, findPython, freeBytes, run } from "../setup/mod.ts";
import { taskCommand } from "../task.ts";
import { broken, type Check, ok, warning } from "./report.ts";

export const deno = (): Check => ok("Deno", `${Deno.version.deno}, TypeScript ${Deno.version.typescript}`);

/** Python and the compiler are needed by set-up alone: once that is done, their absence is no harm. */
const prerequisite = <A, E extends { message: string }>(
  name: string,
  find: Effect.Effect<A, E>,
  found: (value: A) => string,
  isSetUp: boolean,
): Effect.Effect<Check> =>
  Effect.match(find, {
    onSuccess: (value) => ok(name, found(value)),
    onFailure: (
      { message },
    ) => (isSetUp ? ok(name, "not found; set-up no longer needs it") : broken(name, "not found", message)),
  });

export const python = (isSetUp: boolean) =>
  prerequisite("Python", findPython, ({ command, pip }) => `${command} with ${pip}`, isSetUp);

export const compiler = (isSetUp: boolean) =>
  prerequisite("Compiler", findCompiler, ({ version }) => version, isSetUp);

/** The nearest folder above the path that exists. */
const existing = (path: string): string => (existsSync(path) ? path : existing(dirname(path)));

const leastFreeBytes = 2e9;

/** Free space where the folder is, or will be. */
export const disk = (name: string, folder: string): Effect.Effect<Check> =>
  Effect.match(freeBytes(existing(resolve(folder))), {
    onSuccess: (free) => {
      const found = `${(free / 1e9).toFixed(1)} GB free at ${resolve(folder)}`;
      return free >= leastFreeBytes
        ? ok(name, found)
        : warning(name, found, "free some space: a run keeps its checkpoints and features here");
    },
    onFailure: ({ message }) => warning(name, "unknown", message),
  });

/** The driver's own list of devices; whether TensorFlow uses them is the tensor program's to say. */
export const gpu = (build: TensorFlowBuild | undefined): Effect.Effect<Check> =>
  Effect.gen(function* () {
    if (!hasNvidiaDriver()) return ok("GPU", "no NVIDIA driver; tensors are computed on the CPU");
    const query = yield* run("nvidia-smi", [
      "--query-gpu=name,memory.total,driver_version",
      "--format=csv,noheader",
    ]);
    const devices = query?.success ? query.stdout.trim().split("\n").join("; ") : "NVIDIA driver";
    return build?.flavour === "gpu" ? ok("GPU", devices) : warning(
      "GPU",
      `${devices}; the CPU build of TensorFlow is used`,
      `run "${taskCommand("setup --gpu")}"`,
    );
  });
