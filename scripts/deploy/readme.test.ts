import { Effect } from "effect";
import { expect } from "expect";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { render } from "./render.ts";
import { toolsMissing } from "./tools.ts";

const root = resolve(import.meta.dirname!, "../..");
const readme = readFileSync(resolve(root, "README.md"), "utf8");

/** The commands of README's "On a cluster"; a line that ends with a backslash goes on. */
const commands = (): string[] => {
  const section = readme.split("\n## On a cluster\n")[1]?.split("\n## ")[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("    ")).map((line) => line.trim());
  return lines.join("\n").replaceAll("\\\n", "").split("\n");
};

Deno.test({
  name: "README's way to a cluster has at most ten commands, and each names what the chart makes",
  ignore: toolsMissing() !== undefined,
  fn: async () => {
    const all = commands();
    const text = all.join("\n");
    expect(all.length).toBeGreaterThan(5);
    expect(all.length).toBeLessThanOrEqual(10);
    expect(text).toContain("helm install subtaxa deploy/helm/subtaxa -n subtaxa --create-namespace");

    // values that are set; the chart names its objects by the release, which is called otherwise here
    const set = Object.fromEntries(
      [...text.matchAll(/--set (\S+)=(\S+)/g)].map(([, path, value]) => [path!, value!]),
    );
    expect(Object.keys(set)).toEqual(["image.repository"]);
    const answer = (await Effect.runPromise(
      render({ all: { fullnameOverride: "subtaxa", image: { repository: "registry.example.org/x" } } }),
    )).get("all");
    if (!answer || "error" in answer) throw new Error(answer?.error);
    const { manifests } = answer;
    const of = (kind: string, name: string) =>
      manifests.find((one) => one.kind === kind && one.metadata.name === name);

    // images that are built are those that Pods want
    const built = [...text.matchAll(/-t \$REPOSITORY:(\S+)/g)].map(([, tag]) =>
      `registry.example.org/x:${tag}`
    );
    const wanted = new Set(JSON.stringify(manifests).match(/registry\.example\.org\/x:[\w.-]+/g));
    expect(built.sort()).toEqual([...wanted].sort());

    // objects that are named
    for (const [, kind = "", name = ""] of text.matchAll(/(deployment|service)\/(\S+)/g)) {
      expect(of(kind === "service" ? "Service" : "Deployment", name)).toBeDefined();
    }
    const Ports = z.object({ ports: z.array(z.object({ port: z.number() })) });
    const [, service = "", port] = /port-forward service\/(\S+) \d+:(\d+)/.exec(text)!;
    expect(Ports.parse(of("Service", service)?.spec).ports.map((one) => one.port)).toContain(Number(port));
    const [, secret = "", key = ""] = /get secret (\S+) -o jsonpath='\{\.data\.(\w+)\}'/.exec(text)!;
    expect(of("Secret", secret)?.data).toHaveProperty(key);
    const [, folder = ""] = /tar x -C (\S+)/.exec(text)!;
    expect(text).toContain(`"path": "${folder}/plankton"`);
    expect(JSON.stringify(of("Deployment", "subtaxa-gateway"))).toContain(`"mountPath":"${folder}"`);

    // KEDA is the one whose schemas the chart is held to, in the namespace that may ask NATS
    const tools = readFileSync(resolve(root, "scripts/deploy/tools.ts"), "utf8");
    const [, keda] = /kedacore\/keda\/releases\/download\/v([\d.]+)\//.exec(text)!;
    expect(tools).toContain(`version: "v${keda}"`);
  },
});

Deno.test("the API server that is tried has the versions whose schemas the chart is held to", () => {
  const script = readFileSync(resolve(root, "deploy/try-apiserver"), "utf8");
  const tools = readFileSync(resolve(root, "scripts/deploy/tools.ts"), "utf8");
  for (const name of ["kubernetes", "keda"]) {
    const [, version] = new RegExp(`^${name}=([\\d.]+)$`, "m").exec(script)!;
    expect(tools).toMatch(new RegExp(`${name}: \\{[^}]*version: "v${version}"`));
  }
});
