import { Effect } from "effect";
import { rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import type { TensorFlowBuild } from "@subtaxa/tensorflow";
import { SetupError } from "./errors.ts";
import { findCompiler, onDisk } from "./prerequisites.ts";
import { run } from "./process.ts";
import type { Report } from "./progress.ts";

/** One of the files beside this one that become part of the add-on. */
const source = (name: string): string => join(import.meta.dirname!, name);

const packageFolder = (name: string): Effect.Effect<string, SetupError> =>
  Effect.try({
    try: () => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)),
    catch: () => SetupError.of({ _tag: "PackagesMissing", name }),
  });

/**
 * With these it hands over attributes that are lists, without which fused operations can't be called, defines functions, and
 * keeps tensors from sharing the memory of arrays.
 */
const headers = ["list_attributes.h", "functions.h", "copied_tensors.h"];

/**
 * Compiles the N-API add-on that @tensorflow/tfjs-node-gpu ships as source against the build's own C API. It finds the
 * libraries relative to itself, so a home can be moved or mounted elsewhere.
 */
export const buildAddon = (build: TensorFlowBuild, report: Report): Effect.Effect<void, SetupError> =>
  Effect.gen(function* () {
    const tfjs = yield* packageFolder("@tensorflow/tfjs-node-gpu");
    const nodeHeaders = yield* packageFolder("node-api-headers");
    const compiler = yield* findCompiler;
    report({ _tag: "Compiling", compiler: compiler.version });

    const target = dirname(build.addon);
    const partial = `${target}.partial`;
    yield* onDisk(partial, async () => {
      await rm(partial, { recursive: true, force: true });
      await Deno.mkdir(partial, { recursive: true });
    });
    const libraryFolder = relative(target, dirname(build.libraries[0] ?? build.folder));
    const darwin = Deno.build.os === "darwin";
    const finished = yield* run(compiler.command, [
      ...["-O2", "-fPIC", "-shared", "-std=c++17", "-DNAPI_VERSION=8"],
      ...headers.flatMap((header) => ["-include", source(header)]),
      ...["-I", join(nodeHeaders, "include"), "-I", tfjs, "-I", build.includeFolder],
      ...["backend", "binding"].map((part) => join(tfjs, "binding", `tfjs_${part}.cc`)),
      source("functions.cc"),
      ...build.libraries,
      `-Wl,-rpath,${darwin ? "@loader_path" : "$ORIGIN"}/${libraryFolder}`,
      // Node's own symbols come from the running Deno; CUDA's are looked up when TensorFlow first needs them.
      ...(darwin ? ["-undefined", "dynamic_lookup"] : ["-Wl,--allow-shlib-undefined"]),
      ...["-o", join(partial, "tfjs_binding.node")],
    ]);
    if (!finished?.success) {
      const detail = finished?.stderr.split("\n").find((text) => /error/i.test(text)) ?? "nothing";
      return yield* SetupError.of({ _tag: "CompilationFailed", compiler: compiler.command, detail });
    }
    yield* onDisk(target, async () => {
      await rm(target, { recursive: true, force: true });
      await rename(partial, target);
    });
  });
