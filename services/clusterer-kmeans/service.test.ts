import { decodeLabels, encodeFeatures, type Event } from "@subtaxa/contracts";
import { KMeansParameters } from "@subtaxa/clustering";
import { random } from "@subtaxa/random";
import {
  clustersOf,
  extracted,
  only,
  type TestFold,
  validated,
  withFold,
} from "@subtaxa/relabelling/testing";
import { expect } from "expect";
import { plan } from "./plan.ts";

const worker = new URL("./worker.ts", import.meta.url);
const dimension = 8;

/** `tight`: one blob. `single`: one image. `absent`: none. `equal`: all the same. `pair`: two different rows. */
const sizes = { tight: 60, single: 1, absent: 0, equal: 20, pair: 20 };
const gsTrs = { plan, parameters: KMeansParameters, worker, sizes, request: { method: "gs-trs" } } as const;

const embed = (name: string, image: number): number[] => {
  const source = random(3, image);
  return Array.from({ length: dimension }, (_, d) => {
    if (name === "equal") return 0.5 + d;
    if (name === "pair") return Number(d === image % 2);
    return source.normal();
  });
};

const plannedBy = async ({ head, handle }: TestFold) =>
  only(await handle({ ...head, type: "run.requested" }), "adaptation.planned");

Deno.test("every class may have K clusters, whatever comes first and however well it is recognised", () =>
  withFold({ ...gsTrs, request: { method: "gs-trs", fixedClusters: 4 } }, async (fold) => {
    const { head, handle } = fold;
    const causes: Event[] = [
      { ...head, type: "run.requested" },
      { ...head, type: "backbone.extracted" },
      validated(fold, [0, 1, 0, 0.5, 0.2]),
    ];
    for (const cause of causes) {
      const planned = only(await handle(cause), "adaptation.planned");
      expect(planned.classes).toEqual(Object.keys(sizes));
      expect(planned.state.classes).toEqual(
        head.state.classes.map((before) => ({ ...before, allowedClusters: 4 })),
      );
      expect(planned).toMatchObject({ runId: "run", fold: 0, spec: head.spec });
    }
  }));

Deno.test("each class gets as many clusters as it has different rows, K at most, and none is left out", () =>
  withFold(gsTrs, async (fold) => {
    const { handle, read, classOf } = fold;
    const cause = await extracted(fold, await plannedBy(fold), embed);
    const outcome = await handle(cause);
    const relabelled = only(outcome, "dataset.relabelled");
    expect(outcome.obsolete).toEqual([cause.features]);
    expect(clustersOf(relabelled.state.classes)).toEqual({
      tight: 3, // X-Means would have left this blob whole
      single: 1,
      absent: 1,
      equal: 1,
      pair: 2,
    });
    expect(relabelled.changes).toEqual([
      { class: "tight", from: 1, to: 3 },
      { class: "pair", from: 1, to: 2 },
    ]);
    const labels = decodeLabels(await read(relabelled.state.labels!));
    expect([...labels.class]).toEqual([...labels.image].map((image) => classOf[image]));
    const pairs = [...labels.image.keys()].filter((row) => labels.class[row] === 4);
    const [even, odd] = [0, 1].map((parity) =>
      new Set(pairs.filter((row) => labels.image[row]! % 2 === parity).map((row) => labels.cluster[row]))
    );
    expect([even!.size, odd!.size]).toEqual([1, 1]);
    expect(even).not.toEqual(odd);
    const used = new Set(labels.image.keys().map((row) => `${labels.class[row]}/${labels.cluster[row]}`));
    expect(new Set(labels.subclasses.map(({ class: index, id }) => `${index}/${id}`))).toEqual(used);
  }));

Deno.test("the same message again gives the same labels, and the next epoch keeps their names", () =>
  withFold(gsTrs, async (fold) => {
    const { handle, read } = fold;
    const cause = await extracted(fold, await plannedBy(fold), embed);
    const first = only(await handle(cause), "dataset.relabelled");
    const again = only(await handle(cause), "dataset.relabelled");
    expect({ ...again, at: first.at }).toEqual(first);

    const next = only(await handle({ ...cause, epoch: 1, state: first.state }), "dataset.relabelled");
    const [before, after] = await Promise.all(
      [first, next].map(async ({ state }) => decodeLabels(await read(state.labels!))),
    );
    const kept = before!.cluster.filter((id, row) => id === after!.cluster[row]).length;
    expect(kept / before!.cluster.length).toBeGreaterThan(0.5);
    const pair = (labels: typeof before) => labels!.cluster.filter((_, row) => labels!.class[row] === 4);
    expect(pair(after)).toEqual(pair(before));
    expect(next.changes).toEqual([]);
  }));

Deno.test("with `pcaDimensions` classes are divided by their first principal components", () =>
  withFold(gsTrs, async (fold) => {
    const { handle, read } = fold;
    const cause = await extracted(fold, await plannedBy(fold), embed);
    const dividedBy = async (parameters: Record<string, unknown>) => {
      const { state, clusterer } = only(
        await handle({ ...cause, spec: { ...cause.spec, parameters } }),
        "dataset.relabelled",
      );
      expect(clusterer!.parameters).toMatchObject(parameters);
      return decodeLabels(await read(state.labels!));
    };
    const [whole, axis] = [
      await dividedBy({}),
      await dividedBy({ pcaDimensions: 1 }),
    ];
    expect(axis.cluster).not.toEqual(whole.cluster); // one blob is cut another way
    await expect(dividedBy({ pcaDimensions: 0 })).rejects.toMatchObject({ reason: { _tag: "Unfit" } });
  }));

Deno.test("a missing embedding and an event of another route are typed failures", () =>
  withFold(gsTrs, async (fold) => {
    const { handle, put } = fold;
    const planned = await plannedBy(fold);
    const none = await put(
      encodeFeatures({ image: new Uint32Array(), values: new Float32Array(), dimension }),
    );
    const cause = await extracted(fold, planned, embed);
    await expect(handle({ ...cause, features: none }))
      .rejects.toMatchObject({ reason: { _tag: "MissingFeatures", class: "tight" }, retryable: false });
    await expect(handle(planned)).rejects.toMatchObject({ reason: { _tag: "UnexpectedEvent" } });
  }));
