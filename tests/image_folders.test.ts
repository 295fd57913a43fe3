import { Manifest } from "@subtaxa/contracts";
import { importFolder, type ImportOptions, loadImages } from "@subtaxa/dataset";
import { Effect, Result } from "effect";
import { expect } from "expect";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join, sep } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { z } from "zod";
import { hasPip, pythonWith } from "../scripts/python/mod.ts";
import { root } from "../scripts/stack/mod.ts";

/**
 * Folders of images of every format, size, depth, channel layout and order, good and bad mixed, drawn by
 * `scripts/fixtures/image_folders.py`, which also says what must become of each path: what Pillow and tifffile read.
 *
 * `SUBTAXA_FOLDERS=2000 SUBTAXA_FIRST_FOLDER=1 deno test -A tests/image_folders.test.ts` tries more of them than CI does;
 * `SUBTAXA_KEEP_FOLDERS=/tmp/kept` keeps those that something is wrong with.
 */
const numberOf = (name: string, otherwise: number) => Number(Deno.env.get(name) ?? otherwise);
const folders = numberOf("SUBTAXA_FOLDERS", 40);
const firstFolder = numberOf("SUBTAXA_FIRST_FOLDER", 1);
const keep = Deno.env.get("SUBTAXA_KEEP_FOLDERS");

const Path = z.object({
  path: z.string(),
  /** How the file was made. */
  kind: z.string(),
  /** "link": a link to a folder, whose files are listed. "hidden": passed over without a word. */
  verdict: z.enum(["accept", "reject", "either", "duplicate", "hidden", "link"]),
  /** What is known of an image that is accepted; pixels are those at the image size, grey or RGB. */
  truth: z.object({
    width: z.number(),
    height: z.number(),
    channels: z.union([z.literal(1), z.literal(3)]),
    pixels: z.string().transform((text) => Buffer.from(text, "base64")),
    /** Whether its samples have 16 bits. */
    deep: z.boolean(),
    /** The greatest difference of one sample that is allowed, and the mean one. */
    most: z.number(),
    mean: z.number(),
  }).optional(),
});
type Path = z.infer<typeof Path>;

const Drawn = z.object({
  paths: z.array(Path),
  /** Those that must be kept, and those that must be left out; of others either is right. */
  classes: z.array(z.string()),
  leftOut: z.array(z.string()),
  depth: z.object({ bits: z.number(), offset: z.number() }).nullable(),
  conflicts: z.array(z.array(z.string())),
});
type Drawn = z.infer<typeof Drawn>;

interface Request {
  readonly folder: string;
  readonly seed: number;
  readonly imageSize: number;
  readonly maxSide: number;
}

