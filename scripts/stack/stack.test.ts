import { Effect, type Scope } from "effect";
import { expect } from "expect";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ProcessView } from "./process_view.ts";
import { beganAt } from "./identity.ts";
import {
  readPidFile,
  runningOn,
  type ServiceDefinition,
  type Stack,
  StackError,
  startOwnStack,
  startStack,
} from "./mod.ts";
import { writePidFile } from "./pid_file.ts";

Deno.env.delete("NATS_URL"); // these tests start their own

const module = join(import.meta.dirname!, "testdata", "fake_service.ts");
const fake = (name: string, mode = name): ServiceDefinition => ({ name, module, env: { FAKE_MODE: mode } });
const trio = [fake("gateway"), fake("trainer"), fake("evaluator")];

const inFolder = <A, E>(use: (folder: string) => Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.acquireUseRelease(
    Effect.promise(() => Deno.makeTempDir({ prefix: "subtaxa-stack-" })),
    (folder) => Effect.scoped(use(folder)),
    (folder) => Effect.promise(() => Deno.remove(folder, { recursive: true })),
  ));

const start = (dataFolder: string, services: readonly ServiceDefinition[], log: string[] = []) =>
  startStack({
    dataFolder,
    port: 0,
    services,
    log: (line) => log.push(line),
    timing: { firstPause: 20, startAttempts: 3, grace: 2_000 },
  });

const until = <A>(what: string, read: () => A | undefined | false): Effect.Effect<A> =>
  Effect.gen(function* () {
    for (let tries = 0; tries < 600; tries++) {
      const value = read();
      if (value !== undefined && value !== false) return value as A;
      yield* Effect.sleep("25 millis");
    }
    throw new Error(`waited in vain until ${what}`);
  });

const find = (stack: Stack, service: string) =>
  stack.processes().find((process) => process.service === service)!;

const allGone = (processes: readonly ProcessView[]) =>
  processes.every(({ pid }) => beganAt(pid) === undefined);

Deno.test("a stack runs NATS and its services, tells what runs, and leaves nothing behind", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const processes = yield* Effect.scoped(Effect.gen(function* () {
        const stack = yield* start(folder, trio);
        yield* stack.ready;
        const processes = stack.processes();
        expect(processes.map(({ service, state }) => [service, state])).toEqual([
          ["nats", "ready"],
          ["gateway", "ready"],
          ["trainer", "ready"],
          ["evaluator", "ready"],
        ]);
        expect((yield* Effect.promise(() => fetch(`${stack.url}/`))).status).toBe(200);
        expect(String(find(stack, "gateway").port)).toBe(new URL(stack.url).port);
        expect(yield* runningOn(folder)).toEqual({ supervisor: Deno.pid, url: stack.url, processes });
        return processes;
      }));
      expect(allGone(processes)).toBe(true);
      expect(yield* readPidFile(folder)).toBeUndefined();
      expect(yield* runningOn(folder)).toBeUndefined();
      for (const { name } of trio) {
        expect(Deno.readTextFileSync(join(folder, "logs", `${name}.log`))).toContain(
          "drained while NATS was there",
        );
      }
    })
  ));

Deno.test("a service and a NATS server that are killed come back", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const log: string[] = [];
      const stack = yield* start(folder, trio, log);
      yield* stack.ready;
      for (const service of ["trainer", "nats"]) {
        const before = find(stack, service);
        Deno.kill(before.pid, "SIGKILL");
        const after = yield* until(`${service} is back`, () => {
          const now = find(stack, service);
          return now.pid !== before.pid && now.state === "ready" && now;
        });
        if (service === "nats") expect(after.port).toBe(before.port);
        expect((yield* runningOn(folder))?.processes).toContainEqual(after);
      }
      expect(log.join("\n")).toContain("trainer was ended by SIGKILL; starting it again in 0.02 s");
    })
  ));

Deno.test("a service that never becomes ready is given up with its last words", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const stack = yield* start(folder, [fake("gateway"), fake("trainer", "broken")]);
      const error = yield* Effect.flip(stack.ready);
      expect(error.reason).toMatchObject({ _tag: "ServiceGaveUp", service: "trainer", attempts: 3 });
      expect(error.message).toContain("ended with code 3");
      expect(error.message).toContain("no weights found");
    })
  ));

Deno.test("a service that ignores SIGTERM is killed after the grace", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const processes = yield* Effect.scoped(Effect.gen(function* () {
        const stack = yield* start(folder, [fake("stubborn")]);
        yield* stack.ready;
        return stack.processes();
      }));
      expect(allGone(processes)).toBe(true);
      expect(Deno.readTextFileSync(join(folder, "logs", "stubborn.log"))).toContain("not listening to that");
    })
  ));

Deno.test("a second stack on the same folder says where the first one runs; a taken port names SUBTAXA_PORT", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const stack = yield* start(folder, [fake("gateway")]);
      yield* stack.ready;
      const second = yield* Effect.flip(Effect.scoped(start(folder, [fake("gateway")])));
      expect(second).toBeInstanceOf(StackError);
      expect(second.reason).toMatchObject({ _tag: "AlreadyRunning", pid: Deno.pid, url: stack.url });
      const port = Number(new URL(stack.url).port);
      const taken = yield* Effect.flip(
        Effect.scoped(startStack({ dataFolder: join(folder, "other"), port, services: [] })),
      );
      expect(taken.reason).toEqual({ _tag: "PortTaken", port, setting: "SUBTAXA_PORT" });
      expect(taken.message).toContain("or set SUBTAXA_PORT to a free port");
      const nats = yield* Effect.flip(Effect.scoped(
        startStack({ dataFolder: join(folder, "other"), port: 0, natsPort: port, services: [] }),
      ));
      expect(nats.message).toContain(`Port ${port} is already in use`);
      expect(nats.message).toContain("or set --nats-port to a free port");
      expect(allGone(stack.processes())).toBe(false);
    })
  ));

