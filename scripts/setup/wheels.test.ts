import { expect } from "expect";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { makeWheelhouse, offline, start, withFolder } from "./testing.ts";

const example = async (folder: string, ...names: string[]) => {
  const pins = await makeWheelhouse(join(folder, "wheelhouse"), ...names);
  const home = join(folder, "home");
  const gates = join(folder, "gates");
  await Deno.mkdir(gates);
  const install = (...args: string[]) =>
    start("testing_install.ts", [home, pins, ...args], offline(join(folder, "wheelhouse")));
  const openGate = (name: string) => Deno.writeTextFile(join(gates, name), "");
  return { home, pins, install, installGated: () => install(gates), openGate };
};

const fetched = (output: string) => [...output.matchAll(/"fetch":"(\w+)"/g)].map(([, name]) => name);

const expectInstalled = (home: string, ...names: string[]) => {
  for (const name of names) {
    expect(Deno.readTextFileSync(join(home, "part", "nvidia", name, "lib", `lib${name}.so`))).toBe(
      name.repeat(100_000),
    );
    expect(existsSync(join(home, "part", "nvidia", name, "include"))).toBe(false);
  }
  expect(readdirSync(home).sort()).toEqual(["lock", "part"]);
};

Deno.test("a set-up killed half-way leaves nothing that looks finished, and the next one goes on from there", () =>
  withFolder(async (folder) => {
    const { home, install, installGated, openGate } = await example(folder, "alpha", "beta");
    await openGate("alpha");
    const first = installGated();
    await first.printed('"fetch":"beta"');
    first.kill();
    await first.ended;
    expect(existsSync(join(home, "part"))).toBe(false);

    const second = install();
    expect(await second.ended).toBe(0);
    expect(fetched(second.output())).toEqual(["beta"]);
    expectInstalled(home, "alpha", "beta");
  }));

Deno.test("of two set-ups at once the second waits, says for whom, and finds everything done", () =>
  withFolder(async (folder) => {
    const { home, install, installGated, openGate } = await example(folder, "alpha");
    const first = installGated();
    await first.printed('"fetch":"alpha"');
    const second = install();
    await second.printed('"Waiting"');
    await openGate("alpha");
    expect([await first.ended, await second.ended]).toEqual([0, 0]);
    expect(fetched(first.output())).toEqual(["alpha"]);
    expect(first.output()).toMatch(/"Downloading","wheel":"alpha 1.0","done":(\d+),"total":\1}/);
    expect(first.output()).toMatch(/"Unpacking","wheel":"alpha 1.0","done":(\d+),"total":\1}/);
    expect(fetched(second.output())).toEqual([]);
    expect(second.output()).toContain(`"holder":"${first.pid}"`);
    expectInstalled(home, "alpha");

    const third = install();
    expect(await third.ended).toBe(0);
    expect(third.output()).toBe("");
  }));

Deno.test("a waiting set-up takes over when the one at work is killed", () =>
  withFolder(async (folder) => {
    const { home, install, installGated } = await example(folder, "alpha");
    const first = installGated();
    await first.printed('"fetch":"alpha"');
    const second = install();
    await second.printed('"Waiting"');
    first.kill();
    await first.ended;
    expect(await second.ended).toBe(0);
    expectInstalled(home, "alpha");
  }));

Deno.test("a wheel that isn't the pinned one is refused", () =>
  withFolder(async (folder) => {
    const { home, pins, install } = await example(folder, "alpha");
    const text = await Deno.readTextFile(pins);
    await Deno.writeTextFile(pins, text.replace(/sha256:\w{8}/, "sha256:00000000"));
    const run = install();
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('"HashMismatch"');
    expect(run.output()).toContain("alpha 1.0 whose SHA-256 is not the pinned one");
    expect(existsSync(join(home, "part"))).toBe(false);
  }));

Deno.test("without a network the sentence names the wheel, and another try is worth it", () =>
  withFolder(async (folder) => {
    const { home, pins } = await example(folder, "alpha");
    const unreachable = { PIP_INDEX_URL: "http://127.0.0.1:9/simple", PIP_RETRIES: "0", PIP_FIND_LINKS: "" };
    const run = start("testing_install.ts", [home, pins], unreachable);
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain("pip could not fetch alpha 1.0");
    expect(run.output()).toContain('"retryable":true');
  }));

Deno.test("a disk that is too small is said before anything is fetched", () =>
  withFolder(async (folder) => {
    const { pins, install } = await example(folder, "alpha");
    const text = await Deno.readTextFile(pins);
    await Deno.writeTextFile(pins, text.replace(/unpacked \d+/, "unpacked 9000000000000000"));
    const run = install();
    expect(await run.ended).toBe(1);
    expect(run.output()).toMatch(/has \d+ MB free, set-up needs 9000000\d{3} MB/);
    expect(fetched(run.output())).toEqual([]);
  }));

Deno.test("a home that can't be written is named", () =>
  withFolder(async (folder) => {
    const { pins } = await example(folder, "alpha");
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "");
    const run = start("testing_install.ts", [join(file, "home"), pins]);
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('"FolderNotWritable"');
    expect(run.output()).toContain(`${file}/home can't be written`);
  }));
