import { Bus } from "@subtaxa/bus";
import { progressSubject } from "@subtaxa/contracts";
import { Effect, Fiber } from "effect";
import { expect } from "expect";
import { type Browser, chromium, type Page } from "playwright-core";
import { join } from "node:path";
import { type Gateway, withGateway, writeImages } from "./testing.ts";
import { completed, factsOf, requestOf } from "./testing_run.ts";
import { watchClusterers } from "./watch_clusterers.ts";

/** A Chromium of this machine; without one, the tests of the page are left out. */
const executable = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });

/** A page in a browser of its own; nothing may go wrong in it unseen, and nothing may be loaded from elsewhere. */
const withPage = (
  body: (page: Page, gateway: Gateway) => Promise<void>,
  env: Record<string, string> = {},
) =>
  withGateway(async (gateway) => {
    let browser: Browser | undefined;
    try {
      browser = await chromium.launch({
        executablePath: executable!,
        args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
      });
      const page = await browser.newPage();
      page.setDefaultTimeout(60_000);
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error" && !message.text().includes("status of 4")) {
          faults.push(message.text());
        }
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(gateway.base)) faults.push(`asked ${request.url()}`);
      });
      await body(page, gateway);
      expect(faults).toEqual([]);
    } finally {
      await browser?.close();
    }
  }, { env });

const options = { ignore: executable === undefined, sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "page: a dataset is imported, and replaced after a question; a run is started and watched to its end, wrong fields being shown",
  options,
  withPage(async (page, gateway) => {
    await writeImages(join(gateway.root, "trees"), { ash: 8, birch: 8 });
    const imports: string[] = [];
    page.on("request", (request) => {
      if (request.method() === "POST" && request.url().endsWith("/v1/datasets")) imports.push(request.url());
    });
    await page.goto(gateway.base);
    await page.getByText("No dataset yet").waitFor();
    await page.getByRole("button", { name: "Import a folder" }).click();
    await page.getByLabel("Name").fill("no good");
    await page.getByLabel("Folder, on").fill("/etc");
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.locator("#import-name-error").waitFor();
    expect(await page.getByLabel("Name").getAttribute("aria-invalid")).toBe("true");
    await page.getByLabel("Name").fill("trees");
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.locator("#import-path-error").getByText("not below an allowed folder").waitFor();
    await page.getByLabel("Folder, on").fill(join(gateway.root, "trees"));
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByText("16 images in 2 classes").waitFor();

    const overview = () => page.getByRole("link", { name: "Overview" }).first().click();
    await overview();
    expect(await page.getByRole("row", { name: /^trees/ }).innerText()).toMatch(/ready · 1 warning\s/);
    await page.getByRole("link", { name: "1 warning" }).click();
    await page.getByText("hardly learnt").waitFor();
    await overview();
    await page.getByRole("button", { name: "Import a folder" }).click();
    const sentence =
      "This replaces the dataset trees of 2 classes and 16 images; runs that were started on it keep " +
      "its images.";
    await page.getByRole("button", { name: "Import", exact: true }).dblclick();
    await page.getByRole("alert").getByText(sentence).waitFor();
    await page.getByLabel("Name").fill("tree");
    await page.getByRole("button", { name: "Import", exact: true }).waitFor();
    expect(await page.getByText(sentence).count()).toBe(0);
    await page.getByLabel("Name").fill("trees");
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByText(sentence).waitFor();
    expect(imports.length).toBe(3);
    const begun = page.waitForResponse((response) =>
      response.request().method() === "POST" && response.url().endsWith("/v1/datasets")
    );
    await page.getByRole("button", { name: "Replace the dataset" }).click();
    await begun;
    // The page may still show the former import, which has as many images.
    while ((await gateway.json<{ state: string }>("/v1/datasets/trees")).state === "importing") {
      await page.waitForTimeout(50);
    }
    await page.getByText("16 images in 2 classes").waitFor();
    expect(imports.length).toBe(4);

    await overview();
    await page.getByRole("button", { name: "Start a run" }).click();
    for (const [name, keys, message] of [["seed", "", "is required"], ["folds", "e", "must be a number"]]) {
      await page.locator(`#start [name=${name}]`).fill("");
      await page.locator(`#start [name=${name}]`).pressSequentially(keys!);
      await page.getByRole("button", { name: "Start", exact: true }).click();
      await page.locator(`#start-${name}-error`).getByText(message!).waitFor();
    }
    expect(await gateway.json("/v1/runs")).toEqual([]);
    await page.getByLabel("Seed").fill("0");
    await page.getByLabel("Folds").fill("9");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.locator("#start-folds-error").getByText("use at most 8 folds").waitFor();
    await page.getByLabel("Folds").fill("1");
    await page.getByLabel("Epochs, at most").fill("2");
    await page.locator("#start summary").click();
    await page.getByLabel("Views of each image").selectOption("2");
    await page.getByLabel("Size of each image").selectOption("a further input");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("heading", { name: "Waiting for a trainer" }).waitFor();

    const id = new URL(page.url()).hash.split("/").at(-1)!;
    const request = await requestOf(gateway, id);
    expect(request.spec).toMatchObject({ views: 2, sizeFeatures: true });
    const facts = await factsOf(gateway, request);
    await gateway.publish(...facts.slice(0, 2));
    const watcher = await gateway.run(Effect.forkDetach(watchClusterers));
    await page.getByText("no instance is alive; the run fails in 9 min").waitFor();
    await gateway.run(Fiber.interrupt(watcher));
    await gateway.publish(...facts.slice(2, 6));
    await page.getByText("clusterer xmeans 1.2.0").waitFor();
    await page.getByText("Epoch 2 of at most 2").waitFor();
    await page.locator("figure circle").first().waitFor();
    const birch = { runId: id, fold: 0, epoch: 2, step: "cluster", done: 1, total: 2, splitting: ["birch"] };
    await gateway.run(Effect.flatMap(Bus, (bus) => bus.progress(progressSubject.run(id), birch)));
    await page.getByText("class 1 of 2").waitFor();
    expect(await page.getByRole("row", { name: /^ash/ }).innerText()).toMatch(/50\.0 %\s+2\s+2\s+split/);
    expect(await page.getByRole("row", { name: /^birch/ }).innerText()).toMatch(/being clustered/);
    await gateway.publish(...facts.slice(6), await completed(gateway, request));
    await page.getByRole("heading", { name: "Held-out images" }).waitFor();
    await page.getByText("as validated after epoch 2, ").waitFor();
    await page.getByText("Best epoch, by validation F-score: 1").waitFor();
    expect(await page.locator(".tiles").innerText()).toMatch(/Accuracy\s+75\.0 %/);
    expect(await page.getByRole("button", { name: "Cancel" }).count()).toBe(0);
    const report = page.waitForEvent("popup");
    await page.getByRole("link", { name: "Open the report" }).click();
    const opened = await report;
    await opened.waitForFunction(`document.title === "report"`);
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "labels.csv for a spreadsheet" }).click();
    expect((await download).suggestedFilename()).toBe(`${id}-labels.csv`);

    const spec = { ...request.spec, freeze: "backbone" as const };
    await gateway.publish({ ...request, runId: "frozen", spec });
    await overview();
    const step = page.getByRole("row", { name: /^frozen/ });
    expect(await step.innerText()).toMatch(/queued\s+waiting for the frozen backbone's features/);
    await page.getByRole("link", { name: "frozen" }).click();
    await page.getByRole("heading", { name: "Waiting for the frozen backbone's features" }).waitFor();
  }),
);

