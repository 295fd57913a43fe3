import { DatasetRequest, type DatasetView, type Manifest } from "@subtaxa/contracts";
import { findOwnImages, importFolder } from "@subtaxa/dataset";
import { random } from "@subtaxa/random";
import { Effect } from "effect";
import { expect } from "expect";
import { basename, dirname, join } from "node:path";
import sharp from "sharp";
import { changesOf, touchedSince } from "./changes.ts";
import { ensureDataset, namedDataset, type Wanted } from "./dataset.ts";

let drawn = 0;

/** A PNG of noise, different each time. */
const drawImage = async (path: string): Promise<void> => {
  const source = random(drawn++);
  const data = Uint8Array.from({ length: 12 * 9 }, () => source.integer(256));
  await Deno.mkdir(dirname(path), { recursive: true });
  await sharp(data, { raw: { width: 12, height: 9, channels: 1 } }).png().toFile(path);
};

const drawClass = async (folder: string, count: number, from = 0): Promise<void> => {
  for (let i = from; i < from + count; i++) await drawImage(join(folder, `${i}.png`));
};

const viewOf = ({ name, classes, images, rejected }: Manifest): DatasetView => ({
  name,
  state: "ready",
  classes: classes.map((name, i) => ({ name, images: images.filter((image) => image.class === i).length })),
  rejected,
  ...{ rejectedByReason: [], warnings: [], labelConflicts: [] },
});

const imported = async (folder: string, request: Omit<DatasetRequest, "path">): Promise<DatasetView> => {
  const outputFolder = await Deno.makeTempDir({ dir: dirname(folder) });
  const { bitDepth: _, offset: _offset, pixelSize: _pixelSize, ...rest } = request;
  const options = { ...rest, path: folder, outputFolder, isAllowed: () => true };
  return viewOf((await Effect.runPromise(importFolder(options))).manifest);
};

/** Images of two classes, one of which holds a duplicate, a broken image and a text, and of one with too few. */
const inFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const parent = await Deno.realPath(await Deno.makeTempDir({ prefix: "subtaxa-images-" }));
  const folder = join(parent, "plankton");
  try {
    await drawClass(join(folder, "copepod"), 6);
    await drawClass(join(folder, "detritus", "deeper"), 5);
    await drawClass(join(folder, "rare"), 3);
    await Deno.copyFile(join(folder, "copepod", "0.png"), join(folder, "copepod", "duplicate.png"));
    await Deno.writeTextFile(join(folder, "copepod", "broken.png"), "no image");
    await Deno.writeTextFile(join(folder, "copepod", "notes.txt"), "no image");
    await Deno.mkdir(join(folder, "empty"));
    await use(folder);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
};

const wanted = {
  again: false,
  imports: { maxSide: undefined, minClassImages: undefined },
  imageSize: undefined,
};
const request = { name: "plankton", maxSide: 256, minClassImages: 5, onLabelConflict: "keep" as const };

Deno.test("changes of a folder: none while it is as imported, then class by class", () =>
  inFolder(async (folder) => {
    const dataset = await imported(folder, request);
    const changes = async () => changesOf(await Effect.runPromise(findOwnImages(folder)), dataset);
    expect(await changes()).toEqual([]);

    // what was rejected makes no difference, there or not
    await Deno.remove(join(folder, "copepod", "duplicate.png"));
    await Deno.remove(join(folder, "copepod", "notes.txt"));
    await Deno.writeTextFile(join(folder, "detritus", "notes.txt"), "no image");
    expect(await changes()).toEqual([]);

    await drawClass(join(folder, "copepod"), 2, 6);
    await drawClass(join(folder, "rare"), 4, 3);
    await drawClass(join(folder, "salp"), 5);
    await Deno.remove(join(folder, "detritus"), { recursive: true });
    expect(await changes()).toEqual([
      "class 'copepod' has 8 image files now, 6 when it was imported",
      "class 'detritus' is gone, which had 5 image files when it was imported",
      "class 'rare' has 7 image files now, 3 when it was imported",
      "there is a new class 'salp' with 5 image files",
    ]);
  }));

