import { ApiProblem, call, follow } from "./api.js";
import { badge, bar, count, fill, h, percent, table, time } from "./dom.js";
import { findingsOf } from "./findings.js";
import { wire, wireButtons } from "./forms.js";
import { ended, showRun } from "./run.js";

const byId = (id) => document.getElementById(id);
const note = (text) => byId("status").textContent = text;
const datasetFacts = ["dataset.requested", "dataset.imported", "dataset.failed", "progress"];
const pages = ["overview", "run", "dataset"];

const datasetLink = (name) => h("a", { href: `#/datasets/${name}` }, name);
const images = (dataset) => dataset.classes.reduce((sum, one) => sum + one.images, 0);

const stateOf = (dataset) => {
  if (dataset.state !== "importing" || !dataset.progress) return badge(dataset.state);
  const { done, total } = dataset.progress;
  return [badge("importing"), ` ${done} of ${total} files`];
};

/** The state in a list, with what of it the dataset's page says more about. */
const remarkOn = ({ name, warnings }) =>
  warnings.length > 0 && [" · ", h("a", { href: `#/datasets/${name}` }, count(warnings.length, "warning"))];

const datasetTable = (datasets) =>
  datasets.length === 0 ? h("p", { class: "empty" }, "No dataset yet. Import a folder to begin.") : table(
    "Datasets",
    [
      { text: "Name" },
      { text: "State" },
      { text: "Classes", number: true },
      { text: "Images", number: true },
      { text: "Left out", number: true },
    ],
    datasets.map((one) => [
      datasetLink(one.name),
      h("span", {}, stateOf(one), one.state === "failed" && ` ${one.error?.message ?? ""}`, remarkOn(one)),
      one.state === "ready" && String(one.classes.length),
      one.state === "ready" && String(images(one)),
      one.state !== "importing" && String(one.rejected.length),
    ]),
  );

const runTable = (runs) =>
  runs.length === 0 ? h("p", { class: "empty" }, "No run yet.") : table(
    "Runs, newest first",
    [
      { text: "Run" },
      { text: "State" },
      { text: "Dataset" },
      { text: "Network" },
      { text: "Method" },
      { text: "Epochs", number: true },
      { text: "Accuracy", number: true },
      { text: "F-score", number: true },
      { text: "Started" },
    ],
    runs.map((run) => [
      h("a", { href: `#/runs/${run.id}` }, run.id),
      h("span", {}, badge(run.state), !ended(run) && h("small", { class: "step" }, run.step)),
      datasetLink(run.dataset),
      `${run.backbone}\u00a0${run.imageSize}`,
      run.method,
      ended(run) ? String(run.epochsDone) : `${run.epochsDone} / ${run.epochs * run.folds}`,
      percent(run.metrics?.accuracy),
      percent(run.metrics?.fScore),
      time(run.createdAt),
    ]),
  );

const offer = (datasets) => {
  const select = byId("start").elements.dataset;
  const names = datasets.filter(({ state }) => state === "ready").map(({ name }) => name);
  if ([...select.options].map(({ value }) => value).join() === names.join()) return;
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => h("option", {}, name)));
  if (names.includes(chosen)) select.value = chosen;
};

/** Repeats `look` while it is shown: every two seconds, not while the window is hidden. Returns how to stop. */
const repeat = (look) => {
  let timer = null;
  let stopped = false;
  const once = async () => {
    if (document.visibilityState === "visible") {
      try {
        await look();
        if (byId("status").dataset.lost) note("");
        delete byId("status").dataset.lost;
      } catch (error) {
        byId("status").dataset.lost = "yes";
        note(`The gateway can't be reached: ${error.message}`);
      }
    }
    if (!stopped) timer = setTimeout(once, 2000);
  };
  once();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
};

const showOverview = () => {
  document.title = "Subtaxa";
  return repeat(async () => {
    const [datasets, runs] = await Promise.all([
      call("GET", "/v1/datasets"),
      call("GET", "/v1/runs"),
    ]);
    offer(datasets);
    fill(byId("datasets"), datasetTable(datasets));
    fill(byId("runs"), runTable(runs));
  });
};

