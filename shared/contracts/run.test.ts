import { expect } from "expect";
import { Backbone, RunRequest, RunSpec, specOf, viewBytes, VIEWS_BYTES, viewsThatFit } from "./mod.ts";

const pinned = { manifest: { key: "m", sha256: "0".repeat(64), bytes: 1 }, classes: ["a", "b"] };

Deno.test("views: all eight with a frozen backbone, one otherwise, and what is asked for", () => {
  const viewsOf = (settings: object) => specOf(RunRequest.parse({ dataset: "d", ...settings }), pinned).views;
  expect(viewsOf({})).toBe(1);
  expect(viewsOf({ backbone: "resnet50", freeze: "conv3" })).toBe(1);
  expect(viewsOf({ freeze: "backbone" })).toBe(8);
  expect(viewsOf({ freeze: "backbone", views: 2 })).toBe(2);
  expect(viewsOf({ views: 4 })).toBe(4);
  for (const views of [0, 3, 16, "8"]) {
    expect(RunRequest.safeParse({ dataset: "d", views }).success).toBe(false);
  }
});

Deno.test("an event of before there were views and sizes is read as it was meant, frozen or not", () => {
  const { views: _v, sizeFeatures: _s, ...old } = specOf(
    RunRequest.parse({ dataset: "d", freeze: "backbone" }),
    pinned,
  );
  expect(RunSpec.parse(old)).toMatchObject({ views: 1, sizeFeatures: false });
});

Deno.test("the most views whose features fit: at the bound and one image beyond it", () => {
  for (const backbone of Backbone.options) {
    for (const views of [8, 4, 2] as const) {
      const most = Math.floor(VIEWS_BYTES / viewBytes(backbone, views));
      expect(viewsThatFit(backbone, most)).toBe(views);
      expect(viewsThatFit(backbone, most + 1)).toBe(views / 2);
    }
    expect(viewsThatFit(backbone, 1e9)).toBe(1);
  }
  // 20 kB for each image
  expect(viewBytes("efficientnet-b0", 8)).toBe(20_480);
});