Deno.test("an image that was written over, or removed, has been touched", () =>
  inFolder(async (folder) => {
    const found = () => Effect.runPromise(findOwnImages(folder));
    /** Files' times are coarser than the clock. */
    const later = async () => {
      await new Promise((next) => setTimeout(next, 20));
      return Date.now();
    };
    const before = await later();
    expect(await touchedSince(await found(), before)).toEqual([]);
    await later();
    await drawImage(join(folder, "rare", "1.png"));
    expect(await touchedSince(await found(), before)).toEqual(["rare/1.png"]);
    const after = await later();
    expect(await touchedSince(await found(), after)).toEqual([]);
    await later();
    await Deno.remove(join(folder, "rare", "1.png"));
    expect(await touchedSince(await found(), after)).toEqual(["rare"]);
  }));

/** A gateway that imports for real; `requests` are those for imports, `spoil` makes every dataset unusable. */
const withGateway = async (
  use: (
    gateway: { target: { url: string }; requests: DatasetRequest[]; spoil: () => void },
  ) => Promise<void>,
): Promise<void> => {
  const requests: DatasetRequest[] = [];
  const datasets = new Map<string, { view: DatasetView; facts: object[] }>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    async (incoming) => {
      const { pathname } = new URL(incoming.url);
      if (incoming.method === "POST") {
        const body = DatasetRequest.parse(await incoming.json());
        requests.push(body);
        const { path, bitDepth = null, offset = null, pixelSize = null, ...settings } = body;
        const requested = {
          type: "dataset.requested",
          at: new Date().toISOString(),
          ...{ path, bitDepth, offset, pixelSize, ...settings },
        };
        const view = await imported(path, body);
        const facts = [requested, { type: "dataset.imported", at: new Date().toISOString() }];
        datasets.set(body.name, { view, facts });
        return Response.json(view, { status: 202 });
      }
      const known = datasets.get(basename(pathname.replace(/\/events$/, "")));
      if (!known) {
        const problem = { type: "urn:x", title: "None", status: 404, detail: "there is none" };
        return Response.json(problem, { status: 404 });
      }
      if (!pathname.endsWith("/events")) return Response.json(known.view);
      const events = known.facts.map((fact, i) =>
        `id: ${i + 1}\nevent: ${(fact as { type: string }).type}\ndata: ${JSON.stringify(fact)}\n\n`
      );
      return new Response(events.join(""), { headers: { "content-type": "text/event-stream" } });
    },
  );
  try {
    const spoil = () => {
      for (const [name, { view, facts }] of datasets) {
        datasets.set(name, { view: { ...view, state: "failed" }, facts });
      }
    };
    await use({ target: { url: `http://127.0.0.1:${server.addr.port}` }, requests, spoil });
  } finally {
    await server.shutdown();
  }
};

/** What `use` gives, and what was said on standard error meanwhile. */
const listening = async <A>(use: () => Promise<A>): Promise<[A, unknown[]]> => {
  const said: unknown[] = [];
  const { error } = console;
  console.error = (text) => said.push(text);
  return [await use().finally(() => console.error = error), said];
};

Deno.test("a folder that has changed is not taken for what was imported: it is named, and imported anew when asked", () =>
  inFolder((folder) =>
    withGateway(async ({ target, requests }) => {
      const ensure = (again = false) =>
        Effect.flatMap(namedDataset(folder), (named) => ensureDataset(target, named, { ...wanted, again }));
      const first = await Effect.runPromise(ensure());
      expect(await Effect.runPromise(ensure())).toEqual(first);
      expect(requests.length).toBe(1);

      await drawClass(join(folder, "salp"), 5);
      const error = await Effect.runPromise(Effect.flip(ensure()));
      expect(error.reason).toEqual({ _tag: "OtherImages", dataset: "plankton" });
      for (const words of [folder, "a new class 'salp' with 5", "--import-again", "--dataset plankton"]) {
        expect(error.message).toContain(words);
      }
      // by its name, it is what was imported, wherever the user is
      const byName = { name: "plankton", folder: undefined, isPath: false };
      expect(await Effect.runPromise(ensureDataset(target, byName, wanted))).toEqual(first);

      // by the name of a folder that is where the user is, too, but that it has changed is said
      const [there, said] = await listening(() =>
        Effect.runPromise(ensureDataset(target, { ...byName, folder }, wanted))
      );
      expect(there).toEqual(first);
      expect(said).toEqual([expect.stringContaining("a new class 'salp' with 5 image files")]);

      const second = await Effect.runPromise(ensure(true));
      expect(second.dataset.classes.map(({ name }) => name)).toEqual(["copepod", "detritus", "salp"]);
      expect(second.importedAt > first.importedAt).toBe(true);
      expect(await Effect.runPromise(ensure())).toEqual(second);
      // the same command once more, after a kill
      expect(await Effect.runPromise(ensure(true))).toEqual(second);
      expect(requests.length).toBe(2);

      const unnamed = await Effect.runPromise(
        Effect.flip(ensureDataset(target, byName, { ...wanted, again: true })),
      );
      expect(unnamed.reason._tag).toBe("NoDataset");
    })
  ));

