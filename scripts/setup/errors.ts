import { Data } from "effect";
import type { Failure } from "@subtaxa/contracts";

/** Why set-up could not finish. */
export type SetupReason =
  | { readonly _tag: "UnsupportedPlatform"; readonly platform: string }
  | { readonly _tag: "NoGpuBuild"; readonly platform: string }
  | { readonly _tag: "PythonMissing" }
  | { readonly _tag: "PipMissing"; readonly python: string }
  | { readonly _tag: "CompilerMissing" }
  | {
    readonly _tag: "DiskFull";
    readonly folder: string;
    readonly neededBytes: number;
    readonly freeBytes: number;
  }
  | { readonly _tag: "FolderNotWritable"; readonly folder: string; readonly detail: string }
  | { readonly _tag: "PackagesMissing"; readonly name: string }
  | { readonly _tag: "DownloadFailed"; readonly wheel: string; readonly detail: string }
  | { readonly _tag: "HashMismatch"; readonly wheel: string }
  | { readonly _tag: "UnpackFailed"; readonly wheel: string; readonly detail: string }
  | { readonly _tag: "CompilationFailed"; readonly compiler: string; readonly detail: string };

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

const describe = (reason: SetupReason): string => {
  switch (reason._tag) {
    case "UnsupportedPlatform":
      return `TensorFlow publishes no library for ${reason.platform}: use Linux on x86_64 or aarch64, or macOS on Apple silicon.`;
    case "NoGpuBuild":
      return `There is no GPU build of TensorFlow for ${reason.platform}: run set-up without --gpu.`;
    case "PythonMissing":
      return "Python 3 was not found on the PATH: install Python 3.8 or newer with pip (Debian and Ubuntu: apt install python3-pip).";
    case "PipMissing":
      return `${reason.python} has no pip: install it (Debian and Ubuntu: apt install python3-pip; elsewhere: ${reason.python} -m ensurepip).`;
    case "CompilerMissing":
      return "No C++ compiler was found on the PATH: install one (Debian and Ubuntu: apt install g++; macOS: xcode-select --install) or name yours in CXX.";
    case "DiskFull":
      return `${reason.folder} has ${megabytes(reason.freeBytes)} free, set-up needs ${
        megabytes(reason.neededBytes)
      }: free some space, or set SUBTAXA_HOME to a folder on a larger disk.`;
    case "FolderNotWritable":
      return `${reason.folder} can't be written (${reason.detail}): make it writable, or set SUBTAXA_HOME to a folder that is.`;
    case "PackagesMissing":
      return `The npm package ${reason.name} is not installed: run "deno install" in the project's folder.`;
    case "DownloadFailed":
      return `pip could not fetch ${reason.wheel} (${reason.detail}): check that this machine reaches its Python package index, then run set-up again.`;
    case "HashMismatch":
      return `The package index sent a ${reason.wheel} whose SHA-256 is not the pinned one: nothing was installed; check the index or proxy that pip uses.`;
    case "UnpackFailed":
      return `${reason.wheel} could not be unpacked (${reason.detail}): run set-up again.`;
    case "CompilationFailed":
      return `${reason.compiler} could not build TensorFlow's add-on: it needs C++17 (GCC 9 or Clang 10 and newer). It said: ${reason.detail}`;
  }
};

/** The one error of set-up; its message says in one sentence what to install or do. */
export class SetupError extends Data.TaggedError("SetupError")<{
  readonly reason: SetupReason;
  readonly message: string;
  readonly retryable: boolean;
}> implements Failure {
  static of(reason: SetupReason): SetupError {
    return new SetupError({ reason, message: describe(reason), retryable: reason._tag === "DownloadFailed" });
  }
}
