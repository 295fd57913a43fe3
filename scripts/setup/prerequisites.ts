import { Effect } from "effect";
import { statfs } from "node:fs/promises";
import { SetupError } from "./errors.ts";
import { run } from "./process.ts";

/** The Python to run pip with; its version says `pip 23.2.1 from … (python 3.11)`. */
export interface Python {
  readonly command: string;
  readonly pip: string;
}

export interface Compiler {
  readonly command: string;
  readonly version: string;
}

export const findPython: Effect.Effect<Python, SetupError> = Effect.gen(function* () {
  let withoutPip: string | undefined;
  for (const command of ["python3", "python"]) {
    const version = yield* run(command, ["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]);
    if (!version?.success) continue;
    const pip = yield* run(command, ["-m", "pip", "--version"]);
    if (pip?.success) return { command, pip: pip.stdout.trim() };
    withoutPip ??= command;
  }
  return yield* SetupError.of(
    withoutPip ? { _tag: "PipMissing", python: withoutPip } : { _tag: "PythonMissing" },
  );
});

/** `CXX` when it is set (and then nothing else), otherwise the first of the usual names. */
export const findCompiler: Effect.Effect<Compiler, SetupError> = Effect.gen(function* () {
  const chosen = Deno.env.get("CXX");
  for (const command of chosen ? [chosen] : ["c++", "g++", "clang++"]) {
    const version = yield* run(command, ["--version"]);
    if (version?.success) return { command, version: version.stdout.split("\n")[0] ?? command };
  }
  return yield* SetupError.of({ _tag: "CompilerMissing" });
});

/** Work on files below a folder; whatever the file system refuses says which folder it was. */
export const onDisk = <A>(folder: string, work: () => Promise<A>): Effect.Effect<A, SetupError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      SetupError.of({
        _tag: "FolderNotWritable",
        folder,
        detail: cause instanceof Error ? cause.message : String(cause),
      }),
  });

export const freeBytes = (folder: string): Effect.Effect<number, SetupError> =>
  onDisk(folder, async () => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  });

export const requireSpace = (folder: string, neededBytes: number): Effect.Effect<void, SetupError> =>
  Effect.flatMap(
    freeBytes(folder),
    (free) =>
      free < neededBytes
        ? Effect.fail(SetupError.of({ _tag: "DiskFull", folder, neededBytes, freeBytes: free }))
        : Effect.void,
  );
