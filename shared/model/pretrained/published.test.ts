import { expect } from "expect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ModelError } from "../error.ts";
import { fetchPublished, type Published, published, publishedFor } from "./published.ts";

const content = new Uint8Array(300_000).map((_, i) => i % 251);
const sha256 = createHash("sha256").update(content).digest("hex");

/** A server of its own, which answers as `answer` says, and a home of its own. */
const withServer = async (
  answer: (request: Request) => Response | Promise<Response>,
  use: (weights: Published, home: string) => Promise<void>,
) => {
  const home = await Deno.makeTempDir();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  try {
    const url = `http://127.0.0.1:${server.addr.port}/weights.h5`;
    await use({ url, file: "weights.h5", bytes: content.length, sha256 }, home);
  } finally {
    await server.shutdown();
    await Deno.remove(home, { recursive: true });
  }
};

const filesIn = async (home: string) => {
  const names = [];
  for await (const { name } of Deno.readDir(join(home, "weights"))) names.push(name);
  return names;
};

/** Expects an error that helps: the address, the place, the size and the digest. */
const expectHelp = async (weights: Published, home: string, fetching: Promise<string>, detail: RegExp) => {
  const error: ModelError = await fetching.then(() => undefined, (cause) => cause);
  expect(error).toBeInstanceOf(ModelError);
  expect(error.reason).toEqual({
    _tag: "NotFetched",
    url: weights.url,
    file: join(home, "weights", weights.file),
  });
  expect(error.message).toMatch(detail);
  for (
    const part of [weights.url, join(home, "weights", "weights.h5"), weights.sha256, String(weights.bytes)]
  ) {
    expect(error.message).toContain(part);
  }
};

Deno.test("weights are fetched once, with progress, and checked again before each use", async () => {
  let requests = 0;
  await withServer(() => {
    requests++;
    return new Response(content);
  }, async (weights, home) => {
    const told: number[] = [];
    const path = await fetchPublished(weights, { home, onProgress: (done) => told.push(done) });
    expect(path).toBe(join(home, "weights", "weights.h5"));
    expect(await Deno.readFile(path)).toEqual(content);
    expect(told.at(-1)).toBe(content.length);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    expect(await fetchPublished(weights, { home })).toBe(path);
    expect(requests).toBe(1);

    await Deno.writeFile(path, content.with(7, 0));
    await fetchPublished(weights, { home });
    expect(await Deno.readFile(path)).toEqual(content);
    expect(requests).toBe(2);
    expect(await filesIn(home)).toEqual(["weights.h5"]);
  });
});

Deno.test("something else than the published file is refused, and leaves nothing behind", async (t) => {
  const answers: [string, () => Response, RegExp][] = [
    [
      "other bytes",
      () => new Response(content.with(7, 0)),
      /what came has the SHA-256 [0-9a-f]{64} instead of/,
    ],
    [
      "truncated",
      () => new Response(content.subarray(0, 1000)),
      /what came has 1000 bytes instead of 300000/,
    ],
    ["not there", () => new Response("no", { status: 404 }), /the server answered 404/],
  ];
  for (const [name, answer, detail] of answers) {
    await t.step(name, () =>
      withServer(answer, async (weights, home) => {
        await expectHelp(weights, home, fetchPublished(weights, { home }), detail);
        expect(await filesIn(home)).toEqual([]);
      }));
  }
});

Deno.test("a connection that breaks or falls silent is an error", () => {
  const half = new ReadableStream({
    start: (controller) => controller.enqueue(content.subarray(0, 1000)),
  });
  return withServer(() => new Response(half), async (weights, home) => {
    const fetching = fetchPublished(weights, { home, silenceMillis: 200 });
    await expectHelp(weights, home, fetching, /the server said nothing for 0\.2 s/);
    expect(await filesIn(home)).toEqual([]);
  });
});

Deno.test("without a connection the error says what to put where; a file put there is used", async () => {
  const home = await Deno.makeTempDir();
  try {
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const url = `http://127.0.0.1:${listener.addr.port}/weights.h5`;
    listener.close();
    const weights = { url, file: "weights.h5", bytes: content.length, sha256 };
    await expectHelp(weights, home, fetchPublished(weights, { home }), /put it at/);
    const path = join(home, "weights", "weights.h5");
    await Deno.writeFile(path, content.subarray(1));
    await expectHelp(weights, home, fetchPublished(weights, { home }), /is there, but has 299999 bytes/);
    await Deno.writeFile(path, content);
    expect(await fetchPublished(weights, { home })).toBe(path);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("what is published is pinned: https, size and SHA-256; `small` has nothing", () => {
  for (const { url, bytes, sha256 } of Object.values(published)) {
    expect(url).toMatch(/^https:/);
    expect(bytes).toBeGreaterThan(1e7);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  }
  expect(publishedFor("resnet50").file).toMatch(/\.h5$/);
  expect(() => publishedFor("small")).toThrow(/nobody publishes ImageNet weights for the network 'small'/);
});
