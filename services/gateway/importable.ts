import { Effect } from "effect";
import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { fieldProblem, type ProblemError } from "./problem.ts";
import { isWithin, Settings } from "./settings.ts";

const found = (call: Promise<string>) => call.catch(() => null);

/**
 * What `path` names, absolute, with symbolic links resolved, provided that it lies below one of the data roots. Whether
 * something exists outside of them is never told. `field` is the request's that is to blame.
 */
const readable = (
  path: string,
  field: string,
  kind: "file" | "folder",
): Effect.Effect<string, ProblemError, Settings> =>
  Effect.gen(function* () {
    const { dataRoots } = yield* Settings;
    const refuse = (message: string) => fieldProblem("path-not-importable", field, message);
    if (dataRoots.length === 0) {
      return yield* refuse("nothing may be read: none of the folders in SUBTAXA_DATA_ROOTS exists");
    }
    const wanted = resolve(path);
    const named = wanted === path ? `'${path}'` : `'${path}' (${wanted})`;
    const outside = refuse(
      `${named} is not below an allowed folder (${dataRoots.join(", ")}): move it there, ` +
        "or add its folder to SUBTAXA_DATA_ROOTS",
    );
    const allowed = (absolute: string) => dataRoots.some((root) => isWithin(root, absolute));
    const real = yield* Effect.promise(() => found(realpath(wanted)));
    const isAllowed = real !== null && allowed(real);
    if (!isAllowed && !allowed(wanted)) return yield* outside;
    if (real === null) {
      return yield* refuse(`${named} does not exist on the gateway's machine: check how it is written`);
    }
    if (!isAllowed) {
      return yield* refuse(
        `${named} leads out of the allowed folders (${dataRoots.join(", ")}) by a symbolic link: ` +
          "add the folder that it leads to to SUBTAXA_DATA_ROOTS",
      );
    }
    const fits = yield* Effect.promise(() =>
      stat(real).then((info) => kind === "folder" ? info.isDirectory() : info.isFile(), () => false)
    );
    return fits ? real : yield* refuse(`${named} is no ${kind}`);
  });

export const importableFolder = (path: string) => readable(path, "path", "folder");

export const importableFile = (path: string, field: string) => readable(path, field, "file");
