import { Blobs, Bus, BusError } from "@subtaxa/bus";
import {
  type BlobRef,
  CONTRACT_VERSION,
  type DatasetView,
  type Event,
  type EventOf,
  type ImportReport,
  subjects,
} from "@subtaxa/contracts";
import { datasetAtRest } from "@subtaxa/dataset/testing";
import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { importDataset } from "./handlers.ts";
import { sweep } from "./sweep.ts";
import { type Gateway, importSettings, problemIn, withGateway, writeImages } from "./testing.ts";

const report: ImportReport = {
  rejected: [
    { file: "=a/1.tif", reason: "holds samples that are fractions: convert it to 16 bits" },
    { file: "a/2.tif", reason: "is empty" },
    { file: "b/1.tif", reason: "holds samples that are fractions: convert it to 8 bits" },
  ],
  warnings: [{ kind: "depth", message: "16-bit images have 12 bits" }],
  labelConflicts: [{
    pixelHash: "1".repeat(64),
    files: [{ path: "a/3.tif", class: "a" }, { path: "b/3.tif", class: "b" }],
  }],
  depth: { bits: 12, offset: 0 },
};

const put = (gateway: Gateway, value: unknown) =>
  gateway.run(
    Effect.flatMap(Blobs, (blobs) => blobs.put(new TextEncoder().encode(JSON.stringify(value)))),
  );

type End = { readonly report: BlobRef | null } | { readonly manifest: BlobRef };

/** An import that has ended, by its facts alone. */
const ended = async (gateway: Gateway, dataset: string, end: End): Promise<void> => {
  const head = { v: CONTRACT_VERSION, at: "2026-01-05T09:00:00.000Z", dataset } as const;
  const last: Event = "manifest" in end
    ? { ...head, type: "dataset.imported", ...end, images: 0, classes: 2, rejected: 0 }
    : { ...head, type: "dataset.failed", ...end, error: { tag: "X/Y", message: "no class is usable" } };
  await gateway.publish({ ...head, type: "dataset.requested", path: "/x", ...importSettings }, last);
  const view = () => gateway.get(`/v1/datasets/${dataset}/events`).then((answer) => answer.text());
  while (!(await view()).includes(last.type)) { /* it shows up a moment later */ }
};

const view = (gateway: Gateway, dataset: string) => gateway.json<DatasetView>(`/v1/datasets/${dataset}`);
const rejectedCsv = (gateway: Gateway, dataset: string, query = "") =>
  gateway.get(`/v1/datasets/${dataset}/rejected.csv${query}`);

Deno.test(
  "what an import found is shown, listed and downloaded, whether it succeeded or failed",
  withGateway(async (gateway) => {
    await ended(gateway, "unusable", { report: await put(gateway, report) });
    const classes = ["a", "b"];
    const images = classes.map((name, i) => ({ path: `${name}/9.png`, class: i, side: 1 }));
    const { manifest } = datasetAtRest({ name: "usable", classes, images });
    await ended(gateway, "usable", {
      manifest: await put(gateway, { ...manifest, ...report, pixelSize: 0.5 }),
    });
    const found = {
      rejected: report.rejected,
      rejectedByReason: [
        { reason: "holds samples that are fractions", files: 2 },
        { reason: "is empty", files: 1 },
      ],
      warnings: report.warnings,
      labelConflicts: report.labelConflicts,
      depth: report.depth,
    };
    const views = [await view(gateway, "unusable"), await view(gateway, "usable")];
    expect(views).toEqual([
      {
        ...{ name: "unusable", state: "failed", maxSide: 64, classes: [], ...found },
        error: { tag: "X/Y", message: "no class is usable" },
      },
      {
        ...{ name: "usable", state: "ready", maxSide: 64, ...found, pixelSize: 0.5 },
        classes: [{ name: "a", images: 1 }, { name: "b", images: 1 }],
      },
    ]);
    expect(await gateway.json("/v1/datasets")).toEqual(views);

    for (const name of ["unusable", "usable"]) {
      const plain = await rejectedCsv(gateway, name);
      expect(plain.headers.get("content-type")).toBe("text/csv; charset=utf-8");
      expect(plain.headers.get("content-disposition")).toBe(`attachment; filename="${name}-rejected.csv"`);
      const text = await plain.text();
      expect(text.split("\n").slice(0, 3)).toEqual([
        "file,reason,group",
        "=a/1.tif,holds samples that are fractions: convert it to 16 bits,holds samples that are fractions",
        "a/2.tif,is empty,is empty",
      ]);
      const bytes = new Uint8Array(
        await (await rejectedCsv(gateway, name, "?spreadsheet=true")).arrayBuffer(),
      );
      expect(Array.from(bytes.slice(0, 3))).toEqual([0xef, 0xbb, 0xbf]);
      expect(new TextDecoder().decode(bytes)).toBe(text.replace("=a/1.tif", "'=a/1.tif"));
    }
    const wrong = await problemIn(await rejectedCsv(gateway, "usable", "?spreadsheet=yes"), 422);
    expect(wrong.errors?.map(({ field }) => field)).toEqual(["spreadsheet"]);
    await problemIn(await rejectedCsv(gateway, "none"), 404);
  }, { importer: false }),
);

