import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { Event } from "@subtaxa/contracts";
import { Effect } from "effect";

/** A message as it went over the wire, whether the stream kept it or dropped it as a repetition. */
export interface Seen {
  readonly subject: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly event: Event | null;
  readonly data: Uint8Array;
  /** Orders all that was seen. */
  readonly place: number;
}

/** What a consumer's instance tells the server about a message that it was given. */
export interface Settlement {
  readonly kind: "ack" | "nak" | "term" | "working";
  /** The message's place in the stream. */
  readonly sequence: number;
  readonly place: number;
}

const text = new TextDecoder();

/** The JSON value; undefined where it is none. */
export const jsonIn = (data: Uint8Array): unknown => {
  try {
    return JSON.parse(text.decode(data));
  } catch {
    return undefined;
  }
};

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…`, with domain and account before the stream where there are some. */
const settlementOf = ({ subject, data }: Msg, place: number): Settlement => {
  const tokens = subject.split(".");
  const sequence = Number(tokens[tokens.length <= 9 ? 5 : 7]);
  const word = text.decode(data).slice(0, 4);
  const kind = word === "-NAK" ? "nak" : word === "+WPI" ? "working" : word === "+TER" ? "term" : "ack";
  return { kind, sequence, place };
};

/** Listens to what goes over the wire between a clusterer and the server. */
export const listen = (nc: NatsConnection, stream: string) =>
  Effect.gen(function* () {
    const seen: Seen[] = [];
    const settlements: Settlement[] = [];
    const progress: unknown[] = [];
    const lookUps = new Map<string, number>();
    const awaited = new Map<string, { readonly count: number; readonly act: () => void }>();
    let place = 0;
    const record = (subject: string, callback: (message: Msg) => void) =>
      Effect.acquireRelease(
        Effect.sync(() => nc.subscribe(subject, { callback: (_error, message) => callback(message) })),
        (subscription) => Effect.sync(() => subscription.unsubscribe()),
      );
    const keep = ({ subject, headers, data }: Msg) => {
      const names = headers?.keys() ?? [];
      const parsed = Event.safeParse(jsonIn(data));
      seen.push({
        subject,
        id: headers?.get("Nats-Msg-Id") ?? "",
        headers: Object.fromEntries(names.map((name) => [name.toLowerCase(), headers!.get(name)])),
        event: parsed.success ? parsed.data : null,
        data,
        place: ++place,
      });
    };
    /** Look-ups come as a filter in the body, or at the end of the subject; its fifth token is the run. */
    const lookedUp = (message: Msg) => {
      const filter = /subtaxa\.[\w*.-]+/.exec(`${text.decode(message.data)} ${message.subject}`)?.[0] ?? "";
      const run = filter.split(".")[4] ?? "";
      const count = (lookUps.get(run) ?? 0) + 1;
      lookUps.set(run, count);
      const waiting = awaited.get(run);
      if (waiting && count >= waiting.count) {
        awaited.delete(run);
        waiting.act();
      }
    };
    yield* record("subtaxa.>", keep);
    yield* record("dead.>", keep);
    yield* record("progress.run.*", ({ data }) => progress.push(jsonIn(data)));
    yield* record(`$JS.ACK.>`, (message) => settlements.push(settlementOf(message, ++place)));
    yield* record(`$JS.API.STREAM.MSG.GET.${stream}`, lookedUp);
    yield* record(`$JS.API.DIRECT.GET.${stream}`, lookedUp);
    yield* record(`$JS.API.DIRECT.GET.${stream}.>`, lookedUp);
    return {
      ...{ seen, settlements, progress, lookUps },
      /** Acts at once when something of a run is looked up for the `count`-th time: the message was taken. */
      atLookUp: (run: string, count: number, act: () => void) => awaited.set(run, { count, act }),
      settled: (sequence: number, kind: Settlement["kind"]) =>
        settlements.find((one) => one.sequence === sequence && one.kind === kind),
    };
  });
