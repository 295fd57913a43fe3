import { ConfigProvider, Effect, Layer } from "effect";
import { expect } from "expect";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { serverOf } from "./connection.ts";
import { Connection, DEAD, isNewEnough, KeyValue, startNatsServer } from "./mod.ts";

Deno.test("an address is taken apart into what the NATS client wants", () => {
  expect(serverOf("nats://host:4222")).toEqual({ servers: "nats://host:4222" });
  expect(serverOf("host")).toEqual({ servers: "host" });
  expect(serverOf("nats://[::1]:4222")).toEqual({ servers: "nats://[::1]:4222" });
  expect(serverOf("nats://trainer:se%3Acret@host:4222"))
    .toEqual({ servers: "nats://host:4222", user: "trainer", pass: "se:cret" });
  expect(serverOf("tls://token@host")).toEqual({ servers: "tls://host", token: "token" });
});

Deno.test("a malformed address is said without its password", async () => {
  const env = ConfigProvider.layer(
    ConfigProvider.fromUnknown({ NATS_URL: "nats://trainer:%E0secret@127.0.0.1:1" }),
  );
  const { message } = await Effect.runPromise(
    Layer.build(Connection.layer("test").pipe(Layer.provide(env))).pipe(Effect.scoped, Effect.flip),
  );
  expect(message).toContain("could not read NATS_URL");
  expect(message).not.toContain("secret");
});

Deno.test("a server that is too old is refused by its version", async () => {
  expect(["2.10.0", "2.12.0-RC.1", "v3.0.1"].map(isNewEnough)).toEqual([true, true, true]);
  expect(["2.9.25", "1.10.0", "", "unknown"].map(isNewEnough)).toEqual([false, false, false, false]);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  /** As far as a client goes until it is connected. */
  const greet = async (client: Deno.TcpConn) => {
    const send = (line: string) => client.write(new TextEncoder().encode(`${line}\r\n`));
    await send(`INFO {"server_id":"old","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576}`);
    for await (const bytes of client.readable) {
      if (new TextDecoder().decode(bytes).includes("PING")) await send("PONG");
    }
  };
  const serving = (async () => {
    for await (const client of listener) await greet(client);
  })();
  const env = ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_URL: `nats://127.0.0.1:${port}` }));
  const error = await Effect.runPromise(
    Layer.build(Connection.layer("test").pipe(Layer.provide(env))).pipe(Effect.scoped, Effect.flip),
  );
  listener.close();
  await serving;
  expect(error).toMatchObject({ reason: { _tag: "TooOld", version: "2.9.10" }, retryable: false });
  expect(error.message).toContain("2.10.0 or newer");
});

Deno.test("streams and buckets of a former version get the settings of this one, and keep what is in them", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-connection-" });
  const start = <A, E>(url: string, ttl: number, use: Effect.Effect<A, E, Connection | KeyValue>) =>
    use.pipe(Effect.provide(
      KeyValue.layer("test", ttl).pipe(
        Layer.provideMerge(Connection.layer("test")),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_URL: url }))),
        Layer.fresh,
      ),
    ));
  const configOf = (name: string) =>
    Effect.flatMap(Connection, ({ jsm }) => Effect.promise(() => jsm.streams.info(name)))
      .pipe(Effect.map(({ config }) => config));
  const program = Effect.gen(function* () {
    const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
    const { url } = yield* startNatsServer({ binary, folder });
    const former = { max_age: 3600e9, description: "the operator's" };
    const { max_age } = yield* start(
      url,
      60_000,
      Effect.gen(function* () {
        const { jsm } = yield* Connection;
        const config = yield* configOf(DEAD);
        yield* (yield* KeyValue).put("key", "kept");
        yield* Effect.promise(() => jsm.streams.update(DEAD, former));
        return config;
      }),
    );
    expect(max_age).toBeGreaterThan(former.max_age);
    yield* start(
      url,
      120_000,
      Effect.gen(function* () {
        expect(yield* configOf(DEAD)).toMatchObject({ ...former, max_age });
        expect((yield* configOf("KV_test")).max_age).toBe(120e9);
        expect(yield* (yield* KeyValue).get("key")).toBe("kept");
      }),
    );
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