Deno.test("a stack of one's own joins nothing of the user's, whatever the environment says", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const users = { NATS_URL: "nats://127.0.0.1:1", SUBTAXA_HOST: "0.0.0.0", SUBTAXA_TOKEN: "theirs" };
      for (const [name, value] of Object.entries(users)) Deno.env.set(name, value);
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => Object.keys(users).forEach((name) => Deno.env.delete(name)))
      );
      const said = join(folder, "said.json");
      const module = join(folder, "says.ts");
      yield* Effect.promise(() =>
        Deno.writeTextFile(
          module,
          `const { NATS_URL, SUBTAXA_HOST, SUBTAXA_TOKEN } = Deno.env.toObject();
           Deno.writeTextFileSync(${
            JSON.stringify(said)
          }, JSON.stringify({ NATS_URL, SUBTAXA_HOST, SUBTAXA_TOKEN }));
           await import(${JSON.stringify(fake("gateway").module)});`,
        )
      );
      const services = [{ name: "gateway", module, env: { FAKE_MODE: "gateway" } }];
      const stack = yield* startOwnStack({ dataFolder: join(folder, "data"), services });
      yield* stack.ready;
      expect(stack.url).toMatch(/^http:\/\/127\.0\.0\.1:/);
      expect(stack.natsUrl).not.toBe(users.NATS_URL);
      expect(stack.processes().map(({ service }) => service)).toEqual(["nats", "gateway"]);
      expect(JSON.parse(Deno.readTextFileSync(said)))
        .toEqual({ NATS_URL: stack.natsUrl, SUBTAXA_HOST: "127.0.0.1", SUBTAXA_TOKEN: "" });
    })
  ));

Deno.test("a setting that can't work fails before anything is started", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const dataFolder = join(folder, "data");
      const started = (options: { env?: Record<string, string>; natsUrl?: string; natsPort?: number }) =>
        Effect.scoped(startStack({ dataFolder, port: 0, services: trio, ...options }));
      const setting = yield* Effect.flip(started({ env: { SUBTAXA_MAX_DELIVER: "many" } }));
      expect(setting.reason).toMatchObject({ _tag: "BadSetting", name: "SUBTAXA_MAX_DELIVER" });
      const nats = yield* Effect.flip(started({ natsUrl: "nats://127.0.0.1:1" }));
      expect(nats.reason).toEqual({ _tag: "NatsSilent", address: "127.0.0.1:1" });
      const twice = yield* Effect.flip(
        started({ natsUrl: "nats://user:secret@127.0.0.1:1", natsPort: 4222 }),
      );
      expect(twice.message).toBe(
        `--nats-port is "4222", but must be left out where NATS_URL names a server that runs already.`,
      );
      expect(existsSync(dataFolder)).toBe(false);
    })
  ));

Deno.test("when the parent is killed, all that it started ends", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const parent = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", join(import.meta.dirname!, "testdata", "parent.ts"), folder, module],
        stdout: "piped",
      }).spawn();
      const reader = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const processes: ProcessView[] = JSON.parse((yield* Effect.promise(() => reader.read())).value!);
      expect(processes.map(({ service }) => service)).toEqual(["nats", "gateway", "trainer"]);
      expect(allGone(processes)).toBe(false);
      parent.kill("SIGKILL");
      yield* Effect.promise(() => Promise.all([parent.status, reader.cancel()]));
      yield* until("the guard has swept", () => allGone(processes) && !existsSync(join(folder, "up.json")));
      expect(Deno.readTextFileSync(join(folder, "logs", "trainer.log"))).not.toContain("NATS was gone");
    })
  ));

Deno.test("leftovers of a dead predecessor are ended, a stranger with the same pid is not", () =>
  inFolder((folder) =>
    Effect.gen(function* () {
      const left = new Deno.Command("sleep", { args: ["60"] }).spawn();
      const stranger = yield* Effect.acquireRelease(
        Effect.sync(() => new Deno.Command("sleep", { args: ["60"] }).spawn()),
        (child) =>
          Effect.sync(() => child.kill("SIGKILL")).pipe(Effect.andThen(Effect.promise(() => child.status))),
      );
      const entry = (service: string, pid: number, began: string) =>
        ({ service, pid, began, port: 1, state: "ready" }) as const;
      writePidFile(folder, {
        supervisor: { pid: Deno.pid, began: "another time" },
        url: "http://127.0.0.1:1",
        natsUrl: "nats://127.0.0.1:1",
        processes: [
          entry("trainer", left.pid, beganAt(left.pid)!),
          entry("nats", stranger.pid, "another time"),
        ],
      });
      expect(yield* runningOn(folder)).toMatchObject({
        supervisor: undefined,
        processes: [{ service: "trainer" }],
      });
      const log: string[] = [];
      const stack = yield* start(folder, [fake("gateway")], log);
      expect((yield* Effect.promise(() => left.status)).signal).toBe("SIGTERM");
      expect(beganAt(stranger.pid)).toBeDefined();
      expect(log[0]).toContain(`trainer (process ${left.pid})`);
      yield* stack.ready;
    })
  ));
