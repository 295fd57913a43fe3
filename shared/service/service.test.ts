import { Bus, Connection, startNatsServer } from "@subtaxa/bus";
import { Problem } from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Effect, Layer } from "effect";
import { expect } from "expect";
import { runRequested, startService } from "./testdata/service.ts";

const startSleeper = (env: Record<string, string>) => startService(env, "sleeper.ts");

Deno.test("an API that is starting says when to ask again; its probes answer", async () => {
  const starter = startService({ NATS_URL: "nats://127.0.0.1:1", SUBTAXA_PORT: "0" }, "starter.ts");
  const { annotations } = await starter.until((line) => line.message === "listening");
  const get = (path: string) => fetch(`http://127.0.0.1:${annotations.port}${path}`);
  const answer = await get("/v1/runs");
  expect(answer.status).toBe(503);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.headers.get("retry-after")).toBe("1");
  expect(Problem.parse(await answer.json()).title).toBe("The service is starting");
  expect(await (await get("/healthz")).text()).toBe("ok\n");
  expect(await (await get("/readyz")).text()).toBe("starting\n");
  starter.process.kill("SIGKILL");
  await starter.drain();
  await starter.process.status;
  await starter.process.stdin.close();
});

Deno.test("a service listens, becomes ready, counts its messages and drains on SIGTERM", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-service-" });
  const program = Effect.gen(function* () {
    const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
    const nats = yield* startNatsServer({ binary, folder: `${folder}/nats` });
    const env = { NATS_URL: nats.url, SUBTAXA_DATA: folder };
    const layer = Bus.layer.pipe(Layer.provideMerge(
      Connection.layer("test").pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))),
    ));
    yield* Effect.gen(function* () {
      const bus = yield* Bus;
      const { jsm } = yield* Connection;
      const sleeper = startSleeper(env);
      const { annotations } = yield* Effect.promise(() =>
        sleeper.until((line) => line.message === "listening")
      );
      expect(annotations.service).toBe("sleeper");
      const get = (path: string) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${annotations.port}${path}`);
          return { status: response.status, body: await response.text() };
        });
      expect((yield* get("/healthz")).status).toBe(200);
      yield* get("/readyz").pipe(
        Effect.repeat({ until: ({ status }) => status === 200 }),
        Effect.timeout("60 seconds"),
      );
      expect((yield* get("/nothing")).status).toBe(404);

      yield* bus.publish(runRequested("short"));
      const done = yield* Effect.promise(() => sleeper.until((line) => line.annotations.outcome === "done"));
      expect(done.annotations).toMatchObject({ service: "sleeper", runId: "short", fold: 0, epoch: 0 });
      expect((yield* get("/metrics")).body).toMatch(
        /subtaxa_messages_total\{[^}]*type="run.requested"[^}]*\} 1/,
      );

      yield* bus.publish(runRequested("long"));
      yield* Effect.promise(() => sleeper.until((line) => line.message === "working"));
      sleeper.process.kill("SIGTERM");
      yield* Effect.promise(() => sleeper.until((line) => line.message === "stopped"));
      yield* Effect.promise(() => sleeper.drain());
      expect((yield* Effect.promise(() => sleeper.process.status)).code).toBe(0);
      yield* Effect.promise(() => sleeper.process.stdin.close());
      // handed back, not left to its deadline: another instance gets it at once
      const next = startSleeper(env);
      yield* Effect.promise(() => next.until((line) => line.message === "working"));
      expect((yield* Effect.promise(() => jsm.consumers.info("SUBTAXA", "sleeper"))).num_ack_pending).toBe(1);
      next.process.kill("SIGKILL");
      yield* Effect.promise(() => next.drain());
      yield* Effect.promise(() => next.process.status);
      yield* Effect.promise(() => next.process.stdin.close());

      // a consumer that was deleted is there again, without any instance to take its messages
      yield* Effect.promise(() => jsm.consumers.delete("SUBTAXA", "sleeper"));
      const registering = startSleeper({ ...env, SUBTAXA_REGISTER_ONLY: "true" });
      yield* Effect.promise(() => registering.until((line) => line.message === "registered"));
      yield* Effect.promise(() => registering.drain());
      expect((yield* Effect.promise(() => registering.process.status)).code).toBe(0);
      yield* Effect.promise(() => registering.process.stdin.close());
      const registered = yield* Effect.promise(() => jsm.consumers.info("SUBTAXA", "sleeper"));
      expect([registered.num_pending > 0, registered.num_ack_pending]).toEqual([true, 0]);

      const child = startSleeper({ ...env, SUBTAXA_STOP_WITH_PARENT: "true" });
      yield* Effect.promise(() => child.until((line) => line.message === "listening"));
      yield* Effect.promise(() => child.process.stdin.close());
      yield* Effect.promise(() => child.drain());
      expect((yield* Effect.promise(() => child.process.status)).code).toBe(0);
    }).pipe(Effect.provide(layer));
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an address that is none of this machine's is not called a taken port", async () => {
  const sleeper = startSleeper({ SUBTAXA_HOST: "192.0.2.1" }); // for documentation (RFC 5737)
  const fatal = JSON.stringify(await sleeper.until((line) => line.message === "the service ends"));
  expect(fatal).toMatch(/could not listen on 192\.0\.2\.1:.*; see SUBTAXA_HOST/);
  expect(fatal).not.toContain("free port");
  await sleeper.drain();
  expect((await sleeper.process.status).code).toBe(1);
  await sleeper.process.stdin.close();
});

Deno.test("a service whose credentials were changed ends with code 1 and says why, so that it is started anew", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-credentials-" });
  const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
  const configure = (token: string) =>
    Deno.writeTextFile(
      `${folder}/nats.conf`,
      `listen: "127.0.0.1:${port}"
      jetstream { store_dir: "${folder}" }
      authorization { token: "${token}" }`,
    );
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await configure("old");
  const nats = new Deno.Command(binary, {
    args: ["--config", `${folder}/nats.conf`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const sleeper = startSleeper({ NATS_URL: `nats://old@127.0.0.1:${port}`, SUBTAXA_DATA: folder });
    const { annotations } = await sleeper.until((line) => line.message === "listening");
    const ready = async () => {
      const response = await fetch(`http://127.0.0.1:${annotations.port}/readyz`);
      await response.body?.cancel();
      return response.ok;
    };
    while (!await ready());
    await configure("new");
    nats.kill("SIGHUP");
    const fatal = await sleeper.until((line) => line.message === "the service ends");
    expect(JSON.stringify(fatal)).toMatch(
      /closed this service's connection for good .*NATS_URL must have the new/,
    );
    await sleeper.drain();
    expect((await sleeper.process.status).code).toBe(1);
    await sleeper.process.stdin.close();
  } finally {
    nats.kill("SIGKILL");
    await nats.status;
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a port that is taken is a clear reason to end with code 1", async () => {
  const blocker = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    () => new Response(),
  );
  const sleeper = startSleeper({ SUBTAXA_PROBE_PORT: String(blocker.addr.port) });
  const fatal = await sleeper.until((line) => line.message === "the service ends");
  expect(JSON.stringify(fatal)).toMatch(/could not listen on .*; set SUBTAXA_PROBE_PORT to a free port/);
  await sleeper.drain();
  expect((await sleeper.process.status).code).toBe(1);
  await sleeper.process.stdin.close();
  await blocker.shutdown();
});
