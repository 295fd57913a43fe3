import type { Blobs, Bus, Connection } from "@subtaxa/bus";
import { ConfigProvider, Context, Effect, Layer } from "effect";
import { expect } from "expect";
import { gatewayLayer } from "./layers.ts";
import { isWithin, Settings } from "./settings.ts";
import { problemIn, withGateway } from "./testing.ts";

const token = "correct horse battery staple".replaceAll(" ", "-");

Deno.test(
  "with a token: the API and its description want it, as header or session; page, probes and static files don't",
  withGateway(async (gateway) => {
    const guarded = [
      "/v1/datasets",
      "/v1/runs",
      "/v1/nothing",
      "/docs",
      "/docs/swagger-ui.css",
      "/openapi.json",
    ];
    for (const path of guarded) {
      const answer = await gateway.get(path);
      expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="subtaxa"');
      expect((await problemIn(answer, 401)).detail).toContain("SUBTAXA_TOKEN");
      for (
        const wrong of [`Bearer ${token}x`, `Bearer ${token.slice(1)}`, "Bearer", `Basic ${token}`, token]
      ) {
        await problemIn(await gateway.get(path, { authorization: wrong }), 401);
      }
      const right = await gateway.get(path, { authorization: `Bearer ${token}` });
      await right.body?.cancel();
      expect(right.status).toBe(path === "/v1/nothing" ? 404 : 200);
    }
    await problemIn(await gateway.post("/v1/runs", { dataset: "d" }), 401);
    const page = await gateway.get("/");
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    await page.body?.cancel();

    await problemIn(await gateway.post("/session", { token: "guess" }), 401);
    await problemIn(await gateway.post("/session", { password: token }), 422);
    const session = await gateway.post("/session", { token });
    expect(session.status).toBe(204);
    const [cookie, ...rules] = session.headers.get("set-cookie")!.split("; ");
    expect(rules.sort()).toEqual(["HttpOnly", "Path=/", "SameSite=Strict"]);
    expect(cookie).not.toContain(token);
    for (const path of guarded) {
      const answer = await gateway.get(path, { cookie: cookie! });
      await answer.body?.cancel();
      expect(answer.status).toBe(path === "/v1/nothing" ? 404 : 200);
    }
    // an ingress ends TLS: it speaks HTTP with the gateway, and says that the browser doesn't
    const secure = await fetch(`${gateway.base}/session`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-forwarded-proto": "https" },
      body: JSON.stringify({ token }),
    });
    expect(secure.headers.get("set-cookie")!.split("; ").sort()).toEqual([...rules, "Secure", cookie].sort());
    await problemIn(await gateway.get("/v1/runs", { cookie: `${cookie}0` }), 401);
    const gone = await fetch(`${gateway.base}/session`, { method: "DELETE" });
    expect([gone.status, gone.headers.get("set-cookie")]).toEqual([
      204,
      expect.stringContaining("Max-Age=0"),
    ]);
  }, { env: { SUBTAXA_TOKEN: token } }),
);

/** Status and body of a GET with this Host header, which `fetch` doesn't let one choose. */
const getAs = async (base: string, host: string, path: string) => {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(base).port) });
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  return { status: Number(answer.split(" ")[1]), answer };
};

Deno.test(
  "without a token, the gateway answers only to this machine's names: another name may lead here by DNS rebinding",
  withGateway(async ({ base }) => {
    for (const path of ["/v1/runs", "/", "/openapi.json"]) {
      for (const host of ["localhost", "localhost:8080", "127.0.0.1:1", "127.8.8.8", "[::1]", "[::1]:8080"]) {
        expect([host, (await getAs(base, host, path)).status]).toEqual([host, 200]);
      }
      for (
        const host of ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "[::2]"]
      ) {
        const { status, answer } = await getAs(base, host, path);
        expect([host, status]).toEqual([host, 403]);
        expect(answer).toMatch(
          /application\/problem\+json[^]*urn:subtaxa:problem:foreign-host.*SUBTAXA_TOKEN/,
        );
      }
    }
  }),
);

Deno.test(
  "with a token, the gateway answers to any name",
  withGateway(async ({ base }) => {
    expect((await getAs(base, "subtaxa.example", "/")).status).toBe(200);
    expect((await getAs(base, "subtaxa.example", "/v1/runs")).status).toBe(401);
  }, { env: { SUBTAXA_TOKEN: token } }),
);

const settings = (env: Record<string, string>) =>
  Settings.pipe(
    Effect.provide(Settings.layer.pipe(
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))),
    )),
    Effect.result,
    Effect.runPromise,
  );

Deno.test("a setting that can't be used is named", async () => {
  const env = ConfigProvider.layer(ConfigProvider.fromUnknown({ SUBTAXA_CLUSTERER_TIMEOUT: "soon" }));
  const nothing = Layer.succeedContext(Context.empty() as Context.Context<Blobs | Bus | Connection>);
  const failure = await Effect.runPromise(
    Layer.build(gatewayLayer).pipe(
      Effect.provide(Layer.mergeAll(nothing, env)),
      Effect.scoped,
      Effect.flip,
    ),
  );
  expect(failure).toMatchObject({
    _tag: "GatewayError",
    reason: { _tag: "Setting", name: "SUBTAXA_CLUSTERER_TIMEOUT" },
  });
});

Deno.test("an interface that others reach wants a token; the loopback interface doesn't", async () => {
  for (const host of ["0.0.0.0", "::", "192.168.0.7", "localhost.example", "127.0.0.1.example"]) {
    for (const blank of [{}, { SUBTAXA_TOKEN: "  " }]) {
      expect(await settings({ SUBTAXA_HOST: host, ...blank })).toMatchObject({
        _tag: "Failure",
        failure: {
          _tag: "GatewayError",
          reason: { _tag: "Unguarded", host },
          message: expect.stringMatching(/SUBTAXA_TOKEN is not set/),
        },
      });
    }
    expect(await settings({ SUBTAXA_HOST: host, SUBTAXA_TOKEN: token })).toMatchObject({
      success: { token },
    });
  }
  for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1"]) {
    expect(await settings({ SUBTAXA_HOST: host })).toMatchObject({ success: { token: null } });
  }
});

Deno.test("data roots: resolved, those that don't exist left out", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "subtaxa-roots-" }));
  try {
    await Deno.mkdir(`${folder}/real`);
    await Deno.symlink(`${folder}/real`, `${folder}/link`);
    expect(await settings({ SUBTAXA_DATA_ROOTS: `${folder}/link::${folder}/absent:.` })).toMatchObject({
      success: { dataRoots: [`${folder}/real`, Deno.cwd()] },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  expect(isWithin("/a/b", "/a/b")).toBe(true);
  expect(isWithin("/a/b", "/a/b/..c/d")).toBe(true);
  expect(isWithin("/", "/a")).toBe(true);
  expect(isWithin("/a/b", "/a/bc")).toBe(false);
  expect(isWithin("/a/b", "/a")).toBe(false);
  expect(isWithin("/a/b", "/a/b/../c")).toBe(false);
});
