import { Effect } from "effect";
import { existsSync } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Platform } from "@subtaxa/tensorflow";
import { SetupError } from "./errors.ts";
import { type Pin, platformArguments } from "./pins.ts";
import { onDisk, requireSpace } from "./prerequisites.ts";
import { run } from "./process.ts";
import type { Report } from "./progress.ts";

/** Brings one pinned wheel into an empty folder and returns its path. */
export type FetchWheel = (
  pin: Pin,
  folder: string,
  onBytes: (done: number) => void,
) => Effect.Effect<string, SetupError>;

/** Bytes in all files below a folder; files that vanish meanwhile count nothing. */
const bytesBelow = async (folder: string): Promise<number> => {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) => stat(join(folder, name)).then((info) => (info.isFile() ? info.size : 0), () => 0)),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
};

/** pip's last word on a failure, without its prefix. */
const lastError = (stderr: string): string =>
  stderr.split("\n").filter((text) => text.startsWith("ERROR: ")).at(-1)?.slice(7) ??
    (stderr.trim().split("\n").at(-1) || "no message");

/** Downloads through pip, which checks the pinned hash. Nothing is installed, so no virtual environment is needed. */
export const fetchWithPip = (python: string, platform: Platform): FetchWheel => (pin, folder, onBytes) =>
  Effect.gen(function* () {
    const requirement = join(folder, "requirement.txt");
    const temporary = join(folder, "tmp");
    yield* onDisk(folder, async () => {
      await Deno.mkdir(temporary);
      await Deno.writeTextFile(requirement, `${pin.name}==${pin.version} --hash=sha256:${pin.sha256}\n`);
    });
    const watch = Effect.forever(
      Effect.delay(
        Effect.andThen(
          Effect.promise(() => bytesBelow(temporary)),
          (done) => Effect.sync(() => onBytes(Math.min(done, pin.wheelBytes))),
        ),
        500,
      ),
    );
    const download = run(python, [
      ...["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--quiet"],
      ...["--no-deps", "--only-binary=:all:", "--require-hashes", ...platformArguments(platform)],
      ...["--requirement", requirement, "--dest", join(folder, "wheel")],
    ], { env: { TMPDIR: temporary } });
    const finished = yield* Effect.raceFirst(download, watch);
    if (!finished?.success) {
      const stderr = finished?.stderr ?? "";
      const wheel = `${pin.name} ${pin.version}`;
      return yield* SetupError.of(
        /DO NOT MATCH THE HASHES/i.test(stderr)
          ? { _tag: "HashMismatch", wheel }
          : { _tag: "DownloadFailed", wheel, detail: lastError(stderr) },
      );
    }
    const [name = ""] = yield* onDisk(folder, () => readdir(join(folder, "wheel")));
    onBytes(pin.wheelBytes);
    return join(folder, "wheel", name);
  });

const unpack = Effect.fnUntraced(
  function* (python: string, pin: Pin, wheel: string, folder: string, report: Report) {
    const script = join(import.meta.dirname ?? "", "wheel.py");
    const progress = (done: number) =>
      report({ _tag: "Unpacking", wheel: `${pin.name} ${pin.version}`, done, total: pin.unpackedBytes });
    const finished = yield* run(python, [script, "unpack", wheel, folder], {
      onOutput: (text) => {
        const done = Number(text.trimEnd().split("\n").at(-1));
        if (done > 0) progress(done);
      },
    });
    if (!finished?.success) {
      const detail = lastError(finished?.stderr ?? "");
      return yield* SetupError.of({ _tag: "UnpackFailed", wheel: `${pin.name} ${pin.version}`, detail });
    }
  },
);

/** What is needed at worst at one moment: everything unpacked, and the largest wheel twice (pip copies it). */
const spaceFor = (pins: readonly Pin[]): number =>
  pins.reduce((sum, pin) => sum + pin.unpackedBytes, 0) +
  2 * Math.max(0, ...pins.map((pin) => pin.wheelBytes));

/**
 * Makes `folder` from the pinned wheels. Works in `folder.partial`, where a mark per unpacked wheel lets an interrupted
 * set-up go on, and renames the finished whole into place. The caller holds the lock.
 */
export const installWheels = (options: {
  readonly folder: string;
  readonly pins: readonly Pin[];
  readonly python: string;
  readonly fetchWheel: FetchWheel;
  readonly report: Report;
}): Effect.Effect<void, SetupError> =>
  Effect.gen(function* () {
    const { folder, pins, python, fetchWheel, report } = options;
    const partial = `${folder}.partial`;
    const unpacked = join(partial, "unpacked");
    const marks = join(unpacked, ".wheels");
    const downloads = join(partial, "downloads");
    yield* onDisk(partial, () => Deno.mkdir(marks, { recursive: true }));
    const missing = pins.filter((pin) => !existsSync(join(marks, pin.sha256)));
    yield* requireSpace(partial, spaceFor(missing));
    for (const pin of missing) {
      const wheel = `${pin.name} ${pin.version}`;
      // A folder of its own: a pip that outlived its killed set-up can't write into this one's download.
      const download = join(downloads, crypto.randomUUID());
      yield* onDisk(partial, async () => {
        await rm(downloads, { recursive: true, force: true });
        await Deno.mkdir(download, { recursive: true });
      });
      const path = yield* fetchWheel(
        pin,
        download,
        (done) => report({ _tag: "Downloading", wheel, done, total: pin.wheelBytes }),
      );
      yield* unpack(python, pin, path, unpacked, report);
      yield* onDisk(partial, async () => {
        await Deno.writeTextFile(join(marks, pin.sha256), wheel);
        await rm(downloads, { recursive: true, force: true });
      });
    }
    yield* onDisk(partial, async () => {
      await rename(unpacked, folder);
      await rm(partial, { recursive: true, force: true });
    });
  });