/** The process that draws folders. */
class Drawer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  constructor(python: string) {
    this.#child = new Deno.Command(python, {
      args: ["-X", "utf8", join(root, "scripts/fixtures/image_folders.py")],
      stdin: "piped",
      stdout: "piped",
      stderr: "null", // libpng and libtiff warn of what was drawn on purpose
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    const lines = createInterface({ input: Readable.fromWeb(this.#child.stdout as never) });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  async draw(request: Request): Promise<Drawn> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the process that draws folders has ended");
    const answer = JSON.parse(value);
    if ("error" in answer) throw new Error(`folder ${request.seed} could not be drawn: ${answer.error}`);
    return Drawn.parse(answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
  }
}

/** Sizes that change from folder to folder: with and without reducing, with and without enlarging. */
const sizesOf = (seed: number) => ({
  imageSize: [32, 32, 64, 24][seed % 4]!,
  maxSide: [64, 96, 64, 40][(seed >> 2) % 4]!,
});

const importOptions = (folder: string, seed: number): ImportOptions => ({
  name: "drawn",
  path: join(folder, "data"),
  maxSide: sizesOf(seed).maxSide,
  minClassImages: 5,
  outputFolder: join(folder, "shards"),
  onLabelConflict: "keep",
  isAllowed: (path) => ["data", "store"].some((allowed) => path.startsWith(join(folder, allowed) + sep)),
});

/** Whether a file is listed, by itself or as part of a folder that is rejected as a whole. */
const isListed = (path: string, rejected: ReadonlySet<string>): boolean =>
  rejected.has(path) ||
  path.split("/").some((_, i, parts) => rejected.has(`${parts.slice(0, i).join("/")}/`));

/** Every path is an image or is listed, whichever is right. */
const accountOf = (
  drawn: Drawn,
  classes: ReadonlySet<string>,
  images: ReadonlySet<string>,
  rejected: readonly Manifest["rejected"][number][],
): string[] => {
  const listed = new Set(rejected.map(({ file }) => file));
  const reasonOf = (path: string) => rejected.find(({ file }) => file === path)?.reason;
  const problems = drawn.paths.flatMap(({ path, kind, verdict }) => {
    const isImage = images.has(path);
    const named = `${JSON.stringify(path)} (${kind})`;
    if (verdict === "hidden") return isImage || listed.has(path) ? [`${named} is not passed over`] : [];
    if (verdict === "link") return isImage || listed.has(path) ? [`${named} is not followed`] : [];
    if (isImage && listed.has(path)) return [`${named} is both an image and rejected`];
    if (!classes.has(path.split("/")[0]!) && verdict !== "reject") {
      const isRight = !isImage && (verdict !== "accept" || !listed.has(path));
      return isRight ? [] : [`${named} of a class left out: ${isImage ? "an image" : reasonOf(path)}`];
    }
    if (!isImage && !isListed(path, listed)) return [`${named} is neither an image nor rejected`];
    if (verdict === "accept" && !isImage) return [`${named} is rejected: ${reasonOf(path)}`];
    if (verdict === "reject" && isImage) return [`${named} is accepted`];
    if (verdict === "duplicate" && isImage) return [`${named} is no duplicate`];
    return [];
  });
  const paths = new Set(drawn.paths.map(({ path }) => path));
  const isFolder = (file: string) =>
    file.endsWith("/") && drawn.paths.some(({ path }) => path.startsWith(file));
  const unknown = [...images, ...listed].filter((file) => !paths.has(file) && !isFolder(file));
  return [...problems, ...unknown.map((file) => `${JSON.stringify(file)} is not there`)];
};

/** A problem where the class that a drawn folder must have is not one, or the other way round. */
const classProblems = (drawn: Drawn, classes: readonly string[]): string[] => [
  ...drawn.classes.filter((name) => !classes.includes(name)).map((name) => `class ${name} is left out`),
  ...drawn.leftOut.filter((name) => classes.includes(name)).map((name) => `class ${name} is not left out`),
];

const rgb = (pixels: Uint8Array, channels: 1 | 3): Uint8Array =>
  channels === 3
    ? pixels
    : Uint8Array.from({ length: 3 * pixels.length }, (_, i) => pixels[Math.floor(i / 3)]!);

/** What is wrong with an image that was loaded, beside the truth. */
const differenceOf = (got: Uint8Array, { pixels, channels, most, mean }: NonNullable<Path["truth"]>) => {
  const right = rgb(pixels, channels);
  if (got.length !== right.length) return `${got.length} samples instead of ${right.length}`;
  let [sum, greatest, place] = [0, 0, 0];
  for (let i = 0; i < right.length; i++) {
    const difference = Math.abs(got[i]! - right[i]!);
    sum += difference;
    if (difference > greatest) [greatest, place] = [difference, i];
  }
  const [average, side] = [sum / right.length, Math.sqrt(right.length / 3)];
  if (greatest <= most && average <= mean) return undefined;
  const pixel = Math.floor(place / 3);
  return `differs by ${average.toFixed(2)} in the mean, at x ${pixel % side}, y ${
    Math.floor(pixel / side)
  } ` +
    `by ${greatest}: ${got[place]} instead of ${right[place]}`;
};

/** The shapes and pixels of a manifest's images beside the truth: from shards, from the cache, and after a restart. */
const pixelProblems = async (
  drawn: Drawn,
  { manifest, shardFiles, folder, imageSize }: {
    readonly manifest: Manifest;
    readonly shardFiles: readonly string[];
    readonly folder: string;
    readonly imageSize: number;
  },
): Promise<string[]> => {
  const text = JSON.stringify(manifest);
  const load = (cache: string, read: Manifest) =>
    Effect.runPromise(loadImages({
      manifest: read,
      manifestSha256: createHash("sha256").update(text).digest("hex"),
      shardFiles: (shard) => shardFiles[shard]!,
      imageSize,
      cacheFolder: join(folder, cache),
    }));
  const truths = new Map(drawn.paths.map((path) => [path.path, path]));
  const loads = [
    ["from shards", await load("cache", manifest)],
    ["from the cache", await load("cache", manifest)],
    // What is left after a restart: the stored manifest, the shards, and either cache or none.
    ["from the cache, after a restart", await load("cache", Manifest.parse(JSON.parse(text)))],
    ["from shards, after a restart", await load("other-cache", Manifest.parse(JSON.parse(text)))],
  ] as const;
  const problems = loads.flatMap(([way, images]) => {
    const size = images.side ** 2 * images.channels;
    return manifest.images.flatMap(({ path }, i) => {
      const { kind, truth } = truths.get(path) ?? {};
      const got = rgb(images.pixels.subarray(i * size, (i + 1) * size), images.channels);
      const difference = truth && differenceOf(got, truth);
      return difference ? [`${JSON.stringify(path)} (${kind}) ${way}: ${difference}`] : [];
    });
  });
  const shapes = manifest.images.flatMap(({ path, ...image }) => {
    const { kind, truth } = truths.get(path) ?? {};
    const wrong = truth &&
      (["width", "height", "channels"] as const).filter((key) => truth[key] !== image[key]);
    return wrong?.length ? [`${JSON.stringify(path)} (${kind}): ${wrong} of ${JSON.stringify(image)}`] : [];
  });
  return [...problems, ...shapes];
};

const sorted = (groups: readonly (readonly string[])[]): string[] =>
  groups.map((one) => [...one].sort().join(" | ")).sort();

/** All that is wrong with what became of one drawn folder. */
const problemsOf = async (drawn: Drawn, folder: string, seed: number): Promise<string[]> => {
  const { imageSize } = sizesOf(seed);
  await Deno.mkdir(join(folder, "shards"));
  const imported = (workers: number) =>
    Effect.runPromise(Effect.result(importFolder({ ...importOptions(folder, seed), workers })));
  const first = await imported(1);
  // Of some folders the same files written in another order, and read by more threads.
  await Deno.rename(join(folder, "data"), join(folder, "first"));
  await Deno.rename(join(folder, "copy"), join(folder, "data"));
  const second = seed % 3 === 0 ? await imported(2 + seed % 2) : first;
  if (Result.isFailure(first)) {
    const { reason, report } = first.failure;
    if (drawn.classes.length >= 2 || reason._tag !== "TooFewClasses") return [first.failure.message];
    const again = Result.isFailure(second) ? second.failure.report : undefined;
    const rejected = report!.rejected;
    const images = new Set(acceptedOf(drawn, reason.classes, rejected));
    return [
      ...classProblems(drawn, reason.classes),
      ...accountOf(drawn, new Set(reason.classes), images, rejected),
      ...(JSON.stringify(again) === JSON.stringify(report) ? [] : ["the copy's report differs"]),
    ];
  }
  const { manifest, shardFiles } = first.success;
  const paths = manifest.images.map(({ path }) => path);
  const conflicts = manifest.labelConflicts.map(({ files }) => files.map(({ path }) => path));
  const isDeep = new Map(drawn.paths.map(({ path, truth }) => [path, truth?.deep === true]));
  const depth = paths.some((path) => isDeep.get(path)) ? drawn.depth : null;
  // Pictures in a class that is left out are no conflict.
  const right = drawn.conflicts
    .map((paths) => paths.filter((path) => manifest.classes.includes(path.split("/")[0]!)))
    .filter((paths) => paths.length > 1);
  return [
    ...classProblems(drawn, manifest.classes),
    ...accountOf(drawn, new Set(manifest.classes), new Set(paths), manifest.rejected),
    ...(await pixelProblems(drawn, { manifest, shardFiles, folder, imageSize })),
    ...(paths.every((path, i) => i === 0 || paths[i - 1]! < path) ? [] : ["the images are not sorted"]),
    ...(JSON.stringify(manifest.depth) === JSON.stringify(depth)
      ? []
      : [`depth ${JSON.stringify(manifest.depth)} instead of ${JSON.stringify(depth)}`]),
    ...(JSON.stringify(sorted(conflicts)) === JSON.stringify(sorted(right))
      ? []
      : [`label conflicts ${JSON.stringify(conflicts)} instead of ${JSON.stringify(right)}`]),
    ...(Result.isSuccess(second) && JSON.stringify(second.success.manifest) === JSON.stringify(manifest)
      ? []
      : ["the copy's manifest differs"]),
  ];
};

/** The images of an import that failed can not be asked for: those that may be accepted, and aren't listed. */
const acceptedOf = (drawn: Drawn, classes: readonly string[], rejected: Manifest["rejected"]): string[] => {
  const listed = new Set(rejected.map(({ file }) => file));
  const isAccepted = ({ path, verdict }: Path) =>
    verdict === "accept" || (verdict === "either" && !isListed(path, listed));
  return drawn.paths.filter((one) => isAccepted(one) && classes.includes(one.path.split("/")[0]!))
    .map(({ path }) => path);
};

Deno.test({
  name: `${folders} drawn folders of images are imported and loaded as Pillow and tifffile read them`,
  ignore: !Deno.env.get("CI") && !(await hasPip()), // where CI is set, what is missing is an error
  fn: async () => {
    const requirements = join(root, "scripts/fixtures/image_folders.requirements.txt");
    const python = await Effect.runPromise(pythonWith(requirements, "image-folders"));
    await using drawer = new Drawer(python);
    const problems: string[] = [];
    let files = 0;
    for (let seed = firstFolder; seed < firstFolder + folders; seed++) {
      const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "subtaxa-folders-" }));
      try {
        const { imageSize, maxSide } = sizesOf(seed);
        const drawn = await drawer.draw({ folder, seed, imageSize, maxSide });
        files += drawn.paths.length;
        const found = await problemsOf(drawn, folder, seed);
        for (const problem of found) {
          console.error(`folder ${seed}: ${problem}`);
          problems.push(`folder ${seed}: ${problem}`);
        }
        if (keep && found.length > 0) {
          const { success } = await new Deno.Command("cp", { args: ["-a", folder, join(keep, `${seed}`)] })
            .output();
          expect(success).toBe(true);
        }
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
      const done = seed - firstFolder + 1;
      if (done % 100 === 0 || done === folders) console.log(`${done} folders with ${files} files`);
    }
    expect(problems).toEqual([]);
  },
});