Deno.test("importing again keeps the settings of the first import", () =>
  inFolder((folder) =>
    withGateway(async ({ target, requests, spoil }) => {
      await drawClass(join(folder, "detritus"), 1);
      await fetch(`${target.url}/v1/datasets`, {
        method: "POST",
        body: JSON.stringify({
          ...{ ...request, path: folder, maxSide: 64, minClassImages: 6 },
          ...{ bitDepth: 12, pixelSize: 0.5, onLabelConflict: "drop" },
        }),
      });
      await drawClass(join(folder, "rare"), 5, 3);
      const named = await Effect.runPromise(namedDataset(folder));
      await Effect.runPromise(ensureDataset(target, named, { ...wanted, again: true }));
      expect(requests[1]).toEqual({ ...requests[0], path: folder });
      expect(requests[1]).toMatchObject({ maxSide: 64, minClassImages: 6, bitDepth: 12 });
      // also where it can't be used any more, as one of an earlier version
      spoil();
      await Effect.runPromise(ensureDataset(target, named, wanted));
      expect(requests[2]).toEqual({ ...requests[0], path: folder });
    })
  ));

Deno.test("an image that was written over is named, and imported when asked", () =>
  inFolder((folder) =>
    withGateway(async ({ target, requests }) => {
      const ensure = (again = false) =>
        Effect.runPromise(
          Effect.flatMap(namedDataset(folder), (named) => ensureDataset(target, named, { ...wanted, again })),
        );
      const [first, before] = await listening(() => ensure());
      await drawImage(join(folder, "rare", "1.png"));
      const [second, said] = await listening(() => ensure());
      expect([before, second, requests.length]).toEqual([[], first, 1]);
      expect(said).toEqual([expect.stringMatching(/written or moved .*\(rare\/1\.png\).*--import-again/)]);
      expect((await ensure(true)).importedAt > first.importedAt).toBe(true);
    })
  ));

Deno.test("images are imported at no smaller side than they are trained on, and as the command line says", () =>
  inFolder((folder) =>
    withGateway(async ({ target, requests }) => {
      await drawClass(join(folder, "detritus"), 1);
      const named = await Effect.runPromise(namedDataset(folder));
      const ensure = (more: Partial<Wanted>) => ensureDataset(target, named, { ...wanted, ...more });
      const imports = { maxSide: undefined, minClassImages: 6 };
      await Effect.runPromise(ensure({ imageSize: 320, imports }));
      expect(requests[0]).toMatchObject({ maxSide: 320, minClassImages: 6 });

      const error = await Effect.runPromise(
        Effect.flip(ensure({ imports: { ...imports, minClassImages: 5 } })),
      );
      expect(error.reason).toEqual({ _tag: "OtherImport", dataset: "plankton" });
      expect(error.message).toContain("--max-side 320 --min-class-images 6");
      await Effect.runPromise(ensure({ imports: { maxSide: 320, minClassImages: undefined } }));
      expect(requests.length).toBe(1);

      const other = { again: true, imports: { maxSide: 64, minClassImages: 5 } };
      const second = await Effect.runPromise(ensure(other));
      expect(requests[1]).toMatchObject({ maxSide: 64, minClassImages: 5 });
      expect(await Effect.runPromise(ensure(other))).toEqual(second); // once more, after a kill
      expect(requests.length).toBe(2);
      await Effect.runPromise(ensure({ again: true, imageSize: 96 }));
      expect(requests[2]).toMatchObject({ maxSide: 96, minClassImages: 5 });
    })
  ));
