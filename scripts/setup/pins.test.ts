import { expect } from "expect";
import { basename, dirname } from "node:path";
import {
  cpuBuild,
  gpuBuild,
  NATS_SERVER_VERSION,
  natsServerPath,
  type Platform,
  TENSORFLOW_VERSION,
} from "@subtaxa/tensorflow";
import { digestOf, type Part, readPins } from "./pins.ts";

const platforms: readonly Platform[] = ["linux-x86_64", "linux-aarch64", "darwin-aarch64"];

const folderOf = (platform: Platform, part: Part): string | undefined =>
  part === "nats-server"
    ? dirname(natsServerPath("/", platform))
    : (part === "cpu" ? cpuBuild : gpuBuild)("/", platform)?.folder;

for (const platform of platforms) {
  for (const part of ["cpu", "gpu", "nats-server"] as const) {
    const folder = folderOf(platform, part);
    if (folder === undefined) continue;
    Deno.test(`the folder name of ${platform} ${part} carries the digest of its pins`, () => {
      const pins = readPins(platform, part);
      const version = part === "nats-server" ? NATS_SERVER_VERSION : TENSORFLOW_VERSION;
      const name = part === "nats-server" ? part : `tensorflow-${part}`;
      expect(pins[0]?.version).toBe(version);
      expect(basename(folder)).toBe(`${name}-${version}-${digestOf(pins)}`);
    });
  }
}

Deno.test("every line of the requirement files is read as a pin", () => {
  expect(readPins("linux-x86_64", "gpu")).toHaveLength(13);
  for (const pin of readPins("linux-x86_64", "gpu")) expect(pin.unpackedBytes).toBeGreaterThan(100_000);
});
