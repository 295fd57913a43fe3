import type { RunView } from "@subtaxa/contracts";
import { expect } from "expect";
import { join, resolve } from "node:path";
import { datasetView as dataset, runView } from "./testing.ts";

const root = resolve(import.meta.dirname!, "../..");
const entry = join(root, "scripts", "subtaxa.ts");

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const subtaxa = async (args: readonly string[], env: Record<string, string> = {}): Promise<Answer> => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", entry, ...args],
    env: { NO_COLOR: "1", SUBTAXA_TOKEN: "", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
};

const metrics = {
  accuracy: 0.9,
  precision: 0.9,
  recall: 0.9,
  fScore: 0.875,
  falseNegativeVariance: 0,
  falsePositiveVariance: 0,
  falsePositiveRateVariance: 0,
  falseDiscoveryRateVariance: 0,
  perfectClasses: 1,
};
const run: RunView = {
  ...runView,
  clusterer: { name: "xmeans", parameters: { restarts: 4 }, versions: ["1.0.0", "1.1.0"] },
  classes: [{ name: "copepod", falseNegative: 0.4, allowedClusters: 3, clusters: 3 }],
};
const facts = [
  { type: "run.requested", fold: 0, epoch: 0 },
  { type: "epoch.trained", fold: 0, epoch: 1, training: { loss: 0.5, seconds: 3 } },
  { type: "epoch.validated", fold: 0, epoch: 1, loss: 1, metrics, converged: null },
  { type: "something.new" },
  { type: "dataset.relabelled", fold: 0, epoch: 1, changes: [{ class: "copepod", from: 1, to: 3 }] },
  { type: "fold.completed", fold: 0, epoch: 1, metrics },
  { type: "run.completed" },
];

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly token: string | null;
  readonly lastEventId: string | null;
}

/** A gateway that knows one dataset and one run, whose events break off once after the third fact: it starts anew. */
const withGateway = async (
  use: (url: string, seen: Seen[]) => Promise<void>,
  endsAs: Partial<RunView> = { state: "completed", metrics, step: "completed" },
): Promise<void> => {
  const seen: Seen[] = [];
  let view = run;
  const starting = () => new Response("starting\n", { status: 503 });
  const problem = (status: number, detail: string) =>
    new Response(JSON.stringify({ type: "urn:x", title: "There is no such thing", status, detail }), {
      status,
      headers: { "content-type": "application/problem+json" },
    });
  const events = (after: string | null) => {
    const last = after === null ? 3 : facts.length;
    const messages = facts.slice(Number(after ?? 0), last).map((fact, i) =>
      `id: ${Number(after ?? 0) + i + 1}\nevent: ${fact.type}\ndata: ${JSON.stringify(fact)}\n\n`
    );
    const progress = { runId: "r1", fold: 0, epoch: 1, step: "train", done: 3, total: 9, loss: 0.7 };
    messages.splice(1, 0, `event: progress\ndata: ${JSON.stringify(progress)}\n\n: alive\n\n`);
    if (last === facts.length) view = { ...view, ...endsAs };
    return new Response(messages.join(""), { headers: { "content-type": "text/event-stream" } });
  };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      const text = await request.text();
      const path = pathname + search;
      const lastEventId = request.headers.get("last-event-id");
      seen.push({
        method: request.method,
        path,
        body: text ? JSON.parse(text) : undefined,
        token: request.headers.get("authorization"),
        lastEventId,
      });
      const first = seen.filter((one) => one.path === path && one.lastEventId === lastEventId).length === 1;
      switch (`${request.method} ${pathname}`) {
        case "GET /v1/datasets":
          return Response.json([dataset]);
        case "POST /v1/datasets":
          return Response.json({ ...dataset, state: "importing" }, { status: 202 });
        case "GET /v1/datasets/plankton":
          return Response.json(dataset);
        case "GET /v1/datasets/busy":
          return starting();
        case "GET /v1/datasets/broken":
          return Response.json({
            ...dataset,
            name: "broken",
            state: "failed",
            classes: [],
            warnings: [{ kind: "depth", message: "12 bits were seen" }],
            error: { tag: "x", message: "one class only" },
          });
        case "GET /v1/datasets/plankton/events":
          if (first) return starting();
          // falls through
        case "GET /v1/datasets/broken/events":
          return new Response(
            `event: progress\ndata: {"dataset":"plankton","done":5,"total":10,"rejected":1}\n\n`,
            {
              headers: { "content-type": "text/event-stream" },
            },
          );
        case "POST /v1/runs":
          return Response.json({ id: "r1" }, { status: 202 });
        case "GET /v1/clusterers":
          return Response.json([{ name: "xmeans", instances: 0, versions: [] }]);
        case "GET /v1/runs":
          return Response.json([run]);
        case "GET /v1/runs/r1":
          return Response.json(view);
        case "GET /v1/runs/r1/events":
          return lastEventId && first ? starting() : events(lastEventId);
        case "POST /v1/runs/r1/cancel":
          return Response.json({ ...run, state: "cancelled" }, { status: 202 });
        case "GET /v1/runs/r1/report":
          return new Response("<!doctype html>");
        default:
          return problem(404, `there is nothing at '${pathname}'`);
      }
    },
  );
  try {
    await use(`http://127.0.0.1:${server.addr.port}`, seen);
  } finally {
    await server.shutdown();
  }
};

