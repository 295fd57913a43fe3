import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Flavour, Platform } from "@subtaxa/tensorflow";

/** One pinned wheel of a requirements file. */
export interface Pin {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Size of the wheel, and of what is unpacked from it. */
  readonly wheelBytes: number;
  readonly unpackedBytes: number;
}

export type Part = Flavour | "nats-server";

const line = /^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64}) {2}# wheel (\d+) unpacked (\d+)$/gm;

export const parsePins = (text: string): readonly Pin[] =>
  [...text.matchAll(line)].map(([, name = "", version = "", sha256 = "", wheel, unpacked]) => ({
    name,
    version,
    sha256,
    wheelBytes: Number(wheel),
    unpackedBytes: Number(unpacked),
  }));

export const readPins = (platform: Platform, part: Part): readonly Pin[] =>
  parsePins(readFileSync(join(import.meta.dirname ?? "", "..", "native", `${platform}-${part}.txt`), "utf8"));

/** Twelve hexadecimal digits that change when any pin does. */
export const digestOf = (pins: readonly Pin[]): string => {
  const hash = createHash("sha256");
  for (const pin of pins) hash.update(`${pin.name}==${pin.version} ${pin.sha256}\n`);
  return hash.digest("hex").slice(0, 12);
};

const tags: Record<Platform, readonly string[]> = {
  "linux-x86_64": ["2_28", "2_27", "2_25", "2_17", "2_12"].map((glibc) => `manylinux_${glibc}_x86_64`),
  "linux-aarch64": ["2_28", "2_27"].map((glibc) => `manylinux_${glibc}_aarch64`),
  "darwin-aarch64": ["13", "12"].map((version) => `macosx_${version}_0_arm64`),
};

/** What tells pip to choose the wheel of this platform, whatever Python runs it. */
export const platformArguments = (platform: Platform): readonly string[] => [
  ...["--python-version", "3.12", "--implementation", "cp"],
  ...tags[platform].flatMap((tag) => ["--platform", tag]),
];
