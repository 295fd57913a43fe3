import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { openLedger } from "./ledger.ts";
import { keyOf, Settings } from "./plan.ts";

const settings = Settings.parse({ dataset: "plankton", folds: 5 });

const [monday, tuesday] = ["2026-01-05T09:00:00.000Z", "2026-01-06T09:00:00.000Z"] as const;

const inFolder = async (test: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-ledger-" });
  await test(folder).finally(() => Deno.remove(folder, { recursive: true }));
};

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("what was written down is read by the next process", () =>
  inFolder(async (folder) => {
    const out = join(folder, "a", "b");
    const ledger = await Effect.runPromise(openLedger(out, settings));
    expect(ledger.of("standard")).toBeUndefined();
    await Effect.runPromise(ledger.set("standard", { key: "k", attempt: 0 }));
    await Effect.runPromise(ledger.set("gs-trs", { key: "l", attempt: 2, id: "r" }));
    expect(names(out)).toEqual(["runs.json"]);

    const next = await Effect.runPromise(openLedger(out, settings));
    expect(next.of("standard")).toEqual({ key: "k", attempt: 0 });
    expect(next.of("gs-trs")).toEqual({ key: "l", attempt: 2, id: "r" });
  }));

Deno.test("a folder of other settings is refused, and they are named", () =>
  inFolder(async (folder) => {
    await Effect.runPromise(openLedger(folder, settings));
    const other = { ...settings, epochs: 7, imageSize: 32 };
    const error = await Effect.runPromise(Effect.flip(openLedger(folder, other)));
    expect(error.reason._tag).toBe("OtherSettings");
    expect(error.message).toContain("epochs: 100 there, 7 here");
    expect(error.message).toContain("imageSize: not given there, 32 here");
    expect(error.message).not.toContain("seed");
  }));

Deno.test("runs belong to the images of one import: after another they are refused, or forgotten when asked", () =>
  inFolder(async (folder) => {
    const entry = { key: "k", attempt: 0, id: "r" };
    const open = () => Effect.runPromise(openLedger(folder, settings));
    const first = await open();
    await Effect.runPromise(first.tie(monday, false));
    await Effect.runPromise(first.set("standard", entry));
    await Effect.runPromise((await open()).tie(monday, true)); // goes on after a kill
    expect((await open()).of("standard")).toEqual(entry);

    const refused = await Effect.runPromise(Effect.flip((await open()).tie(tuesday, false)));
    expect(refused.reason).toEqual({ _tag: "OtherImages", dataset: "plankton" });
    for (const words of [monday, tuesday, "--import-again", "--out"]) {
      expect(refused.message).toContain(words);
    }
    expect((await open()).of("standard")).toEqual(entry);

    await Effect.runPromise((await open()).tie(tuesday, true));
    const anew = await open();
    expect(anew.of("standard")).toBeUndefined();
    await Effect.runPromise(anew.tie(tuesday, false));
  }));

Deno.test("a ledger that is no ledger, and a folder that is none, are named", () =>
  inFolder(async (folder) => {
    const path = join(folder, "runs.json");
    await Deno.writeTextFile(path, "{");
    const unreadable = await Effect.runPromise(Effect.flip(openLedger(folder, settings)));
    expect(unreadable.reason).toEqual({ _tag: "LedgerUnreadable", file: path });
    await Deno.writeTextFile(path, "{}");
    expect((await Effect.runPromise(Effect.flip(openLedger(folder, settings)))).message).toContain(path);

    const below = await Effect.runPromise(Effect.flip(openLedger(join(path, "below"), settings)));
    expect(below.message).toContain(join(path, "below"));
  }));

Deno.test("keys: the same for the same settings, others for other settings, images, methods and attempts", () => {
  const again = Settings.parse({ folds: 5, dataset: "plankton", seed: 0 });
  expect(keyOf(again, monday, "standard", 0)).toBe(keyOf(settings, monday, "standard", 0));
  const keys = [
    keyOf(settings, monday, "standard", 0),
    keyOf(settings, monday, "triplet", 0),
    keyOf(settings, monday, "standard", 1),
    keyOf({ ...settings, seed: 1 }, monday, "standard", 0),
    keyOf(settings, tuesday, "standard", 0),
  ];
  expect(new Set(keys).size).toBe(5);
  expect(keys.every((key) => key.length <= 255)).toBe(true);
});
