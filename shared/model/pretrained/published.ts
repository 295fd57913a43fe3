import type { Backbone } from "@subtaxa/contracts";
import { subtaxaHome } from "@subtaxa/tensorflow";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { pipeline } from "node:stream/promises";
import { ModelError } from "../error.ts";

/** A file of weights on the web, and how to know that it is the one. */
export interface Published {
  readonly url: string;
  /** Its name below `<SUBTAXA_HOME>/weights`. */
  readonly file: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Weights trained on ImageNet, by the network. */
export const published: Readonly<Partial<Record<Backbone, Published>>> = {
  // Keras Applications' own. Keras pins it by the MD5 4d473c1dd8becc155b73f8504c6f6626; the SHA-256 is that of Git LFS
  // pointers to copies of the same length.
  resnet50: {
    url: "https://storage.googleapis.com/tensorflow/keras-applications/resnet/" +
      "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    file: "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    bytes: 94_765_736,
    sha256: "66c8b43daff3fcc15bc4f30e3d2a167e21a14d9c9598a5394e5516471f4af504",
  },
  // timm's, Apache 2.0, at a revision; the SHA-256 is the hub's. Keras pins its own file by an MD5 only.
  "efficientnet-b0": {
    url: "https://huggingface.co/timm/efficientnet_b0.ra_in1k/resolve/" +
      "1b5383e5f79cc0f7fc067e372f8f26a5fa73f26a/model.safetensors",
    file: "efficientnet_b0.ra_in1k.safetensors",
    bytes: 21_355_344,
    sha256: "d569899762ea9b1384ee07f4af64805cf8caa1c55f9253ebb1080dc40e87a2cd",
  },
};

export interface Fetching {
  /** Default: `SUBTAXA_HOME`. */
  readonly home?: string;
  /** Told bytes, at most a hundred times. */
  readonly onProgress?: (done: number, total: number) => void;
  /** A server that says nothing for this long is given up. Default: 60 s. */
  readonly silenceMillis?: number;
}

const sha256Of = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
};

/** `fetch` says why it failed only in the error's cause. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
};

/** Passes bytes on, and tells of them. */
const counting = (total: number, seen: () => void, onProgress: Fetching["onProgress"]) => {
  let done = 0;
  let told = 0;
  return new Transform({
    transform(chunk: Uint8Array, _, next) {
      seen();
      done += chunk.length;
      if (done - told >= total / 100 || done === total) onProgress?.(told = done, total);
      next(null, chunk);
    },
  });
};

/** Downloads `url` into the new file `part`. Throws whatever goes wrong. */
const download = async (
  { url, bytes }: Published,
  part: string,
  { silenceMillis = 60_000, onProgress }: Fetching,
): Promise<void> => {
  const giveUp = new AbortController();
  const silent = () => giveUp.abort(new Error(`the server said nothing for ${silenceMillis / 1000} s`));
  let timer = setTimeout(silent, silenceMillis);
  const seen = () => {
    clearTimeout(timer);
    timer = setTimeout(silent, silenceMillis);
  };
  try {
    const response = await fetch(url, { signal: giveUp.signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
    }
    const body = Readable.fromWeb(response.body as NodeReadableStream<Uint8Array>);
    await pipeline(body, counting(bytes, seen, onProgress), createWriteStream(part, { flags: "wx" }));
  } finally {
    clearTimeout(timer);
  }
};

/**
 * The path of a published file below `<home>/weights`, fetched there unless it already is. The proxy settings of the
 * environment (`HTTPS_PROXY`, …) are kept. Throws `ModelError/NotFetched`, which says what to put where by hand, when the
 * server can't be reached or sends something else; then no file is left behind.
 */
export const fetchPublished = async (weights: Published, options: Fetching = {}): Promise<string> => {
  const { url, bytes, sha256 } = weights;
  const path = join(options.home ?? subtaxaHome(), "weights", weights.file);
  const notFetched = (detail: string) =>
    new ModelError({
      reason: { _tag: "NotFetched", url, file: path },
      message:
        `could not fetch ${url}: ${detail}. Without a connection, download it elsewhere and put it at ` +
        `${path}; it has ${bytes} bytes and the SHA-256 ${sha256}`,
    });
  const whatIsWrong = async (file: string): Promise<string | undefined> => {
    const { size } = await stat(file);
    if (size !== bytes) return `${size} bytes instead of ${bytes}`;
    const actual = await sha256Of(file);
    return actual === sha256 ? undefined : `the SHA-256 ${actual} instead of ${sha256}`;
  };

  const there = await stat(path).then(() => whatIsWrong(path), () => "missing");
  if (there === undefined) return path;
  const part = `${path}.${crypto.randomUUID()}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await download(weights, part, options);
    const wrong = await whatIsWrong(part);
    if (wrong) throw new Error(`what came has ${wrong}`);
    await rename(part, path);
    return path;
  } catch (cause) {
    const damaged = there === "missing" ? "" : ` (${path} is there, but has ${there})`;
    throw notFetched(reasonOf(cause) + damaged);
  } finally {
    await rm(part, { force: true });
  }
};

/** What is published for a network. Throws `ModelError/NoPublishedWeights`. */
export const publishedFor = (backbone: Backbone): Published => {
  const found = published[backbone];
  if (found) return found;
  throw new ModelError({
    reason: { _tag: "NoPublishedWeights", backbone },
    message: `nobody publishes ImageNet weights for the network '${backbone}': choose ` +
      `${Object.keys(published).join(" or ")}, or random weights`,
  });
};
