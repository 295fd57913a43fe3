import { ApiProblem, call, follow } from "./api.js";
import { curves } from "./chart.js";
import { badge, bar, count, decimal, duration, fill, h, percent, speed, table, time } from "./dom.js";

const facts = [
  "run.requested",
  "backbone.extracted",
  "epoch.trained",
  "epoch.validated",
  "adaptation.planned",
  "features.extracted",
  "dataset.relabelled",
  "fold.completed",
  "run.completed",
  "run.failed",
  "run.cancelled",
];
export const ended = (run) => ["completed", "failed", "cancelled"].includes(run.state);
const stepNames = {
  backbone: "Extracting the frozen backbone's features",
  train: "Training",
  validate: "Validating",
  extract: "Embedding the training images",
  cluster: "Clustering",
  score: "Scoring the held-out images",
};

const clustererOf = ({ name, versions, parameters }) =>
  [
    `clusterer ${name}`,
    versions.join(", "),
    Object.keys(parameters).length > 0 && JSON.stringify(parameters),
  ].filter(Boolean).join(" ");

const headerOf = (run) => [
  h("p", { class: "quiet" }, h("a", { href: "#/" }, "Overview"), " / run"),
  h("div", { class: "title" }, h("h1", { id: "run-title" }, run.id), badge(run.state)),
  h(
    "p",
    { class: "quiet" },
    [
      `${run.method} on ${run.dataset}`,
      `${run.backbone} network, ${run.imageSize} px`,
      count(run.folds, "fold"),
      `seed ${run.seed}`,
      ...(run.clusterer ? [clustererOf(run.clusterer)] : []),
    ].join(" · "),
    " · ",
    time(run.createdAt),
  ),
];

const progressOf = (run, progress) => {
  if (run.state === "failed") {
    return h(
      "div",
      { class: "card bad" },
      h("h2", {}, "The run failed"),
      h("p", {}, run.error?.message),
      h("p", { class: "quiet" }, run.error?.tag),
    );
  }
  if (run.state === "cancelled") {
    return h(
      "p",
      { class: "card" },
      `Cancelled after epoch ${run.epoch}; what was learnt until then is below.`,
    );
  }
  if (run.state === "completed") return null;
  const queued = run.state === "queued";
  const step = progress && [
    bar(
      `${stepNames[progress.step]}, epoch ${progress.epoch}${run.folds > 1 ? `, fold ${progress.fold}` : ""}`,
      progress.total > 0 ? progress.done / progress.total : 0,
      [
        `${progress.step === "cluster" ? "class" : "batch"} ${progress.done} of ${progress.total}`,
        progress.loss !== undefined && `loss ${decimal(progress.loss)}`,
        progress.imagesPerSecond !== undefined && speed(progress.imagesPerSecond),
        progress.secondsLeft !== undefined && `${duration(progress.secondsLeft)} left`,
      ].filter(Boolean).join(" · "),
    ),
    progress.splitting?.length > 0 &&
    h(
      "p",
      {},
      progress.step === "cluster" ? "Now clustering: " : "Divided at present: ",
      h("strong", {}, progress.splitting.join(", ")),
    ),
  ];
  return h(
    "div",
    { class: "card" },
    h("h2", {}, queued ? `${run.step.charAt(0).toUpperCase()}${run.step.slice(1)}` : "Under way"),
    bar(
      run.folds > 1
        ? `${run.epochsDone} of at most ${run.epochs * run.folds} epochs in ${run.folds} folds`
        : `Epoch ${run.epoch} of at most ${run.epochs}`,
      (run.folds > 1 ? run.epochsDone : run.epoch) / (run.epochs * run.folds),
      run.waitsUntil !== undefined
        ? `${queued ? "" : `${run.step}; `}the run fails in ${
          duration(Math.max(0, Date.parse(run.waitsUntil) - Date.now()) / 1000)
        }`
        : run.secondsLeft !== undefined
        ? `at most ${duration(run.secondsLeft)} left`
        : run.state === "running" && !progress
        ? run.step
        : "",
    ),
    step,
  );
};

const tile = (name, value) => h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value));

