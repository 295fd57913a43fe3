import type { Method, RunView } from "@subtaxa/contracts";
import { Effect } from "effect";
import { expect } from "expect";
import { openLedger } from "./ledger.ts";
import { keyOf, runsAtOnce, Settings } from "./plan.ts";
import { completedBefore, describeOutcome, gaugeOf, type Outcome, runMethods } from "./runs.ts";
import { plantedRun } from "./testing.ts";

const settings = Settings.parse({ dataset: "plankton", folds: 2, clusterer: "xmeans" });
const importedAt = "2026-01-05T08:00:00.000Z";

interface Asked {
  readonly key: string | null;
  readonly body: { readonly method: Method; readonly clusterer?: string };
}

interface Gateway {
  readonly target: { readonly url: string };
  /** Runs by id; a new one is called after its method and how many there were. */
  readonly runs: Map<string, RunView>;
  readonly asked: Asked[];
}

const view = (id: string, method: Method, rest: Partial<RunView>): RunView =>
  plantedRun({ id, dataset: settings.dataset, method, ...rest });

/** A gateway whose runs end as soon as they are looked at, and a folder for the ledger. */
const withGateway = async (
  endOf: (method: Method, number: number) => Partial<RunView> | "refused",
  use: (gateway: Gateway, folder: string) => Promise<void>,
): Promise<void> => {
  const runs = new Map<string, RunView>();
  const byKey = new Map<string, string>();
  const asked: Asked[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    async (request) => {
      if (request.method === "GET") {
        const { pathname, search } = new URL(request.url);
        expect(search).toBe("?history=false"); // asked every second: without the epochs
        const run = runs.get(pathname.replace("/v1/runs/", ""));
        const none = { type: "urn:x", title: "None", status: 404, detail: "there is none" };
        return run ? Response.json(run) : Response.json(none, { status: 404 });
      }
      const body = await request.json() as Asked["body"];
      const key = request.headers.get("idempotency-key");
      asked.push({ key, body });
      const end = endOf(body.method, runs.size);
      if (end === "refused") {
        const problem = {
          type: "urn:x",
          title: "Bad settings",
          status: 422,
          detail: "freeze: no such stage",
        };
        return Response.json(problem, {
          status: 422,
          headers: { "content-type": "application/problem+json" },
        });
      }
      const id = byKey.get(key!) ?? `${body.method.replace("+", "-")}-${runs.size}`;
      byKey.set(key!, id);
      if (!runs.has(id)) runs.set(id, view(id, body.method, end));
      return Response.json({ id }, { status: 202 });
    },
  );
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-runs-" });
  try {
    await use({ target: { url: `http://127.0.0.1:${server.addr.port}` }, runs, asked }, folder);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
};

const failure = {
  state: "failed",
  error: { tag: "TrainerError/NoMemory", message: "out of memory" },
} as const;

const runAll = (
  { target }: Gateway,
  folder: string,
  methods: readonly Method[],
  retry = false,
): Promise<readonly Outcome[]> =>
  Effect.runPromise(Effect.gen(function* () {
    const ledger = yield* openLedger(folder, settings);
    return yield* runMethods(methods, { target, settings, importedAt, ledger, retry, atOnce: 1 });
  }));

Deno.test("each method is asked for once, by its key, and completed ones are not repeated", () =>
  withGateway(() => ({ state: "completed" }), async (gateway, folder) => {
    const first = await runAll(gateway, folder, ["standard", "clustering", "gs-trs"]);
    expect(first).toEqual([
      { method: "standard", state: "completed", id: "standard-0" },
      { method: "clustering", state: "completed", id: "clustering-1" },
      { method: "gs-trs", state: "completed", id: "gs-trs-2" },
    ]);
    expect(gateway.asked.map(({ key }) => key)).toEqual([
      keyOf(settings, importedAt, "standard", 0),
      keyOf(settings, importedAt, "clustering", 0),
      keyOf(settings, importedAt, "gs-trs", 0),
    ]);
    // the chosen clusterer is X-Means' stand-in, not that of GS-TRS
    expect(gateway.asked.map(({ body }) => body.clusterer)).toEqual(["xmeans", "xmeans", undefined]);
    expect(await runAll(gateway, folder, ["standard", "clustering", "gs-trs"], true)).toEqual(first);
    expect(gateway.asked.length).toBe(3);
  }));

Deno.test("what an earlier call completed is known to one for fewer methods, and nothing else", () =>
  withGateway(
    (method) => method === "triplet" ? failure : { state: "completed" },
    async (gateway, folder) => {
      await runAll(gateway, folder, ["standard", "triplet", "clustering"]);
      const before = await Effect.runPromise(
        Effect.flatMap(
          openLedger(folder, settings),
          (ledger) =>
            completedBefore(["triplet", "clustering", "gs-trs"], { target: gateway.target, ledger }),
        ),
      );
      expect(before).toEqual([{ method: "clustering", state: "completed", id: "clustering-2" }]);
      expect(gateway.asked.length).toBe(3);
    },
  ));

Deno.test("killed between asking and writing the answer down, it asks for the same run", () =>
  withGateway(() => ({ state: "completed" }), async (gateway, folder) => {
    await Effect.runPromise(
      Effect.flatMap(
        openLedger(folder, settings),
        (ledger) => ledger.set("standard", { key: keyOf(settings, importedAt, "standard", 0), attempt: 0 }),
      ),
    );
    await fetch(`${gateway.target.url}/v1/runs`, {
      method: "POST",
      headers: { "idempotency-key": keyOf(settings, importedAt, "standard", 0) },
      body: JSON.stringify({ method: "standard" }),
    });
    await runAll(gateway, folder, ["standard"]);
    expect([...gateway.runs.keys()]).toEqual(["standard-0"]);
  }));

Deno.test("a failed run is named, kept, and started anew only when asked", () =>
  withGateway((_, number) => number === 0 ? failure : { state: "completed" }, async (gateway, folder) => {
    const [failed, other] = await runAll(gateway, folder, ["standard", "triplet"]);
    expect(failed).toEqual({
      method: "standard",
      state: "failed",
      id: "standard-0",
      message: "out of memory",
    });
    expect(other!.state).toBe("completed");
    expect(describeOutcome(failed!)).toBe("run standard-0 has failed: out of memory; --retry starts it anew");

    expect((await runAll(gateway, folder, ["standard", "triplet"]))[0]).toEqual(failed);
    expect(gateway.asked.length).toBe(2);

    expect((await runAll(gateway, folder, ["standard", "triplet"], true))[0])
      .toEqual({ method: "standard", state: "completed", id: "standard-2" });
    expect(gateway.asked[2]!.key).toBe(keyOf(settings, importedAt, "standard", 1));
    expect(gateway.asked.length).toBe(3);
  }));

Deno.test("a run that the gateway doesn't know is lost, and cancelled ones stay so", () =>
  withGateway(() => ({ state: "cancelled" }), async (gateway, folder) => {
    expect((await runAll(gateway, folder, ["standard"]))[0]!.state).toBe("cancelled");
    gateway.runs.clear();
    expect(describeOutcome((await runAll(gateway, folder, ["standard"]))[0]!))
      .toBe("run standard-0 is lost: the gateway knows no such run; --retry starts it anew");
    expect(gateway.asked.length).toBe(1);
  }));

Deno.test("what is refused for one method doesn't keep the others from running", () =>
  withGateway(
    (method) => method === "gs-trs" ? "refused" : { state: "completed" },
    async (gateway, folder) => {
      const [refused, other] = await runAll(gateway, folder, ["gs-trs", "standard"]);
      expect(refused).toEqual({
        method: "gs-trs",
        state: "refused",
        message: "Bad settings: freeze: no such stage",
      });
      expect(other!.state).toBe("completed");
    },
  ));

Deno.test("several runs go at once only when one doesn't keep all trainers busy", () => {
  expect([[1, 5], [2, 5], [5, 5], [6, 5], [2, 1]].map(([trainers, folds]) => runsAtOnce(trainers!, folds!)))
    .toEqual([1, 1, 1, 2, 2]);
});

Deno.test("the bar goes over the epochs of all folds", () => {
  // the third of five folds is in its last epoch: that is no reason to look finished
  const one = view("r", "standard", {
    folds: 5,
    epoch: 25,
    epochs: 25,
    epochsDone: 61,
    step: "fold 3: training",
  });
  expect(gaugeOf({ ...one, secondsLeft: 90 })).toMatchObject({ done: 61, total: 125 });
});
