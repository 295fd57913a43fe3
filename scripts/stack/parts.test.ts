import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { beganAt, isAlive, remember } from "./identity.ts";
import { LogFile } from "./log_file.ts";
import { natsServerOnPath } from "./nats.ts";
import { servicesOf } from "./services.ts";
import { checkSettings, reachNats } from "./settings.ts";
import { makePauses, patience } from "./timing.ts";

Deno.test("a process is told by pid and beginning", async () => {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const remembered = remember(child.pid);
  expect(isAlive(remembered)).toBe(true);
  expect(isAlive({ ...remembered, began: "another time" })).toBe(false);
  child.kill("SIGKILL");
  await child.status;
  expect(isAlive(remembered)).toBe(false);
  expect(beganAt(child.pid)).toBeUndefined();
  expect(beganAt(0)).toBeUndefined();
});

Deno.test("a log is rotated when it has grown, also by an earlier process", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-log-" });
  const path = join(folder, "x.log");
  await Deno.writeTextFile(path, "from before\n");
  const log = new LogFile(path, 20);
  log.write("one");
  log.write("two, longer");
  log.write("three");
  log.close();
  expect(await Deno.readTextFile(`${path}.1`)).toBe("from before\none\n");
  expect(await Deno.readTextFile(path)).toBe("two, longer\nthree\n");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("pauses double up to a limit and start anew after a stable time", () => {
  const pauseAfter = makePauses({ ...patience, firstPause: 100, longestPause: 350, stable: 1_000 });
  expect([0, 5, 5, 5, 1_000, 0].map(pauseAfter)).toEqual([100, 200, 350, 350, 100, 200]);
});

Deno.test("a nats-server on the PATH is used if it is new enough, and else told of", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-path-" });
  const binary = join(folder, "nats-server");
  const found = async (says: string) => {
    const told: string[] = [];
    await Deno.writeTextFile(binary, `#!/bin/sh\necho "${says}"\n`, { mode: 0o755 });
    return [
      await Effect.runPromise(natsServerOnPath((line) => told.push(line), `:/nowhere:${folder}`)),
      told.join(),
    ];
  };
  expect(await found("nats-server: v2.10.22")).toEqual([binary, ""]);
  expect(await found("nats-server: v2.9.10"))
    .toEqual([undefined, `${binary} is passed over (v2.9.10): 2.10.0 or newer is needed`]);
  expect((await found("something else"))[1]).toContain("it tells no version");
  await Deno.writeTextFile(binary, "made for another machine");
  expect(await Effect.runPromise(natsServerOnPath(() => undefined, folder))).toBe(undefined);
  expect(await Effect.runPromise(natsServerOnPath(() => undefined, "/nowhere"))).toBe(undefined);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("there can be more than one trainer", () => {
  const names = servicesOf({ trainer: 2 }).map(({ name }) => name);
  expect(names).toEqual([
    "gateway",
    "trainer",
    "trainer-2",
    "evaluator",
    "extractor",
    "clusterer",
    "clusterer-kmeans",
  ]);
});

Deno.test("a setting that can't work is one sentence that names it and what it is to be", async () => {
  const check = (env: Record<string, string>) => Effect.runPromise(checkSettings(env));
  const refused = (env: Record<string, string>) =>
    Effect.runPromise(Effect.flip(checkSettings(env))).then(({ message }) => message);
  const port = "but must be a port from 0 to 65535.";
  expect(await refused({ SUBTAXA_PORT: "abc" })).toBe(`SUBTAXA_PORT is "abc", ${port}`);
  expect(await refused({ SUBTAXA_PORT: "99999" })).toBe(`SUBTAXA_PORT is "99999", ${port}`);
  expect(await refused({ SUBTAXA_PORT: "80.5" })).toContain(port);
  for (const wait of ["soon", "30s", "0 seconds"]) {
    expect(await refused({ SUBTAXA_ACK_WAIT: wait })).toMatch(/^SUBTAXA_ACK_WAIT .* "30 seconds"\.$/);
  }
  for (const times of ["many", "0"]) {
    expect(await refused({ SUBTAXA_MAX_DELIVER: times })).toMatch(/^SUBTAXA_MAX_DELIVER .* whole number/);
  }
  expect(await refused({ SUBTAXA_LOG_LEVEL: "loud" })).toMatch(/^SUBTAXA_LOG_LEVEL is "loud", .*Debug/);
  for (const token of [{}, { SUBTAXA_TOKEN: " " }]) {
    expect(await refused({ SUBTAXA_HOST: "0.0.0.0", ...token })).toMatch(
      /0\.0\.0\.0.*SUBTAXA_TOKEN is not set/,
    );
  }
  const good = {
    SUBTAXA_HOST: "0.0.0.0",
    SUBTAXA_TOKEN: "t",
    SUBTAXA_PORT: "0",
    SUBTAXA_ACK_WAIT: "2 minutes",
  };
  expect(await check({ ...good, SUBTAXA_MAX_DELIVER: "1", SUBTAXA_LOG_LEVEL: "Debug" }))
    .toEqual({ host: "0.0.0.0", port: 0 });
  expect(await check({ SUBTAXA_PORT: "", SUBTAXA_ACK_WAIT: "", SUBTAXA_HOST: "" }))
    .toEqual({ host: "127.0.0.1", port: 8080 });
});

Deno.test("a NATS server that is given must answer", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.addr.port}`;
  await Effect.runPromise(reachNats(`nats://user:secret@${address}`));
  await Effect.runPromise(reachNats(address));
  listener.close();
  const { message } = await Effect.runPromise(Effect.flip(reachNats(`nats://user:secret@${address}`)));
  expect(message).toBe(
    `Nothing answers at NATS_URL (${address}): start it, or unset NATS_URL and "up" starts one.`,
  );
  expect((await Effect.runPromise(Effect.flip(reachNats("nats://a b:x")))).message).toMatch(/^NATS_URL is /);
});
