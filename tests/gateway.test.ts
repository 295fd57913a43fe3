import { Blobs, Bus, Connection, startNatsServer } from "@subtaxa/bus";
import type { EventOf } from "@subtaxa/contracts";
import { readManifest } from "@subtaxa/dataset";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { Objm } from "@nats-io/obj";
import { ConfigProvider, Effect, Layer } from "effect";
import { expect } from "expect";
import { join } from "node:path";

const main = join(import.meta.dirname!, "../services/gateway/main.ts");
const natsServer = natsServerPath(subtaxaHome(), currentPlatform()!);

interface Line {
  message: unknown;
  annotations: Record<string, unknown>;
}

/** The gateway as a process; `port` once it listens, `ended` all that it logged. */
const startGateway = (env: Record<string, string>) => {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main],
    env: { SUBTAXA_PORT: "0", SUBTAXA_ACK_WAIT: "1 second", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines: Line[] = [];
  const listening = Promise.withResolvers<number>();
  const read = async () => {
    let rest = "";
    for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop()!;
      for (const part of parts) {
        const line = JSON.parse(part) as Line;
        lines.push(line);
        if (line.message === "listening") listening.resolve(Number(line.annotations.port));
      }
    }
    listening.reject(new Error(`the gateway ended before it listened: ${JSON.stringify(lines)}`));
  };
  const reading = read();
  listening.promise.catch(() => undefined);
  return {
    port: listening.promise,
    kill: (signal: Deno.Signal) => process.kill(signal),
    ended: async () => {
      const { code } = await process.status;
      await reading;
      return { code, lines };
    },
  };
};

const until = async <A>(what: string, look: () => Promise<A | null>): Promise<A> => {
  for (let i = 0; i < 600; i++) {
    const found = await look();
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: waited for half a minute in vain`);
};

/** A grey BMP file of noise: 8 bits per pixel, palette of greys. */
const noiseBmp = (side: number): Uint8Array => {
  const file = new Uint8Array(54 + 1024 + side * side);
  const view = new DataView(file.buffer);
  file.set([0x42, 0x4d]);
  view.setUint32(2, file.length, true);
  view.setUint32(10, 54 + 1024, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, side, true);
  view.setInt32(22, side, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 8, true);
  for (let grey = 0; grey < 256; grey++) file.set([grey, grey, grey, 0], 54 + 4 * grey);
  for (let at = 54 + 1024; at < file.length; at += 65_536) {
    crypto.getRandomValues(file.subarray(at, Math.min(at + 65_536, file.length)));
  }
  return file;
};

Deno.test("an import whose process is killed half-way is repeated and leaves nothing else behind", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "subtaxa-import-" }));
  const started: ReturnType<typeof startGateway>[] = [];
  const images = 400;
  const program = Effect.gen(function* () {
    const nats = yield* startNatsServer({ binary: natsServer, folder: join(folder, "nats") });
    const env = {
      NATS_URL: nats.url,
      SUBTAXA_DATA: join(folder, "data"),
      SUBTAXA_DATA_ROOTS: join(folder, "images"),
    };
    const imports = join(env.SUBTAXA_DATA, "cache/imports");
    const start = async () => {
      const gateway = startGateway(env);
      started.push(gateway);
      const base = `http://127.0.0.1:${await gateway.port}`;
      await until("ready", async () => {
        const answer = await fetch(`${base}/readyz`);
        await answer.body?.cancel();
        return answer.ok ? true : null;
      });
      return { gateway, base };
    };
    const dataset = async (base: string) =>
      await (await fetch(`${base}/v1/datasets/noise`)).json() as {
        state: string;
        progress?: { done: number };
        classes: unknown;
      };

    yield* Effect.promise(async () => {
      for (let i = 0; i < images; i++) {
        const name = join(folder, "images", "noise", i % 2 ? "odd" : "even");
        await Deno.mkdir(name, { recursive: true });
        await Deno.writeFile(join(name, `${i}.bmp`), noiseBmp(384));
      }
      const first = await start();
      const created = await fetch(`${first.base}/v1/datasets`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: "noise", path: join(folder, "images/noise") }),
      });
      expect(created.status).toBe(202);
      await created.body?.cancel();
      await until("half-way", async () => {
        const { state, progress } = await dataset(first.base);
        expect(state).toBe("importing");
        return progress && progress.done > images / 4 ? true : null;
      });
      first.gateway.kill("SIGKILL");
      expect((await first.gateway.ended()).code).not.toBe(0);
      expect((await Array.fromAsync(Deno.readDir(imports))).length).toBe(2); // a folder and its lock

      const second = await start();
      const ready = await until("ready", async () => {
        const view = await dataset(second.base);
        return view.state === "importing" ? null : view;
      });
      expect(ready).toMatchObject({
        state: "ready",
        classes: [{ name: "even", images: images / 2 }, { name: "odd", images: images / 2 }],
      });
      expect(await Array.fromAsync(Deno.readDir(imports))).toEqual([]);

      // a stream that somebody follows doesn't hold up a stop
      const run = await fetch(`${second.base}/v1/runs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ dataset: "noise", method: "standard" }),
      });
      const { id } = await run.json() as { id: string };
      const events = await fetch(`${second.base}/v1/runs/${id}/events`);
      const told = events.text();
      second.gateway.kill("SIGTERM");
      expect(await told).toContain("event: run.requested");
      expect((await second.gateway.ended()).code).toBe(0);
    });

    const provider = ConfigProvider.layer(ConfigProvider.fromUnknown(env));
    const layer = Layer.mergeAll(Bus.layer, Blobs.layer).pipe(
      Layer.provideMerge(Connection.layer("test")),
      Layer.provide(provider),
    );
    yield* Effect.gen(function* () {
      const facts = yield* (yield* Bus).history("subtaxa.dataset.*.*.noise.*");
      expect(facts.map(({ event }) => event.type)).toEqual(["dataset.requested", "dataset.imported"]);
      const { manifest } = facts[1]!.event as EventOf<"dataset.imported">;
      const { shards } = yield* readManifest(manifest);
      const { nc } = yield* Connection;
      const stored = yield* Effect.promise(async () => (await new Objm(nc).open("subtaxa-blobs")).list());
      expect(stored.map(({ name }) => name).sort()).toEqual(
        [manifest, ...shards].map(({ key }) => key).sort(),
      );
    }).pipe(Effect.provide(layer));
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    for (const gateway of started) {
      try {
        gateway.kill("SIGKILL");
      } catch {
        // it has ended
      }
      await gateway.ended();
    }
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a gateway that others could reach without a token ends with code 1 and says why", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-open-" });
  const program = Effect.gen(function* () {
    const nats = yield* startNatsServer({ binary: natsServer, folder: join(folder, "nats") });
    const env = { NATS_URL: nats.url, SUBTAXA_DATA: folder, SUBTAXA_HOST: "0.0.0.0" };
    const { code, lines } = yield* Effect.promise(() => startGateway(env).ended());
    expect(code).toBe(1);
    expect(JSON.stringify(lines.at(-1))).toMatch(/SUBTAXA_HOST is 0\.0\.0\.0.*SUBTAXA_TOKEN is not set/);
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
