import { Effect } from "effect";
import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { fieldProblem, type ProblemError } from "./problem.ts";
import { isWithin, Settings } from "./settings.ts";

const found = (call: Promise<string>) => call.catch(() => null);

/**
 * The folder that `path` names, absolute, with symbolic links resolved, provided that it lies below one of the data
 * roots. Whether something exists outside of them is never told.
 */
export const importableFolder = (path: string): Effect.Effect<string, ProblemError, Settings> =>
  Effect.gen(function* () {
    const { dataRoots } = yield* Settings;
    const refuse = (message: string) => fieldProblem("path-not-importable", "path", message);
    if (dataRoots.length === 0) {
      return yield* refuse("no import is allowed: none of the folders in SUBTAXA_DATA_ROOTS exists");
    }
    const wanted = resolve(path);
    const named = wanted === path ? `'${path}'` : `'${path}' (${wanted})`;
    const outside = refuse(
      `${named} is not below an allowed folder (${dataRoots.join(", ")}): move the images there, ` +
        "or add their folder to SUBTAXA_DATA_ROOTS",
    );
    const allowed = (absolute: string) => dataRoots.some((root) => isWithin(root, absolute));
    const real = yield* Effect.promise(() => found(realpath(wanted)));
    if (real === null) {
      return yield* allowed(wanted) ? refuse(`${named} does not exist`) : outside;
    }
    if (!allowed(real)) return yield* outside;
    const isFolder = yield* Effect.promise(() => stat(real).then((info) => info.isDirectory(), () => false));
    if (!isFolder) return yield* refuse(`${named} is no folder`);
    return real;
  });
