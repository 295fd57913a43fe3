import { Blobs } from "@subtaxa/bus";
import { encodePretrained, readPretrained } from "@subtaxa/model";
import { madeUpWeights } from "@subtaxa/model/testing";
import { Effect } from "effect";
import { expect } from "expect";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { WorkerError } from "@subtaxa/tensorflow";
import { problemIn, withGateway } from "./testing.ts";
import { importTrees, requestOf, startRun } from "./testing_run.ts";
import { weightsProblem } from "./weights.ts";

const canonical = () => encodePretrained(madeUpWeights("small", "keras"));

Deno.test(
  "a run starts from a file of weights below a data root: one blob, whoever uses it, in Subtaxa's own form",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const path = join(gateway.root, "weights.safetensors");
    const bytes = canonical();
    await Deno.writeFile(path, bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const pretrainedOf = async (request: Record<string, unknown>) =>
      (await requestOf(gateway, await startRun(gateway, request))).spec.pretrained;

    const first = await pretrainedOf({ weights: path, freeze: "stem" });
    expect(first).toEqual({ key: `sha256-${sha256}`, sha256, bytes: bytes.length });
    expect(await pretrainedOf({ weights: path })).toEqual(first);
    const file = await gateway.run(Effect.scoped(Effect.flatMap(Blobs, (blobs) => blobs.file(first!))));
    expect(Buffer.compare(encodePretrained(await readPretrained(file, "small")), bytes)).toBe(0);
    expect(await pretrainedOf({})).toBeNull();
    expect(gateway.logs).toEqual([]);
  }),
);

Deno.test(
  "weights that can't be used are a problem of the field `weights`",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const inside = join(gateway.root, "weights.safetensors");
    await Deno.writeFile(inside, canonical());
    const outside = join(gateway.data, "weights.safetensors");
    await Deno.mkdir(gateway.data, { recursive: true });
    await Deno.writeFile(outside, canonical());
    await Deno.symlink(outside, join(gateway.root, "link.safetensors"));
    await Deno.writeTextFile(join(gateway.root, "notes.txt"), "what I did");

    const cases: [request: Record<string, unknown>, type: string, message: RegExp][] = [
      [{ weights: outside }, "path-not-importable", /is not below an allowed folder/],
      [{ weights: join(gateway.root, "link.safetensors") }, "path-not-importable", /by a symbolic link/],
      [{ weights: join(gateway.root, "none.h5") }, "path-not-importable", /none\.h5' does not exist/],
      [{ weights: gateway.root }, "path-not-importable", /is no file/],
      [{ weights: join(gateway.root, "notes.txt") }, "unusable-weights", /notes\.txt is of an unknown kind/],
      [
        { weights: inside, backbone: "resnet50" },
        "unusable-weights",
        /holds weights of small, not of resnet50/,
      ],
      [
        { weights: "imagenet" },
        "unusable-weights",
        /nobody publishes ImageNet weights for the network 'small'/,
      ],
    ];
    for (const [request, type, message] of cases) {
      const response = await gateway.post("/v1/runs", { dataset: "trees", ...request });
      const problem = await problemIn(response, 422);
      expect(problem.type).toBe(`urn:subtaxa:problem:${type}`);
      expect(problem.errors).toEqual([{ field: "weights", message: expect.stringMatching(message) }]);
    }
    expect(await gateway.json("/v1/runs")).toEqual([]);
  }),
);

Deno.test(
  "published weights that can't be fetched are a problem that says which file to put where",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const nowhere = `http://127.0.0.1:${listener.addr.port}`;
    listener.close();
    const names = ["SUBTAXA_HOME", "HTTPS_PROXY"];
    const before = names.map((name) => Deno.env.get(name));
    try {
      Deno.env.set("SUBTAXA_HOME", gateway.data); // read by the thread that fetches, as it begins
      Deno.env.set("HTTPS_PROXY", nowhere);
      const request = { dataset: "trees", backbone: "resnet50", weights: "imagenet" };
      const problem = await problemIn(await gateway.post("/v1/runs", request), 503);
      expect(problem.type).toBe("urn:subtaxa:problem:weights-not-fetched");
      const place = join(gateway.data, "weights", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5");
      expect(problem.errors).toEqual([{
        field: "weights",
        message: expect.stringContaining(`put it at ${place}`),
      }]);
      expect(await gateway.json("/v1/runs")).toEqual([]);
    } finally {
      names.forEach((name, i) => {
        const value = before[i];
        value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
      });
    }
  }),
);

Deno.test("a thread that ended while it read weights is worth another request, a defect of ours is not", () => {
  const of = (_tag: "Crashed" | "Defect") =>
    weightsProblem(WorkerError.of({ _tag, operation: "convert", detail: "out of memory" }));
  expect(of("Crashed")).toMatchObject({ reason: { _tag: "unavailable" }, headers: { "retry-after": "5" } });
  expect(of("Defect")).toBeNull();
});
