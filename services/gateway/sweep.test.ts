import { Blobs, BUCKET, Connection } from "@subtaxa/bus";
import type { Event } from "@subtaxa/contracts";
import { Objm } from "@nats-io/obj";
import { Effect } from "effect";
import { expect } from "expect";
import { ReadModel } from "./read_model.ts";
import { sweep } from "./sweep.ts";
import { type Gateway, withGateway } from "./testing.ts";
import { factsOf, importTrees, requestOf, startRun } from "./testing_run.ts";

/** A run in the middle of its first epoch but one, and the keys of what its steps own. */
const halfway = async (gateway: Gateway) => {
  const id = await startRun(gateway);
  const put = (what: string, epoch: number) =>
    gateway.run(
      Effect.flatMap(Blobs, (blobs) => blobs.put(new TextEncoder().encode(what), `${id}.0.${epoch}`)),
    );
  const best = await put("checkpoint 1", 1);
  const [checkpoint, optimizer] = [await put("checkpoint 2", 2), await put("optimizer 2", 2)];
  const portion = await put("features", 2); // no fact names it
  const [trained, validated] = await factsOf(gateway, await requestOf(gateway, id)) as Event[];
  if (trained?.type !== "epoch.trained" || validated?.type !== "epoch.validated") {
    throw new Error("other facts");
  }
  const state = {
    ...validated.state,
    checkpoint,
    optimizer,
    best: { ...validated.state.best!, checkpoint: best },
  };
  await gateway.publish(trained, { ...validated, state });
  return { id, best: best.key, all: [best, checkpoint, optimizer, portion].map(({ key }) => key) };
};

Deno.test(
  "of a run that has ended, the best checkpoints are left, and what has no owner; of others everything",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const stored = () =>
      gateway.run(Effect.gen(function* () {
        const { nc } = yield* Connection;
        const store = yield* Effect.promise(() => new Objm(nc).open(BUCKET));
        const all = yield* Effect.promise(() => store.list());
        return all.filter(({ deleted }) => !deleted).map(({ name }) => name).sort();
      }));
    const [over, running] = [await halfway(gateway), await halfway(gateway)];
    const before = await stored();
    await gateway.run(sweep);
    expect(await stored()).toEqual(before);

    await gateway.post(`/v1/runs/${over.id}/cancel`);
    await gateway.run(sweep);
    const gone = over.all.filter((key) => key !== over.best);
    expect(await stored()).toEqual(before.filter((key) => !gone.includes(key)));
    expect(before).toEqual(expect.arrayContaining([...over.all, ...running.all]));
    await gateway.run(sweep);
    expect(await gateway.run(Effect.flatMap(ReadModel, (model) => model.run(running.id)))).toBeDefined();
    expect(await stored()).toEqual(before.filter((key) => !gone.includes(key)));
  }),
);