Deno.test(
  "a failed import without a list, or whose list is lost, says so beside its error; sweeping loses none",
  withGateway(async (gateway) => {
    const stored = await put(gateway, report);
    await gateway.run(sweep);
    expect(JSON.parse(new TextDecoder().decode(
      await gateway.run(Effect.flatMap(Blobs, (blobs) => blobs.get(stored))),
    ))).toEqual(report);

    await ended(gateway, "nothing", { report: null });
    expect(await view(gateway, "nothing")).toMatchObject({
      state: "failed",
      rejected: [],
      error: { message: "no class is usable" },
    });
    const { detail } = await problemIn(await rejectedCsv(gateway, "nothing"), 409);
    expect(detail).toContain("no class is usable");

    const gone = { key: `sha256-${"0".repeat(64)}`, sha256: "0".repeat(64), bytes: 1 };
    await ended(gateway, "lost", { report: gone });
    const { error, rejected } = await view(gateway, "lost");
    expect(rejected).toEqual([]);
    expect(error).toMatchObject({ tag: "X/Y" });
    expect(error!.message).toMatch(
      /^no class is usable \(which files were rejected is lost: .* has no blob /,
    );
    await problemIn(await rejectedCsv(gateway, "lost"), 410);

    await ended(gateway, "odd", { report: await put(gateway, { rejected: "many" }) });
    expect((await view(gateway, "odd")).error!.message).toContain("no import report of this version");

    await gateway.publish({
      ...{ type: "dataset.requested", v: CONTRACT_VERSION, at: new Date().toISOString() } as const,
      ...{ dataset: "busy", path: "/x", ...importSettings },
    });
    while (
      (await gateway.get("/v1/datasets/busy").then((one) => one.text())).includes("unknown-dataset")
    ) { /* yet */ }
    expect((await problemIn(await rejectedCsv(gateway, "busy"), 409)).type).toContain("dataset-busy");
  }, { importer: false }),
);

Deno.test(
  "a dataset of an earlier version is listed as unusable, runs on it are refused, and an import replaces it",
  withGateway(async (gateway) => {
    const manifest = await put(gateway, {
      ...{ v: 1, name: "old", classes: ["a", "b"], shards: [], rejected: [] },
      images: [{ path: "a/1.png", class: 0, side: 1, channels: 1, shard: 0, offset: 0 }],
    });
    await ended(gateway, "old", { manifest });
    const outdated = {
      ...{ name: "old", state: "failed", maxSide: 64, classes: [], rejected: [] },
      error: {
        tag: "DatasetError/ManifestOutdated",
        message: expect.stringMatching(/^dataset old was imported by an earlier version.*: import it again$/),
      },
    };
    expect(await view(gateway, "old")).toMatchObject(outdated);
    expect(await gateway.json("/v1/datasets")).toMatchObject([outdated]);
    const problem = await problemIn(await gateway.post("/v1/runs", { dataset: "old" }), 409);
    expect(problem.type).toBe("urn:subtaxa:problem:dataset-failed");
    expect(problem.detail).toContain("'old'");
    expect(problem.detail).toContain("import it again");
    expect((await problemIn(await rejectedCsv(gateway, "old"), 409)).detail).toContain("import it again");
  }, { importer: false }),
);

/** The fact by which the latest import of the dataset has failed. */
const failure = (gateway: Gateway, dataset: string) =>
  gateway.run(Effect.gen(function* () {
    const facts = yield* (yield* Bus).history(subjects.of("dataset.failed"));
    return facts.map(({ event }) => event as EventOf<"dataset.failed">).findLast((one) =>
      one.dataset === dataset
    )!;
  }));

Deno.test(
  "a folder in which nothing is usable: the commonest reason in the message, every file in the list",
  withGateway(async (gateway) => {
    const folder = join(gateway.root, "unusable");
    await writeImages(folder, { a: 1, b: 1 });
    for (let i = 0; i < 6; i++) await Deno.writeTextFile(join(folder, "a", `empty${i}.png`), "");
    for (let i = 0; i < 3; i++) {
      await Deno.writeTextFile(join(folder, "b", `text${i}.png`), "no image at all");
    }
    const view = await gateway.import("unusable");
    expect(view).toMatchObject({ state: "failed", error: { tag: "DatasetError/TooFewClasses" } });
    expect(view.error!.message).toContain("is empty");
    const files = view.rejected.map(({ file }) => file).filter((file) => !file.endsWith("/"));
    expect(files.length).toBe(9);
    expect(view.rejectedByReason[0]).toEqual({ reason: "is empty", files: 6 });
    const csv = await (await rejectedCsv(gateway, "unusable")).text();
    expect(csv.trim().split("\n").length).toBe(1 + view.rejected.length);
    const { report } = await failure(gateway, "unusable");
    expect(report).not.toBeNull();

    // the same folder with images that can be used
    await writeImages(folder, { a: 6, b: 6 });
    const again = await gateway.import("unusable");
    expect(again).toMatchObject({ state: "ready" });
    expect(again.rejected.length).toBe(9);
  }),
);

Deno.test(
  "one picture in two classes: kept and named, dropped, or the import ends with the list",
  withGateway(async (gateway) => {
    const folder = join(gateway.root, "both");
    await writeImages(folder, { a: 8, b: 8 });
    await Deno.copyFile(join(folder, "a/000.png"), join(folder, "b/copy.png"));
    const files = [{ path: "a/000.png", class: "a" }, { path: "b/copy.png", class: "b" }];
    const images = async (policy: string) => {
      const view = await gateway.import("both", { onLabelConflict: policy, pixelSize: 0.5 });
      expect(view.labelConflicts).toEqual([{ pixelHash: expect.any(String), files }]);
      // Where the import asks, they are its error.
      const isWarned = view.warnings.some(({ kind }) => kind === "label-conflicts");
      expect(isWarned).toBe(policy !== "ask");
      return view;
    };
    expect(await images("keep")).toMatchObject({
      ...{ state: "ready", pixelSize: 0.5 },
      classes: [{ name: "a", images: 8 }, { name: "b", images: 9 }],
    });
    expect(await images("drop")).toMatchObject({
      classes: [{ name: "a", images: 7 }, { name: "b", images: 8 }],
    });
    expect(await images("ask")).toMatchObject({
      ...{ state: "failed", classes: [] },
      error: { tag: "DatasetError/LabelConflicts" },
    });
  }),
);

Deno.test(
  "symbolic links are followed to images below any allowed root, and no further",
  withGateway(async (gateway) => {
    const outside = await Deno.makeTempDir({ prefix: "subtaxa-outside-" });
    try {
      await writeImages(join(gateway.root, "store"), { pool: 12 });
      await writeImages(outside, { secret: 1 });
      for (const [i, name] of [..."aaaaaabbbbbb"].entries()) {
        await Deno.mkdir(join(gateway.root, "links", name), { recursive: true });
        const image = `${String(i).padStart(3, "0")}.png`;
        await Deno.symlink(join(gateway.root, "store/pool", image), join(gateway.root, "links", name, image));
      }
      await Deno.symlink(join(outside, "secret/000.png"), join(gateway.root, "links/a/secret.png"));
      const view = await gateway.import("links");
      expect(view).toMatchObject({
        state: "ready",
        classes: [{ name: "a", images: 6 }, { name: "b", images: 6 }],
      });
      expect(view.rejected.map(({ file }) => file)).toEqual(["a/secret.png"]);
    } finally {
      await Deno.remove(outside, { recursive: true });
    }
  }),
);

Deno.test(
  "where the list can't be stored, the failure keeps its reason and says so",
  withGateway(async (gateway) => {
    await writeImages(join(gateway.root, "lonely"), { only: 6 });
    const full = new BusError({ reason: { _tag: "Refused" }, message: "the store is full" });
    const { events } = await gateway.run(Effect.gen(function* () {
      const blobs = yield* Blobs;
      return yield* importDataset({
        ...{ type: "dataset.requested", v: CONTRACT_VERSION, at: new Date().toISOString() },
        ...{ dataset: "lonely", path: join(gateway.root, "lonely"), ...importSettings },
      }).pipe(Effect.provideService(Blobs, Blobs.of({ ...blobs, put: () => Effect.fail(full) })));
    }));
    expect(events).toMatchObject([{
      type: "dataset.failed",
      report: null,
      error: {
        tag: "DatasetError/TooFewClasses",
        message: expect.stringMatching(/two classes are needed.*could not be stored: the store is full/),
      },
    }]);
  }, { importer: false }),
);
