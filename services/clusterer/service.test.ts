import { type ClassState, decodeLabels, type Event } from "@subtaxa/contracts";
import { KMeansParameters } from "@subtaxa/clustering";
import { random } from "@subtaxa/random";
import {
  clustersOf,
  extracted,
  only,
  testedClusterer,
  validated,
  withFold,
} from "@subtaxa/relabelling/testing";
import { expect } from "expect";
import { plan } from "./plan.ts";

const fold = {
  plan,
  parameters: KMeansParameters,
  worker: new URL("./worker.ts", import.meta.url),
  sizes: { views: 80, blob: 60, fine: 20 },
  request: { normalisation: "none" },
} as const;

/** Two far groups in `views`, by the image's parity; one blob in every other class. */
const embed = (name: string, image: number) => {
  const source = random(5, image);
  return Array.from(
    { length: 16 },
    (_, d) => source.normal() + (name === "views" && d === 0 ? 20 * (image % 2) : 0),
  );
};

const allowed = (classes: readonly ClassState[]) => classes.map(({ allowedClusters }) => allowedClusters);

Deno.test("classes that are missed are adapted, and of those X-Means divides the one that has groups", () =>
  withFold(fold, async (fold) => {
    const planned = only(await fold.handle(validated(fold, [0.5, 0.9, 0.3])), "adaptation.planned");
    expect(allowed(planned.state.classes)).toEqual([2, 2, 1]);
    expect(planned.classes).toEqual(["views", "blob"]);

    const cause = await extracted(fold, planned, embed);
    const outcome = await fold.handle(cause);
    const relabelled = only(outcome, "dataset.relabelled");
    expect(outcome.obsolete).toEqual([cause.features]);
    expect(clustersOf(relabelled.state.classes)).toEqual({ views: 2, blob: 1, fine: 1 });
    expect(relabelled.changes).toEqual([{ class: "views", from: 1, to: 2 }]);
    const parameters = { restarts: 4, maxIterations: 30 };
    expect(relabelled.clusterer).toEqual({ ...testedClusterer, parameters });
    const labels = decodeLabels(await fold.read(relabelled.state.labels!));
    const groups = new Set(
      labels.image.keys().filter((row) => labels.class[row] === 0)
        .map((row) => `${labels.image[row]! % 2} ${labels.cluster[row]}`),
    );
    expect(groups.size).toBe(2);
  }));

Deno.test("with GS-TRS, X-Means still divides as Algorithm 1 says: the fixed number is K-Means' own", () =>
  withFold(
    { ...fold, request: { method: "gs-trs", clusterer: "xmeans", fixedClusters: 4 } },
    async (fold) => {
      const planned = only(await fold.handle(validated(fold, [0.5, 0.9, 0.3])), "adaptation.planned");
      expect(allowed(planned.state.classes)).toEqual([2, 2, 1]);
    },
  ));

Deno.test("parameters are the clusterer's own", () =>
  withFold(fold, async (fold) => {
    const planned = only(await fold.handle(validated(fold, [0.5, 0.9, 0.3])), "adaptation.planned");
    const cause = await extracted(fold, planned, embed);
    const relabelledBy = async (event: Event) => only(await fold.handle(event), "dataset.relabelled").state;

    const having = (parameters: Record<string, unknown>): Event => ({
      ...cause,
      spec: { ...cause.spec, parameters },
    });
    expect(await relabelledBy(having({ restarts: 4, maxIterations: 30 }))).toEqual(await relabelledBy(cause));
    expect(clustersOf((await relabelledBy(having({ pcaDimensions: 1 }))).classes)).toMatchObject({
      views: 2,
    });
    await expect(fold.handle(having({ restarts: 0, depth: 3 }))).rejects.toMatchObject({
      reason: { _tag: "Unfit", clusterer: "xmeans" },
      message: expect.stringMatching(/restarts.*depth|depth.*restarts/),
      retryable: false,
    });
  }));

Deno.test("before the first epoch every class is whole, and needs no features", () =>
  withFold(fold, async (fold) => {
    for (const type of ["run.requested", "backbone.extracted"] as const) {
      const planned = only(await fold.handle({ ...fold.head, type }), "adaptation.planned");
      expect(planned.state).toEqual(fold.head.state);
      expect(planned.classes).toEqual([]);
    }
  }));

Deno.test("false negatives of other classes are a typed failure", () =>
  withFold(fold, async (fold) => {
    await expect(fold.handle(validated(fold, [1]))).rejects.toMatchObject({
      reason: { _tag: "Classes", states: 3, falseNegatives: 1 },
      retryable: false,
    });
  }));