const showDataset = (element, name) => {
  document.title = `${name} · Subtaxa`;
  const draw = (dataset) =>
    fill(
      element,
      h("p", { class: "quiet" }, h("a", { href: "#/" }, "Overview"), " / dataset"),
      h("div", { class: "title" }, h("h1", { id: "dataset-title" }, name), badge(dataset.state)),
      dataset.error && h("p", { class: "card bad" }, dataset.error.message),
      dataset.state === "importing" && h(
        "div",
        { class: "card" },
        bar(
          "Importing",
          dataset.progress ? dataset.progress.done / Math.max(1, dataset.progress.total) : 0,
          dataset.progress
            ? `${Math.floor(100 * dataset.progress.done / Math.max(1, dataset.progress.total))} % read`
            : "counting files",
        ),
      ),
      dataset.state === "ready" && [
        h(
          "p",
          { class: "quiet" },
          `${count(images(dataset), "image")} in ${count(dataset.classes.length, "class", "classes")}`,
        ),
        table(
          "Classes",
          [{ text: "Class" }, { text: "Images", number: true }],
          dataset.classes.map((one) => [one.name, String(one.images)]),
        ),
      ],
      dataset.state !== "importing" && findingsOf(dataset),
    );
  const path = `/v1/datasets/${encodeURIComponent(name)}`;
  let state = "importing";
  let stopped = false;
  let stopFollowing = () => undefined;
  const load = async () => {
    const dataset = await call("GET", path);
    state = dataset.state;
    if (!stopped) draw(dataset);
  };
  const hear = (type, event) => {
    if (type !== "progress") load().catch((error) => note(`Waiting for the gateway: ${error.message}`));
    else draw({ name, state: "importing", progress: event });
  };
  load().then(() => {
    if (!stopped && state === "importing") {
      stopFollowing = follow(`${path}/events`, datasetFacts, hear, () => state !== "importing");
    }
  }).catch((error) => {
    const title = error instanceof ApiProblem ? "No such dataset" : "The gateway can't be reached";
    element.replaceChildren(h("h1", { id: "dataset-title" }, title), h("p", {}, error.message));
  });
  return () => {
    stopped = true;
    stopFollowing();
  };
};

let leave = () => undefined;

const route = () => {
  leave();
  note("");
  const [, kind, name] = /^#\/(runs|datasets)\/([\w-]+)$/.exec(location.hash) ?? [];
  const shown = kind === "runs" ? "run" : kind === "datasets" ? "dataset" : "overview";
  for (const page of pages) byId(page).hidden = page !== shown;
  leave = shown === "run"
    ? showRun(byId("run"), name, note)
    : shown === "dataset"
    ? showDataset(byId("dataset"), name)
    : showOverview();
};

/** What an import would replace, in the words of the command line. */
const replaced = async ({ name }) => {
  const former = (await call("GET", "/v1/datasets")).find((one) => one.name === name);
  return former?.state === "ready"
    ? `This replaces the dataset ${name} of ${count(former.classes.length, "class", "classes")} and ` +
      `${count(images(former), "image")}; runs that were started on it keep its images.`
    : undefined;
};

wireButtons();
wire(byId("import"), async (values) => {
  const dataset = await call("POST", "/v1/datasets", values);
  location.hash = `#/datasets/${dataset.name}`;
}, { doubt: replaced, label: "Replace the dataset" });
// A frozen backbone's features are made before the training, so that its images can't be augmented.
byId("start").elements.freeze.addEventListener("change", ({ target }) => {
  target.form.elements.augmentation.value = target.value === "backbone" ? "none" : "flip-rotate";
});
wire(byId("start"), async (values) => {
  const { id } = await call("POST", "/v1/runs", values);
  location.hash = `#/runs/${id}`;
});
addEventListener("hashchange", () => {
  route();
  byId("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
route();
