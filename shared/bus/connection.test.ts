import { ConfigProvider, Effect, Layer } from "effect";
import { expect } from "expect";
import { serverOf } from "./connection.ts";
import { Connection } from "./mod.ts";

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
