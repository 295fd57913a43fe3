/** Talking to a gateway, for the tests that cross services. */
import { Problem } from "@subtaxa/contracts";
import { Effect, Schedule } from "effect";

/** The JSON of an answer; a problem is thrown with its detail. */
export const json = async (url: string, init?: RequestInit): Promise<unknown> => {
  const response = await fetch(url, init);
  const body = await response.json();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${Problem.parse(body).detail}`);
  return body;
};

export const post = (url: string, body: unknown): Promise<unknown> =>
  json(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Asks again until the answer is as wanted; the test runner's own limit ends a vain wait. */
export const until = <A>(ask: () => Promise<A>, wanted: (answer: A) => boolean): Effect.Effect<A> =>
  Effect.promise(ask).pipe(Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: wanted }));
