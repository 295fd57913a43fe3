import { Effect, Result } from "effect";
import { expect } from "expect";
import { dirname, join } from "node:path";
import { deal, plant } from "./plant.ts";
import { groupBefore } from "./splits/mod.ts";

const inFolder = async (test: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-plant-" });
  await test(folder).finally(() => Deno.remove(folder, { recursive: true }));
};

/** What an image's content begins with. */
const magic = "GIF89a";

/** Files with their own path as content; by their first bytes, those called PNG are images. */
const write = async (folder: string, paths: readonly string[]) => {
  for (const path of paths) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeTextFile(join(folder, path), (path.endsWith(".png") ? magic : "") + path);
  }
};

/** Contents by path, the mark not among them. */
const filesBelow = async (folder: string, below = ""): Promise<Map<string, string>> => {
  const files = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    if (name.startsWith(".")) continue;
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) { for (const [inner, text] of await filesBelow(folder, path)) files.set(inner, text); }
    else files.set(path, (await Deno.readTextFile(join(folder, path))).replace(magic, ""));
  }
  return files;
};

const sources = ["e/5.png", "a/1.png", "c/3.png", "b/2.png", "d/deep/4.png", "a/5.png", "c/notes.txt"];

Deno.test("classes are dealt in alphabetical order, whatever order they come in", () => {
  expect([...deal(["d", "b", "e", "a", "c"], 2)]).toEqual([
    ["planted_1", ["a", "c", "e"]],
    ["planted_2", ["b", "d"]],
  ]);
  expect([...deal(Array.from({ length: 12 }, (_, i) => `class${i}`), 10).keys()]).toContain("planted_03");
});

Deno.test("images come with their class in their name, which --groups reads; again, the same folder", () =>
  inFolder(async (folder) => {
    const [from, made] = [join(folder, "taxa"), join(folder, "made", "planted")];
    await write(from, sources);
    await Deno.mkdir(join(from, "empty"));
    const planted = () => Effect.runPromise(plant({ from, folder: made, number: 2 }));
    expect((await planted()).images).toBe(6);
    const files = await filesBelow(made);
    expect(new Map([...files].sort())).toEqual(
      new Map([
        ["planted_1/a__1.png", "a/1.png"],
        ["planted_1/a__5.png", "a/5.png"],
        ["planted_1/c__3.png", "c/3.png"],
        ["planted_1/e__5.png", "e/5.png"],
        ["planted_2/b__2.png", "b/2.png"],
        ["planted_2/deep/d__4.png", "d/deep/4.png"],
      ]),
    );
    for (const [path, text] of files) expect(groupBefore("__")(path)).toBe(text.split("/")[0]);
    await write(made, ["planted_1/stale.png"]);
    await planted();
    expect(await filesBelow(made)).toEqual(files);
    expect((await Array.fromAsync(Deno.readDir(dirname(made)))).map(({ name }) => name)).toEqual(["planted"]);
    expect((await filesBelow(from)).size).toBe(sources.length);
  }));

Deno.test("what it could spoil is refused and stays: a foreign folder, one inside the other, unclear names", () =>
  inFolder(async (folder) => {
    const from = join(folder, "taxa");
    await write(from, sources);
    await write(folder, ["foreign/thesis.txt"]);
    const reason = async (options: Partial<Parameters<typeof plant>[0]>) => {
      const result = await Effect.runPromise(
        Effect.result(plant({ from, folder: join(folder, "new"), number: 2, ...options })),
      );
      return Result.isFailure(result) ? result.failure.reason._tag : "planted";
    };
    expect(await reason({ folder: join(folder, "foreign") })).toBe("FolderTaken");
    expect(await filesBelow(folder, "foreign")).toEqual(
      new Map([["foreign/thesis.txt", "foreign/thesis.txt"]]),
    );
    expect(await reason({ folder: join(from, "inside") })).toBe("Nested");
    expect(await reason({ folder })).toBe("Nested");
    expect(await reason({ number: 5 })).toBe("TooFewClasses");
    await write(from, ["a__b/1.png"]);
    expect(await reason({})).toBe("NameHoldsSeparator");
    expect((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort()).toEqual([
      "foreign",
      "taxa",
    ]);
  }));
