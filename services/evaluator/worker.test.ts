import { decodePredictions, type Predictions } from "@subtaxa/contracts";
import { encodeCheckpoint } from "@subtaxa/model";
import { stripesOnDisk, untrainedCheckpoint } from "@subtaxa/model/testing";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import type { EvaluatorWork } from "./worker.ts";

Deno.test("the worker writes the predictions of a part of the fold", async () => {
  const folder = await Deno.makeTempDir();
  const input = await stripesOnDisk(folder, 40);
  const checkpointFile = join(folder, "checkpoint");
  await Deno.writeFile(checkpointFile, encodeCheckpoint(untrainedCheckpoint(input)));
  const outputFile = join(folder, "predictions");
  const [validation, test] = await Effect.runPromise(Effect.scoped(
    Effect.flatMap(
      TensorWorker.make<EvaluatorWork>(new URL("./worker.ts", import.meta.url)),
      (worker) =>
        Effect.forEach(["validation", "test"] as const, (part) =>
          Effect.gen(function* () {
            const { images, batch } = yield* worker.call("measure", { ...input, part });
            expect(batch).toBe(256);
            const classified = (from: number, to: number, outputFile: string) =>
              worker.call("classify", { ...input, part, checkpointFile, range: { from, to }, outputFile });
            yield* classified(0, images, outputFile);
            const whole = yield* Effect.promise(() => Deno.readFile(outputFile));
            // in parts it is the same
            const files = [join(folder, "first"), join(folder, "second")] as const;
            yield* classified(0, 3, files[0]);
            yield* classified(3, images, files[1]);
            yield* worker.call("concatenate", { ...input, part, files, outputFile });
            for (const wrong of [[files[0]], files.toReversed()]) {
              const call = worker.call("concatenate", {
                ...input,
                part,
                files: wrong,
                outputFile: join(folder, "wrong"),
              });
              expect((yield* Effect.flip(call)).message).toMatch(
                /predictions table.*(3 rows for|its row 0 belongs to)/,
              );
            }
            const [one, other] = [whole, yield* Effect.promise(() => Deno.readFile(outputFile))]
              .map(decodePredictions) as [Predictions, Predictions];
            expect([other.image, other.true, other.predicted]).toEqual([one.image, one.true, one.predicted]);
            other.probability.forEach((value, i) => expect(value).toBeCloseTo(one.probability[i]!, 5));
            return one;
          })),
    ),
  ));
  await Deno.remove(folder, { recursive: true });

  // 10 % and 20 % of 20 images in each of two classes.
  expect(validation!.image).toHaveLength(4);
  expect(test!.image).toHaveLength(8);
  expect(validation!.image.some((image) => test!.image.includes(image))).toBe(false);
  const { image, true: actual, predicted, probability, classes } = test!;
  expect(classes).toBe(2);
  image.forEach((index, n) => {
    expect(actual[n]).toBe(index % 2);
    const [first, second] = [probability[2 * n]!, probability[2 * n + 1]!];
    expect(first + second).toBeCloseTo(1, 5);
    expect(predicted[n]).toBe(Number(second > first));
  });
});