Deno.test(
  "page: an import that fails shows its warnings and what was left out, by reason, with a download",
  options,
  withPage(async (page, gateway) => {
    const folder = join(gateway.root, "unusable");
    for (const name of ["a", "<img src=x onerror=alert(1)>"]) {
      await writeImages(join(folder), { [name]: 3 });
      await Deno.writeTextFile(join(folder, name, "empty.png"), "");
    }
    await gateway.import("unusable");
    await page.goto(`${gateway.base}/#/datasets/unusable`);
    await page.getByRole("heading", { name: /^Left out/ }).waitFor();
    expect(await page.getByRole("row", { name: /^is empty/ }).innerText()).toMatch(/2$/);
    await page.getByText("File by file").click();
    await page.getByRole("row", { name: /onerror.*empty\.png/ }).waitFor();
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "rejected.csv", exact: true }).click();
    expect((await download).suggestedFilename()).toBe("unusable-rejected.csv");

    const both = join(gateway.root, "both");
    await writeImages(both, { a: 8, b: 8 });
    await Deno.copyFile(join(both, "a/000.png"), join(both, "b/copy.png"));
    await Deno.writeTextFile(join(both, "a/empty.png"), "");
    await gateway.import("both", { onLabelConflict: "ask" });
    await page.goto(`${gateway.base}/#/datasets/both`);
    await page.getByRole("heading", { name: "In several classes (1 picture)" }).waitFor();
    await page.getByRole("link", { name: "rejected.csv", exact: true }).waitFor();
    await page.getByRole("link", { name: "Overview" }).first().click();
    expect(await page.getByRole("row", { name: /^both/ }).innerText()).toMatch(
      /failed .*correct their labels.* · \d warnings?\s/,
    );
  }),
);

Deno.test(
  "page: with a token it asks for it once; a run is cancelled after a question",
  options,
  withPage(async (page, gateway) => {
    await page.goto(`${gateway.base}/#/runs/nobody`);
    await page.getByRole("textbox", { name: "Token" }).fill("guess");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("the token is wrong").waitFor();
    await page.getByRole("textbox", { name: "Token" }).fill("sesame");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("there is no run 'nobody'").waitFor();
    await page.getByRole("link", { name: "Overview" }).first().click();
    await page.getByText("No run yet").waitFor();
    const signed: Gateway = {
      ...gateway,
      get: (path) => gateway.get(path, { authorization: "Bearer sesame" }),
      post: (path, body) => gateway.post(path, body, { authorization: "Bearer sesame" }),
    };
    await writeImages(join(gateway.root, "trees"), { ash: 8, birch: 8 });
    await (await signed.post("/v1/datasets", { name: "trees", path: join(gateway.root, "trees") })).text();
    await (await signed.get("/v1/datasets/trees/events")).text();
    await (await signed.post("/v1/runs", { dataset: "trees" })).text();
    await page.locator("#runs tbody a").first().click();
    page.on("dialog", (dialog) => dialog.accept());
    await page.getByRole("button", { name: "Cancel the run" }).click();
    await page.getByText("Cancelled after epoch 0").waitFor();
    await page.getByRole("link", { name: "API" }).click();
    await page.getByText("Cancel the run").or(page.getByText("/v1/runs/{id}/cancel")).first().waitFor();
  }, { SUBTAXA_TOKEN: "sesame" }),
);