const resultsOf = (run) => {
  const at = `/v1/runs/${run.id}`;
  const { metrics } = run;
  return [
    metrics && h("section", { "aria-labelledby": "held-out" }, [
      h("h2", { id: "held-out" }, "Held-out images"),
      h("dl", { class: "tiles" }, [
        tile("Accuracy", percent(metrics.accuracy)),
        tile("F-score, macro", percent(metrics.fScore)),
        tile("Precision", percent(metrics.precision)),
        tile("Recall", percent(metrics.recall)),
        tile("Variance of false negatives", decimal(metrics.falseNegativeVariance, 4)),
        tile("Perfect classes", `${metrics.perfectClasses} of ${run.classes.length}`),
      ]),
    ]),
    metrics && h("p", { class: "links" }, [
      h("a", { class: "button primary", href: `${at}/report`, target: "_blank" }, "Open the report"),
      ["predictions.csv", "labels.csv"].map((file) => [
        h("a", { class: "button", href: `${at}/${file}` }, file),
        h("a", { class: "button", href: `${at}/${file}?spreadsheet=true` }, `${file} for a spreadsheet`),
      ]),
      h("a", { class: "button", href: `${at}/metrics` }, "metrics"),
    ]),
  ];
};

/** Which epoch of each fold was validated best; `best`: the epoch by fold. */
const bestOf = (run, best) => {
  const folds = [...best].sort(([a], [b]) => a - b);
  if (folds.length === 0) return null;
  const epochs = folds.map(([fold, epoch]) => run.folds > 1 ? `${epoch} (fold ${fold})` : String(epoch));
  const what = `Best epoch${ended(run) ? "" : " so far"}, by validation F-score: `;
  return h("p", {}, what, h("strong", {}, epochs.join(", ")));
};

const historyOf = (run, best) => {
  if (run.history.length === 0) return null;
  const folds = [...new Set(run.history.map(({ fold }) => fold))].sort((a, b) => a - b);
  const lines = (key) =>
    folds.map((fold) =>
      run.history.filter((one) => one.fold === fold).map((one) => ({ epoch: one.epoch, value: one[key] }))
    );
  const split = (one) =>
    Object.entries(one.clusters).filter(([, n]) => n > 1).map(([name, n]) => `${name} ${n}`).join(", ") ||
    "none";
  const several = folds.length > 1;
  const versions = run.clusterer?.versions.length > 1;
  const triplets = run.history.some((one) => one.activeTriplets !== undefined);
  return h("section", { "aria-labelledby": "epochs" }, [
    h("h2", { id: "epochs" }, "Validation, epoch by epoch"),
    bestOf(run, best),
    h("div", { class: "charts" }, [
      curves("Rates", [
        { name: "accuracy", folds: lines("accuracy") },
        { name: "F-score", folds: lines("fScore") },
      ], { max: 1, format: (value) => `${Math.round(100 * value)} %` }),
      curves("Loss", [
        { name: "training", folds: lines("loss") },
        { name: "validation, cross-entropy", folds: lines("validationLoss") },
      ], { format: (value) => String(Number(value.toPrecision(3))) }),
    ]),
    table(
      "Epochs, newest first",
      [
        { text: several ? "Fold, epoch" : "Epoch" },
        { text: "Loss", number: true },
        { text: "Validation loss", number: true },
        { text: "Accuracy", number: true },
        { text: "F-score", number: true },
        { text: "FN variance", number: true },
        ...(triplets
          ? ["Active triplets", "To positives", "To negatives"].map((text) => ({ text, number: true }))
          : []),
        { text: "Agreement", number: true },
        { text: "Time", number: true },
        { text: "Sub-classes trained on" },
        ...(versions ? [{ text: "Then divided by version" }] : []),
      ],
      run.history.toReversed().map((one) => [
        several ? `${one.fold}, ${one.epoch}` : String(one.epoch),
        decimal(one.loss),
        decimal(one.validationLoss),
        percent(one.accuracy),
        percent(one.fScore),
        decimal(one.falseNegativeVariance, 4),
        ...(triplets
          ? [percent(one.activeTriplets), decimal(one.positiveDistance, 2), decimal(one.negativeDistance, 2)]
          : []),
        decimal(one.agreement, 2),
        duration(one.seconds),
        split(one),
        ...(versions ? [one.clustererVersion] : []),
      ]),
    ),
  ]);
};