Deno.test("wrong usage is exit code 2 with a suggestion, help is 0", async () => {
  const unknown = await subtaxa(["rnus"]);
  expect(unknown).toMatchObject({ code: 2, stdout: "" });
  expect(unknown.stderr).toContain("Did you mean runs?");
  const flag = await subtaxa(["run", "--dataset", "x", "--epoch", "3"]);
  expect(flag.code).toBe(2);
  expect(flag.stderr).toContain("Did you mean --epochs?");
  const value = await subtaxa(["run", "--dataset", "x", "--image-size", "17"]);
  expect(value.code).toBe(2);
  expect(value.stderr).toContain("--image-size");
  for (const url of ["nonsense", "localhost:8080"]) {
    const nowhere = await subtaxa(["runs", "--url", url]);
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toMatch(new RegExp(`'${url}' .*It is no address such as http://`));
  }
  const port = await subtaxa(["run", "--dataset", "x"], { SUBTAXA_PORT: "abc" });
  expect(port.code).toBe(2);
  expect(port.stderr).toContain('error: SUBTAXA_PORT is "abc", which is no port from 0 to 65535\n');
  expect((await subtaxa(["up", "--port", "99999"])).stderr).toContain("It is no port");
  const up = await subtaxa(["up"], { SUBTAXA_PORT: "abc", NATS_URL: "" });
  expect(up).toEqual({
    code: 1,
    stdout: "",
    stderr: 'error: SUBTAXA_PORT is "abc", but must be a port from 0 to 65535.\n',
  });
  expect((await subtaxa([])).code).toBe(2);
  const help = await subtaxa(["--help"]);
  expect(help.code).toBe(0);
  expect(help.stdout).toContain("Exit codes: 0 done, 1 failed, 2 wrong usage");
});

Deno.test("no gateway, a refusal and a stranger are exit code 1 with what to do", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const nobody = await subtaxa(["runs"], { SUBTAXA_PORT: String(port), HTTP_PROXY: "http://127.0.0.1:2" });
  expect(nobody.code).toBe(1);
  expect(nobody.stderr).toContain(`error: nothing answers at http://127.0.0.1:${port} (Connection refused`);
  expect(nobody.stderr).toContain("subtaxa up");
  await withGateway(async (url) => {
    const refused = await subtaxa(["cancel", "nope", "--url", url]);
    expect(refused).toEqual({
      code: 1,
      stdout: "",
      stderr: "error: There is no such thing: there is nothing at '/v1/runs/nope/cancel'\n",
    });
  });
  await withGateway(async (url, seen) => {
    const busy = await subtaxa(["datasets", "busy", "--url", url]);
    expect(busy.code).toBe(1);
    expect(busy.stderr).toBe(
      `error: what answers at ${url} is not ready yet (status 503): try again in a moment\n`,
    );
    expect(seen.length).toBe(1);
  });
  const stranger = Deno.serve({ port: 0, onListen: () => undefined }, () => new Response("hello"));
  const strange = await subtaxa(["runs", "--url", `http://127.0.0.1:${stranger.addr.port}`]);
  await stranger.shutdown();
  expect(strange.code).toBe(1);
  expect(strange.stderr).toContain("is no Subtaxa of this version");
});

Deno.test("run --watch tells every epoch once, over a broken connection to a gateway that starts anew", () =>
  withGateway(async (url, seen) => {
    const args = [
      "run",
      "--dataset",
      "plankton",
      "--epochs",
      "2",
      "--watch",
      "--url",
      url,
      "--token",
      "secret",
    ];
    const { code, stdout, stderr } = await subtaxa(args);
    expect(code).toBe(0);
    expect(seen[0]).toMatchObject({
      method: "POST",
      path: "/v1/runs",
      body: { dataset: "plankton", epochs: 2 },
      token: "Bearer secret",
    });
    expect(seen.filter(({ path }) => path.endsWith("/events")).map(({ lastEventId }) => lastEventId))
      .toEqual([null, "3", "3"]);
    expect(stderr).toContain("nobody serves the clusterer 'xmeans' now");
    expect(stdout).toContain("run r1: clustering on plankton, at most 2 epochs");
    expect(stdout).toContain("epoch 1 train");
    expect(stdout).toContain("3/9  loss 0.7000");
    expect(stdout.match(/^epoch {3}1 {2}loss 0\.5000 .* F 87\.5 % {2}copepod 1→3$/gm)?.length).toBe(1);
    expect(stdout).toContain("held-out accuracy 90.0 %");
    expect(stdout).toContain("sub-classes at the end: copepod 3");
    const clusterer = 'xmeans 1.0.0, 1.1.0 {"restarts":4}';
    expect(stdout).toContain(`at most 2 epochs, clusterer ${clusterer}\n`);
    expect(stdout).toContain(`  divided by ${clusterer}\n`);
  }));

