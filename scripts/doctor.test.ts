import { expect } from "expect";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cpuBuild, currentPlatform, subtaxaHome } from "@subtaxa/tensorflow";
import type { Check, DoctorReport } from "./doctor.ts";

const run = async (env: Record<string, string>, ...args: string[]) => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(import.meta.dirname ?? ".", "doctor.ts"), ...args],
    env,
  }).output();
  return { code, output: new TextDecoder().decode(stdout) };
};

const check = async (env: Record<string, string>): Promise<{ code: number; of: (name: string) => Check }> => {
  const { code, output } = await run(env, "--json");
  const report: DoctorReport = JSON.parse(output);
  expect(report.ok).toBe(code === 0);
  return {
    code,
    of: (name) => {
      const found = report.checks.find((one) => one.name === name);
      if (found === undefined) throw new Error(`there is no check ${name}`);
      return found;
    },
  };
};

Deno.test("on a machine that is set up, tensors are right and a message makes its round", async () => {
  const { code, of } = await check({});
  expect(of("Tensor program")).toMatchObject({
    state: "ok",
    found: expect.stringContaining("gradient are right"),
  });
  expect(of("NATS round trip")).toMatchObject({
    state: "ok",
    found: expect.stringContaining("acknowledged"),
  });
  expect(of("nats-server").found).toContain("v2.15.1");
  expect(code).toBe(0);
});

Deno.test("before set-up, the doctor says what to run and exits with 1", async () => {
  const home = await Deno.makeTempDir();
  const { code, output } = await run({ SUBTAXA_HOME: home });
  expect(code).toBe(1);
  expect(output).toContain(`✗ TensorFlow       not set up in ${home}`);
  expect(output).toContain(`→ run "npx deno@${Deno.version.deno} task setup"`);
  await Deno.remove(home, { recursive: true });
});

Deno.test("a library that can't be loaded is broken, with the way out", async () => {
  const home = await Deno.makeTempDir();
  const build = cpuBuild(home, currentPlatform() ?? "linux-x86_64");
  mkdirSync(build.folder);
  mkdirSync(dirname(build.addon));
  writeFileSync(build.addon, "not a library");
  const { code, of } = await check({ SUBTAXA_HOME: home, CUDA_VISIBLE_DEVICES: "" });
  expect(code).toBe(1);
  expect(of("TensorFlow").state).toBe("ok");
  expect(of("Tensor program")).toMatchObject({
    state: "broken",
    found: expect.stringContaining("could not be loaded"),
  });
  expect(of("Tensor program").advice).toContain(`remove ${build.folder}`);
  await Deno.remove(home, { recursive: true });
});

Deno.test("once set up, Python and the compiler may be gone", async () => {
  const empty = await Deno.makeTempDir();
  const { code, of } = await check({ PATH: empty, CXX: "", SUBTAXA_HOME: subtaxaHome() });
  for (const name of ["Python", "Compiler"]) {
    expect(of(name)).toEqual({ name, state: "ok", found: "not found; set-up no longer needs it" });
  }
  expect(code).toBe(0);
  await Deno.remove(empty);
});
