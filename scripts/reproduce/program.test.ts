import { expect } from "expect";
import type { Plan } from "./plan.ts";
import { makeProgram } from "./program.ts";

/** The paper's cross-validation. */
const folds = 5;

const planOf = (...args: string[]): Plan => {
  let plan: Plan | undefined;
  makeProgram((chosen) => plan = chosen).parse(["--dataset", "plankton", ...args], { from: "user" });
  return plan!;
};

Deno.test("the paper's networks are pretrained and see 256 pixels; what is said wins; small is as it was", () => {
  for (const backbone of ["resnet50", "efficientnet-b0"]) {
    expect(planOf("--backbone", backbone).fields).toEqual({
      folds,
      backbone,
      weights: "imagenet",
      imageSize: 256,
    });
    expect(planOf("--backbone", backbone, "--freeze", "backbone").fields)
      .toEqual({ folds, backbone, weights: "imagenet", freeze: "backbone" });
    const given = planOf("--backbone", backbone, "--weights", "random", "--image-size", "96").fields;
    expect(given).toEqual({ folds, backbone, weights: "random", imageSize: 96 });
    const frozen = ["--freeze", "backbone", "--image-size", "128"];
    expect(planOf("--backbone", backbone, ...frozen).fields.imageSize).toBe(128);
  }
  expect(planOf().fields).toEqual({ folds });
  expect(planOf("--backbone", "small").fields).toEqual({ folds, backbone: "small" });
});

Deno.test("how images are imported is no setting of a run", () => {
  const { fields, imports } = planOf("--min-class-images", "50", "--max-side", "512");
  expect([fields, imports]).toEqual([{ folds }, { maxSide: 512, minClassImages: 50 }]);
  expect(planOf().imports).toEqual({ maxSide: undefined, minClassImages: undefined });
});
