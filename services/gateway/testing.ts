/** For tests: the gateway in this process, over a real nats-server, on a free port. */
import { AckPolicy } from "@nats-io/jetstream";
import { Blobs, Bus, Connection, consume, type KeyValue, startNatsServer } from "@subtaxa/bus";
import { type DatasetView, type Event, type Problem, subjects } from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Effect, Layer, Logger, References } from "effect";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { expect } from "expect";
import { join } from "node:path";
import sharp from "sharp";
import type { Absences } from "./absences.ts";
import { Api } from "./api/mod.ts";
import { importDataset, importFilters } from "./handlers.ts";
import { gatewayLayer } from "./layers.ts";
import type { Clusterers } from "./clusterers.ts";
import type { ReadModel } from "./read_model.ts";
import type { Settings } from "./settings.ts";

export const natsServer = natsServerPath(subtaxaHome(), currentPlatform()!);

type BusServices = Absences | Bus | Blobs | Connection | KeyValue | ReadModel | Clusterers | Settings;

export interface Gateway {
  /** `http://127.0.0.1:<port>` */
  readonly base: string;
  /** The folder that imports may read. */
  readonly root: string;
  /** `SUBTAXA_DATA` */
  readonly data: string;
  /** What was logged as a warning or worse. */
  readonly logs: readonly string[];
  run<A, E>(effect: Effect.Effect<A, E, BusServices>): Promise<A>;
  publish(...events: Event[]): Promise<number[]>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** The JSON of a call that must succeed. */
  json<A>(path: string): Promise<A>;
  /** Imports `root/<name>` and waits until that has ended. */
  import(name: string, more?: Record<string, unknown>): Promise<DatasetView>;
}

/** The consumer that a clusterer leaves at the server; nobody pulls from it here. */
const clustererOf = (route: string) =>
  Effect.flatMap(Connection, ({ jsm }) =>
    Effect.promise(() =>
      jsm.consumers.add("SUBTAXA", {
        durable_name: `clusterer-${route}`,
        filter_subjects: [subjects.of("epoch.validated", route), subjects.of("features.extracted", route)],
        ack_policy: AckPolicy.Explicit,
      })
    ));

/** Runs a test with a nats-server, a folder and a gateway of its own. Without `importer`, nobody takes the imports; `clusterers` are the names of those that are known. */
export const withGateway = (
  body: (gateway: Gateway) => Promise<void>,
  { importer = true, clusterers = ["xmeans"], env = {} }: {
    importer?: boolean;
    clusterers?: readonly string[];
    env?: Record<string, string>;
  } = {},
) =>
async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-gateway-" });
  const root = join(await Deno.realPath(folder), "images");
  const data = join(folder, "data");
  await Deno.mkdir(root);
  const logs: string[] = [];
  const collect = Layer.mergeAll(
    Logger.layer([Logger.map(Logger.formatJson, (line) => void logs.push(line))]),
    Layer.succeed(References.MinimumLogLevel, "Warn" as const),
  );
  const program = Effect.gen(function* () {
    const nats = yield* startNatsServer({ binary: natsServer, folder: join(folder, "nats") });
    const settings = { NATS_URL: nats.url, SUBTAXA_DATA: data, SUBTAXA_DATA_ROOTS: root, ...env };
    const layer = gatewayLayer.pipe(
      Layer.provideMerge(Layer.mergeAll(Bus.layer, Blobs.layer)),
      Layer.provideMerge(Connection.layer("gateway")),
      Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown(settings))),
    );
    yield* Effect.gen(function* () {
      const { fetch: answer } = yield* Api;
      yield* Effect.forEach(clusterers, clustererOf);
      if (importer) {
        yield* consume({ durable: "importer", filters: importFilters }, importDataset).pipe(
          Effect.forkScoped,
        );
      }
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => undefined }, answer)),
        (server) => Effect.promise(() => server.shutdown()).pipe(Effect.timeoutOption("3 seconds")),
      );
      const context = yield* Effect.context<BusServices>();
      const base = `http://127.0.0.1:${server.addr.port}`;
      yield* Effect.promise(() => body(gatewayAt(base, root, data, logs, Effect.runPromiseWith(context))));
    }).pipe(Effect.scoped, Effect.provide(layer), Effect.provide(collect));
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const gatewayAt = (
  base: string,
  root: string,
  data: string,
  logs: string[],
  run: Gateway["run"],
): Gateway => {
  const get: Gateway["get"] = (path, headers = {}) => fetch(base + path, { headers });
  const post: Gateway["post"] = (path, body, headers = {}) =>
    fetch(base + path, {
      method: "POST",
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    });
  const json = async <A>(path: string) => {
    const response = await get(path);
    const value = await response.json();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(value)}`);
    return value as A;
  };
  return {
    base,
    root,
    data,
    logs,
    run,
    get,
    post,
    json,
    publish: (...events) =>
      run(Effect.gen(function* () {
        const bus = yield* Bus;
        return yield* Effect.forEach(events, (event) => Effect.map(bus.publish(event), ({ seq }) => seq));
      })),
    import: async (name, more = {}) => {
      const response = await post("/v1/datasets", { name, path: join(root, name), ...more });
      expect([response.status, await response.json()]).toEqual([202, expect.anything()]);
      await (await get(`/v1/datasets/${name}/events`)).text();
      return await json<DatasetView>(`/v1/datasets/${name}`);
    },
  };
};

/** Settings of an import as `dataset.requested` has them. */
export const importSettings = {
  ...{ maxSide: 64, minClassImages: 5, bitDepth: null, offset: null, pixelSize: null },
  onLabelConflict: "keep",
} as const;

/** Class folders with that many images of noise each, all different. */
export const writeImages = async (folder: string, classes: Record<string, number>, side = 8) => {
  for (const [name, images] of Object.entries(classes)) {
    await Deno.mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < images; i++) {
      const pixels = crypto.getRandomValues(new Uint8Array(side * side));
      await sharp(pixels, { raw: { width: side, height: side, channels: 1 } }).png()
        .toFile(join(folder, name, `${String(i).padStart(3, "0")}.png`));
    }
  }
};

/** The answer's problem, which must be one in form, with this status. */
export const problemIn = async (response: Response, status: number): Promise<Problem> => {
  const body = await response.text();
  expect([response.status, response.headers.get("content-type"), body]).toEqual([
    status,
    "application/problem+json",
    expect.stringContaining('"detail"'),
  ]);
  const problem = JSON.parse(body) as Problem;
  expect(problem.status).toBe(status);
  expect(problem.type).toMatch(/^urn:subtaxa:problem:[a-z-]+$/);
  expect(problem.title).not.toBe("");
  expect(problem.detail).not.toBe("");
  return problem;
};

export interface Message {
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly data: string;
}

/** Server-Sent Events of a path, one by one; the connection ends when the reader stops. */
export const messages = async function* (
  gateway: Pick<Gateway, "base">,
  path: string,
  headers: Record<string, string> = {},
): AsyncGenerator<Message> {
  const stop = new AbortController();
  try {
    const response = await fetch(gateway.base + path, { headers, signal: stop.signal });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    const events = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(
      new EventSourceParserStream(),
    );
    for await (const event of events) yield event;
  } finally {
    stop.abort();
  }
};

/** The first messages, as many as wanted, or all. */
export const take = async (source: AsyncGenerator<Message>, count = Infinity): Promise<Message[]> => {
  const out: Message[] = [];
  for await (const message of source) {
    out.push(message);
    if (out.length >= count) break;
  }
  return out;
};
