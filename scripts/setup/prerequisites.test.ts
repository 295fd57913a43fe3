import { expect } from "expect";
import { dirname, join } from "node:path";
import { cpuBuild, currentPlatform, natsServerPath } from "@subtaxa/tensorflow";
import { start, withFolder } from "./testing.ts";

const platform = currentPlatform() ?? "linux-x86_64";

/** A folder for PATH with these shell scripts in it. */
const pathWith = async (folder: string, programs: Record<string, string>): Promise<string> => {
  const path = join(folder, "bin");
  await Deno.mkdir(path);
  for (const [name, body] of Object.entries(programs)) {
    await Deno.writeTextFile(join(path, name), `#!/bin/sh\n${body}\n`);
    await Deno.chmod(join(path, name), 0o755);
  }
  return path;
};

const compiler = 'echo "c++ (test) 1.0"';

const setup = async (folder: string, programs: Record<string, string>) => {
  const run = start("../setup.ts", [], {
    SUBTAXA_HOME: join(folder, "home"),
    PATH: await pathWith(folder, programs),
    CXX: "",
    CUDA_VISIBLE_DEVICES: "",
  });
  expect(await run.ended).toBe(1);
  return run.output();
};

Deno.test("without a compiler, set-up says so before it fetches anything", () =>
  withFolder(async (folder) => {
    const output = await setup(folder, { python3: "exit 0" });
    expect(output.trim()).toMatch(
      /^No C\+\+ compiler was found on the PATH: install one .*apt install g\+\+.*CXX\.$/,
    );
  }));

Deno.test("without Python, set-up says so", () =>
  withFolder(async (folder) => {
    const output = await setup(folder, { "c++": compiler });
    expect(output.trim()).toMatch(/^Python 3 was not found on the PATH: install Python .* with pip .*\.$/);
  }));

Deno.test("without pip, set-up names the Python that lacks it", () =>
  withFolder(async (folder) => {
    const output = await setup(folder, { "c++": compiler, python3: '[ "$1" = -c ]' });
    expect(output.trim()).toMatch(/^python3 has no pip: install it .*\.$/);
  }));

Deno.test("a compiler that can't build the add-on is named with what it said", () =>
  withFolder(async (folder) => {
    const home = join(folder, "home");
    await Deno.mkdir(cpuBuild(home, platform).folder, { recursive: true });
    await Deno.mkdir(dirname(natsServerPath(home, platform)), { recursive: true });
    const fails =
      `[ "$1" = --version ] && ${compiler} && exit; echo "x.cc:1: error: no C++17 here" >&2; exit 1`;
    const output = await setup(folder, { "c++": fails });
    expect(output).toContain("c++ could not build TensorFlow's add-on");
    expect(output).toContain("x.cc:1: error: no C++17 here");
  }));