/** `fold`: that of the newest fact; the figures of the classes are from its latest validated epoch. */
const classesOf = (run, progress, fold) => {
  const now = new Set(!ended(run) && progress?.step === "cluster" ? progress.splitting : []);
  const known = run.history.length > 0;
  const latest = run.history.findLast((one) => one.fold === fold);
  const classes = run.classes.toSorted((a, b) => b.falseNegative - a.falseNegative);
  return h("section", { "aria-labelledby": "classes" }, [
    h("h2", { id: "classes" }, known ? "Classes, most missed first" : "Classes"),
    known && latest &&
    h(
      "p",
      { class: "quiet" },
      `Missed images as validated after epoch ${latest.epoch}${run.folds > 1 ? ` of fold ${fold}` : ""}, ` +
        "which need not be the best one.",
    ),
    table(
      "Classes",
      [
        { text: "Class" },
        { text: "Missed in validation", number: true },
        { text: "" },
        { text: "Clusters allowed", number: true },
        { text: "Clusters", number: true },
        { text: "" },
      ],
      classes.map((one) => [
        one.name,
        known && percent(one.falseNegative),
        known &&
        h("progress", { class: "small", max: "1", value: String(one.falseNegative), "aria-hidden": "true" }),
        String(one.allowedClusters),
        String(one.clusters),
        now.has(one.name)
          ? h("span", { class: "badge running" }, "being clustered")
          : one.clusters > 1 && h("span", { class: "badge split" }, "split"),
      ]),
    ),
  ]);
};

const settingsOf = ({ settings = {} }) =>
  table(
    "Settings",
    [{ text: "Setting" }, { text: "Value" }],
    Object.entries(settings).map(([name, value]) => [
      name,
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]),
  );

const line = (type, event) => {
  const at = new Date(event.at).toLocaleTimeString();
  const where = event.epoch ? `epoch ${event.epoch}` : "";
  const changes = event.changes?.map((one) => `${one.class} ${one.from} → ${one.to}`).join(", ");
  return [at, type, where, changes || event.converged || event.error?.message || ""].filter(Boolean).join(
    "  ",
  );
};

/** Shows a run and keeps it up to date; returns how to stop. */
export const showRun = (element, id, note) => {
  const parts = Object.fromEntries(
    ["header", "progress", "actions", "results", "classes", "history"].map((name) => [name, h("div", {})]),
  );
  const log = h("ol", {});
  const logBox = h("details", {}, h("summary", {}, "What happened"), log);
  const settings = h("div", {});
  const settingsBox = h("details", {}, h("summary", {}, "Settings"), settings);
  element.replaceChildren(...Object.values(parts), settingsBox, logBox);
  let run = null;
  let progress = null;
  let fold = 0;
  const best = new Map();
  let stopped = false;

  const cancel = async () => {
    if (!confirm("Cancel this run? It stops within one batch and can't go on afterwards.")) return;
    try {
      run = await call("POST", `/v1/runs/${id}/cancel`);
      note("The run is cancelled.");
    } catch (error) {
      note(error.message);
    }
    draw();
  };
  const button = h("button", { type: "button", class: "danger", click: cancel }, "Cancel the run");

  const draw = () => {
    if (!run || stopped) return;
    fill(parts.header, headerOf(run));
    fill(parts.progress, progressOf(run, progress));
    if (ended(run)) parts.actions.replaceChildren();
    else if (!button.isConnected) parts.actions.replaceChildren(button);
    fill(parts.results, resultsOf(run));
    fill(parts.classes, classesOf(run, progress, fold));
    fill(parts.history, historyOf(run, best));
    fill(settings, settingsOf(run));
    document.title = `${ended(run) ? run.state : `${run.epoch}/${run.epochs}`} · ${id} · Subtaxa`;
  };

  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const load = async () => {
    run = await call("GET", path);
    draw();
  };
  let waiting = null;
  const refresh = () => {
    waiting ??= setTimeout(() => {
      waiting = null;
      load().catch((error) => note(`Waiting for the gateway: ${error.message}`));
    }, 100);
  };
  const hear = (type, event) => {
    if (type === "progress") {
      progress = event;
      run = { ...run, state: ended(run) ? run.state : "running", epoch: Math.max(run.epoch, event.epoch) };
      draw();
      return;
    }
    if (type !== "run.requested") progress = null;
    fold = event.fold ?? fold;
    if (event.bestEpoch !== undefined) best.set(event.fold, event.bestEpoch);
    log.prepend(h("li", {}, line(type, event)));
    refresh();
  };
  // what no fact tells: that nobody serves its clusterer, and how long it still waits
  const asking = setInterval(() => run && !ended(run) && refresh(), 5_000);
  let stopFollowing = () => undefined;
  const stop = () => {
    stopped = true;
    clearTimeout(waiting);
    clearInterval(asking);
    stopFollowing();
  };
  // the run first: where a token is needed, it is asked for now
  load().then(() => {
    if (!stopped) stopFollowing = follow(`${path}/events`, [...facts, "progress"], hear, () => ended(run));
  }).catch((error) => {
    const title = error instanceof ApiProblem ? "No such run" : "The gateway can't be reached";
    element.replaceChildren(h("h1", { id: "run-title" }, title), h("p", {}, error.message));
  });
  return stop;
};
