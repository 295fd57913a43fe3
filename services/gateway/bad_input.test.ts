import { PrometheusMetrics } from "effect/observability";
import { expect } from "expect";
import { problemIn, withGateway } from "./testing.ts";
import { importTrees } from "./testing_run.ts";

Deno.test(
  "bad input: every answer is a problem that names the culprit, and the gateway stays up",
  withGateway(async (gateway) => {
    const { get, post } = gateway;
    const type = (problem: { type: string }) => problem.type.split(":").at(-1);
    const raw = (path: string, body: BodyInit, contentType: string) =>
      fetch(gateway.base + path, { method: "POST", body, headers: { "content-type": contentType } });

    const malformed = await problemIn(await post("/v1/runs", '{"dataset": "d",\n "seed": 1x}'), 400);
    expect([type(malformed), malformed.detail]).toEqual([
      "malformed-json",
      expect.stringContaining("line 2, column 11"),
    ]);
    await problemIn(await post("/v1/runs", ""), 400);
    await problemIn(await post("/v1/runs", "[".repeat(1_000_000)), 400);

    const wrong = await problemIn(
      await post("/v1/runs", {
        dataset: "no spaces",
        method: "magic",
        epochs: "ten",
        seed: -1,
        colour: 1,
        size: 2,
      }),
      422,
    );
    expect(wrong.errors!.map(({ field }) => field).sort()).toEqual([
      "colour",
      "dataset",
      "epochs",
      "method",
      "seed",
      "size",
    ]);
    expect(wrong.errors!.find(({ field }) => field === "method")!.message).toContain("clustering+triplet");
    for (const body of ["null", "[]", "7", '"text"', "{}", '{"__proto__": {"a": 1}, "dataset": "d"}']) {
      const problem = await problemIn(await post("/v1/runs", body), 422);
      expect(problem.errors!.length).toBeGreaterThan(0);
    }
    const dataset = await problemIn(await post("/v1/datasets", { name: "a/b", path: 5, maxSide: 1e9 }), 422);
    expect(dataset.errors!.map(({ field }) => field).sort()).toEqual(["maxSide", "name", "path"]);

    const form = new FormData();
    form.set("file", new File(["PK"], "images.zip"));
    const upload = await problemIn(
      await fetch(`${gateway.base}/v1/datasets`, { method: "POST", body: form }),
      415,
    );
    expect(upload.detail).toContain("not offered yet");
    await problemIn(await raw("/v1/runs", "dataset: d", "application/yaml"), 415);
    await problemIn(await raw("/v1/runs", "{}", "text/plain"), 415);
    await problemIn(await fetch(`${gateway.base}/v1/runs`, { method: "POST" }), 415);

    const lost = await problemIn(await get("/v1/nothing/here"), 404);
    expect([type(lost), lost.detail]).toEqual(["unknown-route", expect.stringContaining("/v1/nothing/here")]);
    await problemIn(await get("/v1/datasets/%2e%2e%2f"), 404);
    await problemIn(await get("/v1/runs/%00"), 404);
    await problemIn(await get("/page/../main.ts"), 404);
    await problemIn(await get("/page/%2e%2e%2fmain.ts"), 404);
    const method = await fetch(`${gateway.base}/v1/runs/x`, { method: "DELETE" });
    expect(method.headers.get("allow")).toBe("GET, HEAD");
    expect((await problemIn(method, 405)).detail).toContain("DELETE");
    await problemIn(await fetch(`${gateway.base}/v1/datasets`, { method: "PUT", body: "{}" }), 405);

    const foreign = await problemIn(
      await post("/v1/runs/x/cancel", undefined, { "sec-fetch-site": "cross-site" }),
      403,
    );
    expect(type(foreign)).toBe("cross-site");
    expect(await gateway.json("/v1/runs")).toEqual([]);
  }),
);

Deno.test(
  "twenty megabytes of JSON are refused, announced or not, and cost no memory worth the name",
  withGateway(async (gateway) => {
    const text = JSON.stringify({ dataset: "d", note: "x".repeat(20_000_000) });
    const announced = await problemIn(await gateway.post("/v1/runs", text), 413);
    expect(announced.detail).toContain("1048576 bytes");
    const pieces = () => {
      let left = 20;
      return new ReadableStream<Uint8Array>({
        pull: (controller) =>
          left-- > 0 ? controller.enqueue(new Uint8Array(1_000_000).fill(32)) : controller.close(),
      });
    };
    const before = Deno.memoryUsage().rss;
    for (let i = 0; i < 20; i++) {
      const answer = await fetch(`${gateway.base}/v1/datasets`, {
        method: "POST",
        body: pieces(),
        headers: { "content-type": "application/json" },
      });
      await problemIn(answer, 413);
    }
    expect(Deno.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
    expect(await gateway.json("/v1/datasets")).toEqual([]);
  }),
);

Deno.test(
  "settings that contradict one another are a problem of the one to change",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const cases: [request: Record<string, unknown>, field: string, message: RegExp][] = [
      [
        { freeze: "conv3", weights: "w.h5" },
        "freeze",
        /^small has no stage 'conv3': its stages are stem, stage1/,
      ],
      [{ freeze: "stem" }, "freeze", /^random weights can't be frozen/],
      [{ freeze: "backbone" }, "freeze", /^random weights can't be frozen/],
      [
        { freeze: "backbone", weights: "w.h5", augmentation: "flip-rotate" },
        "augmentation",
        /made before the training.*freeze up to its last stage \(stage3\)/,
      ],
      [
        { sampling: "grouped", batchSize: 7, imagesPerClass: 4 },
        "imagesPerClass",
        /^a batch of 7 has no room for two sub-classes of 4 images/,
      ],
    ];
    for (const [request, field, message] of cases) {
      const problem = await problemIn(await gateway.post("/v1/runs", { dataset: "trees", ...request }), 422);
      expect(problem.type).toBe("urn:subtaxa:problem:invalid-request");
      expect(problem.errors).toEqual([{ field, message: expect.stringMatching(message) }]);
    }
    const fits = { sampling: "grouped", batchSize: 8, imagesPerClass: 4 };
    expect((await gateway.post("/v1/runs", { dataset: "trees", ...fits })).status).toBe(202);
  }),
);

Deno.test(
  "methods that nobody knows are counted as one",
  withGateway(async (gateway) => {
    for (const method of ["BREW", "FROB"]) {
      const response = await fetch(`${gateway.base}/v1/runs`, { method });
      await problemIn(response, 405);
    }
    const metrics = await gateway.run(PrometheusMetrics.format());
    expect(metrics).toMatch(/http_requests_total\{[^}]*method="_OTHER"[^}]*status="405"[^}]*\} 2/);
    expect(metrics).not.toMatch(/BREW|FROB/);
  }),
);