Deno.test("a run that failed is exit code 1; --json prints how it ended and nothing else", () =>
  withGateway(async (url) => {
    const { code, stdout, stderr } = await subtaxa(["watch", "r1", "--json", "--url", url]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ id: "r1", state: "failed" });
    expect(stderr).toContain("copepod 1→3");
  }, { state: "failed", error: { tag: "x", message: "the GPU is gone" } }));

Deno.test("Ctrl-C while watching leaves the run alone and says so", () =>
  withGateway(async (url) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", entry, "watch", "r1", "--url", url],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGINT");
    const error = await new Response(child.stderr).text();
    while (!(await reader.read()).done);
    expect((await child.status).code).toBe(130);
    expect(error).toContain(`"subtaxa cancel r1" stops it`);
  }, { state: "running" }));

Deno.test("import asks for the folder's absolute path and lists what was rejected", () =>
  withGateway(async (url, seen) => {
    const imported = await subtaxa([
      "import",
      "some/folder",
      "--name",
      "plankton",
      "--max-side",
      "128",
      "--url",
      url,
    ], {
      INIT_CWD: "/where/the/user/is",
    });
    expect(imported.code).toBe(0);
    const { body } = seen.find(({ method }) => method === "POST")!;
    expect(body).toEqual({ name: "plankton", path: "/where/the/user/is/some/folder", maxSide: 128 });
    expect(imported.stderr).toContain("replaces the dataset plankton of 2 classes and 1,412 images");
    expect(imported.stdout).toContain("importing plankton 5/10  1 rejected");
    expect(imported.stdout).toContain("dataset plankton is ready: 2 classes, 1,412 images, 1 file rejected");
    expect(imported.stdout).toContain("  1 file: can't be decoded\n    copepod/1.png");
    const failed = await subtaxa(["import", "/x/broken", "--json", "--url", url]);
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({ name: "broken", state: "failed" });
    const inWords = await subtaxa(["import", "/x/broken", "--on-label-conflict", "ask", "--url", url]);
    expect(inWords.code).toBe(1);
    expect(seen.findLast(({ method }) => method === "POST")!.body).toMatchObject({ onLabelConflict: "ask" });
    const why = [
      "dataset broken can't be used: one class only",
      "  warning: 12 bits were seen",
      "  1 file: can't be decoded\n    copepod/1.png\n",
    ].join("\n");
    expect(inWords.stdout).toContain(why);
    const later = await subtaxa(["datasets", "broken", "--url", url]);
    expect(later).toMatchObject({ code: 0, stdout: why });
    const help = (await subtaxa(["import", "--help"])).stdout.replaceAll(/\s+/g, " ");
    expect(help).toContain("--bit-depth <integer>");
    expect(help).toContain("(8 to 16)");
    expect(help).toContain("--pixel-size <number>");
    expect(help).toContain("(keep | drop | ask; default: keep)");
  }));

Deno.test("lists, cancel and report answer in words and as JSON", () =>
  withGateway(async (url) => {
    const at = ["--url", url];
    expect((await subtaxa(["runs", ...at])).stdout).toMatch(
      /^run {2}state .*\nr1 {3}running {2}plankton {2}small 64 {2}clustering {2}xmeans 1\.0\.0, 1\.1\.0 {2}0 of 2/,
    );
    expect(JSON.parse((await subtaxa(["runs", "--json", ...at])).stdout)).toEqual([run]);
    expect((await subtaxa(["datasets", ...at])).stdout).toContain(
      "plankton  ready        2    1412         1",
    );
    expect(JSON.parse((await subtaxa(["datasets", "plankton", "--json", ...at])).stdout)).toEqual(dataset);
    expect((await subtaxa(["cancel", "r1", ...at])).stdout).toBe("run r1 is cancelled\n");
    const folder = await Deno.makeTempDir({ prefix: "subtaxa-report-" });
    const report = await subtaxa(["report", "r1", "--json", "--output", "x.html", ...at], {
      INIT_CWD: folder,
    });
    expect(JSON.parse(report.stdout)).toEqual({ run: "r1", path: join(folder, "x.html") });
    expect(await Deno.readTextFile(join(folder, "x.html"))).toBe("<!doctype html>");
    const within = await subtaxa(["report", "r1", "--output", ".", ...at], { INIT_CWD: folder });
    expect(within.stdout).toBe(`the report is at ${join(folder, "subtaxa-r1.html")}\n`);
    await Deno.remove(folder, { recursive: true });
  }));

Deno.test("where nothing runs, ps, down and top say so", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-cli-" });
  const env = { SUBTAXA_DATA: folder };
  expect(await subtaxa(["ps", "--json"], env)).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
  expect(await subtaxa(["down"], env)).toEqual({ code: 0, stdout: "nothing is running\n", stderr: "" });
  const top = await subtaxa(["top", "--once"], env);
  expect(top.code).toBe(1);
  expect(top.stderr).toBe(
    `error: nothing is running on ${folder}: start it with "subtaxa up", or name a gateway elsewhere with --url\n`,
  );
  await Deno.remove(folder, { recursive: true });
});
