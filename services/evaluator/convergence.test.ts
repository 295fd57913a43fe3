import { expect } from "expect";
import fc from "fast-check";
import { type BlobRef, initialFoldState } from "@subtaxa/contracts";
import { outdated } from "@subtaxa/service";
import { type Candidate, converge, dethroned } from "./convergence.ts";

const blob = (key: string) => ({ key, sha256: "0".repeat(64), bytes: 1 });
const candidate = (epoch: number, fScore: number): Candidate => ({
  epoch,
  fScore,
  checkpoint: blob(`c${epoch}`),
  labels: null,
});

/** Runs through the scores as a run does; where it ends, why, and its best epoch. */
const follow = (
  scores: readonly number[],
  settings: { minImprovement: number; patience: number; epochs: number },
) => {
  let best: ReturnType<typeof converge>["best"] | null = null;
  for (const [i, score] of scores.entries()) {
    const step = converge(best, candidate(i + 1, score), settings);
    best = step.best;
    if (step.converged) return { epoch: i + 1, converged: step.converged, best: best.epoch };
  }
  return { epoch: scores.length, converged: null, best: best?.epoch };
};

Deno.test("a run ends when the score has not improved for `patience` epochs, and its best epoch is kept", () => {
  const settings = { minImprovement: 0.001, patience: 3, epochs: 100 };
  expect(follow([0.1, 0.5, 0.4, 0.5005, 0.45, 0.9], settings)).toEqual({
    epoch: 5,
    converged: "patience",
    best: 2,
  });
  expect(follow([0.1, 0.2, 0.3, 0.4], settings)).toEqual({ epoch: 4, converged: null, best: 4 });
});

Deno.test("a run ends at its last epoch, also when that is its first", () => {
  expect(follow([0.1, 0.2, 0.3], { minImprovement: 0, patience: 10, epochs: 3 })).toMatchObject({
    converged: "epochs",
  });
  expect(follow([0], { minImprovement: 0, patience: 1, epochs: 1 })).toEqual({
    epoch: 1,
    converged: "epochs",
    best: 1,
  });
});

Deno.test("against a naive look back over all scores", () => {
  fc.assert(fc.property(
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 30 }),
    fc.integer({ min: 1, max: 8 }),
    (scores, patience) => {
      const { epoch, converged, best } = follow(scores, {
        minImprovement: 0,
        patience,
        epochs: scores.length,
      });
      // the first epoch whose last `patience` scores all stay at or below an earlier one, or the last
      const naive = scores.findIndex((_, i) => {
        const before = Math.max(...scores.slice(0, Math.max(1, i + 1 - patience)));
        return i >= patience && scores.slice(i + 1 - patience, i + 1).every((score) => score <= before);
      });
      const end = naive === -1 ? scores.length : naive + 1;
      expect(epoch).toBe(end);
      expect(converged).toBe(end === scores.length ? "epochs" : "patience");
      expect(best).toBe(scores.indexOf(Math.max(...scores.slice(0, end))) + 1);
    },
  ));
});

for (
  const [what, scores] of Object.entries({
    "the best epoch is the last one": [0.1, 0.2, 0.3],
    "the best epoch is an earlier one": [0.1, 0.5, 0.2, 0.3],
    "the first epoch stays the best": [0.5, 0.1, 0.1],
    "there is a new best epoch in the end": [0.5, 0.1, 0.2, 0.9],
    "every epoch is equal": [0.5, 0.5, 0.5],
    "there is but one epoch": [0],
  })
) {
  Deno.test(`of a fold's model the best and the last checkpoint and the last optimizer are kept: ${what}`, () => {
    const stored = new Set<string>();
    const remove = (refs: readonly BlobRef[]) => {
      for (const { key } of refs) expect([key, stored.delete(key)]).toEqual([key, true]);
    };
    const kept = (...keys: string[]) => expect([...stored].sort()).toEqual([...new Set(keys)].sort());
    const settings = { minImprovement: 0, patience: 100, epochs: scores.length };
    let state = initialFoldState(["a", "b"]);
    for (const [i, fScore] of scores.entries()) {
      const epoch = i + 1;
      const [checkpoint, optimizer] = [blob(`c${epoch}`), blob(`o${epoch}`)];
      stored.add(checkpoint.key).add(optimizer.key);
      remove(outdated(state));
      const before = scores.slice(0, i);
      kept(...(i > 0 ? [`c${1 + before.indexOf(Math.max(...before))}`] : []), `c${epoch}`, `o${epoch}`);
      const { best } = converge(state.best, { epoch, fScore, checkpoint, labels: null }, settings);
      remove(dethroned(state.best, best));
      kept(`c${1 + scores.indexOf(Math.max(...scores.slice(0, epoch)))}`, `c${epoch}`, `o${epoch}`);
      state = { ...state, checkpoint, optimizer, best };
    }
    remove(outdated(state));
    kept(`c${1 + scores.indexOf(Math.max(...scores))}`);
  });
}
