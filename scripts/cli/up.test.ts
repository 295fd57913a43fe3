import { ClustererView } from "@subtaxa/contracts";
import { expect } from "expect";
import { join, resolve } from "node:path";
import { z } from "zod";
import { isAlive, ProcessView, remember } from "../stack/mod.ts";

const entry = resolve(import.meta.dirname!, "..", "subtaxa.ts");
const services = [
  "nats",
  "gateway",
  "trainer",
  "trainer-2",
  "evaluator",
  "extractor",
  "extractor-2",
  "clusterer",
  "clusterer-kmeans",
];

Deno.test("up runs the real services, ps shows them, a second up says where, down stops them all", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-up-" });
  const spawn = (...args: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", entry, ...args],
      env: { NO_COLOR: "1", SUBTAXA_DATA: folder, NATS_URL: "" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  const json = async (...args: string[]): Promise<unknown> =>
    JSON.parse(new TextDecoder().decode((await spawn(...args).output()).stdout));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const natsPort = listener.addr.port;
  listener.close();
  const options = ["--port", "0", "--nats-port", String(natsPort), "--workers", "trainer=2,extractor=2"];
  const up = spawn("up", ...options, "--json").spawn();
  const told = new Response(up.stderr).text();
  const output = up.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const { value } = await output.read();
    const ready = z.object({ url: z.string(), natsUrl: z.string(), processes: z.array(ProcessView) })
      .parse(JSON.parse(value ?? (await told)));
    expect(ready.natsUrl).toBe(`nats://127.0.0.1:${natsPort}`);
    expect(ready.processes.map(({ service }) => service)).toEqual(services);
    expect(ready.processes.every(({ state }) => state === "ready")).toBe(true);
    expect(await json("ps", "--json")).toEqual(ready.processes);
    expect(await json("datasets", "--json", "--url", ready.url)).toEqual([]);

    const top = z.object({ clusterers: z.array(ClustererView) }).parse(await json("top", "--once", "--json"));
    expect(top.clusterers.map(({ name, versions }) => [name, versions.length])).toEqual([
      ["kmeans", 1],
      ["xmeans", 1],
    ]);

    const second = await spawn("up", "--port", "0").output();
    expect(second.code).toBe(1);
    const message = new TextDecoder().decode(second.stderr);
    expect(message).toContain(`already running on ${folder} (process ${up.pid}, ${ready.url})`);

    const began = ready.processes.map(({ pid }) => remember(pid));
    expect(began.every(isAlive)).toBe(true);
    expect((await spawn("down").output()).code).toBe(0);
    expect((await up.status).code).toBe(0);
    expect(began.some(isAlive)).toBe(false);
    expect(await json("ps", "--json")).toEqual([]);
    expect(await told).toMatch(
      new RegExp(`nats-server is ready .*: NATS_URL=nats://127.0.0.1:${natsPort}\n`),
    );
    expect(await told).toContain("stopping: services first, NATS last");
    expect([...Deno.readDirSync(join(folder, "logs"))].length).toBe(services.length - 1);
  } finally {
    await spawn("down").output();
    await Promise.all([output.cancel(), told, up.status]);
    await Deno.remove(folder, { recursive: true });
  }
});
