/** What set-up is at, for a progress line. */
export type Progress =
  | { readonly _tag: "Waiting"; readonly holder: string }
  | {
    readonly _tag: "Downloading" | "Unpacking";
    readonly wheel: string;
    readonly done: number;
    readonly total: number;
  }
  | { readonly _tag: "Compiling"; readonly compiler: string }
  | { readonly _tag: "Ready"; readonly home: string; readonly seconds: number };

export type Report = (progress: Progress) => void;

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

const describe = (progress: Progress): string => {
  switch (progress._tag) {
    case "Waiting":
      return `Waiting for another set-up (process ${progress.holder}) to finish`;
    case "Downloading":
    case "Unpacking":
      return `${progress._tag} ${progress.wheel}: ${megabytes(progress.done)} of ${
        megabytes(progress.total)
      } MB`;
    case "Compiling":
      return `Building TensorFlow's add-on with ${progress.compiler}`;
    case "Ready":
      return `Native parts are ready in ${progress.home} (${progress.seconds.toFixed(1)} s)`;
  }
};

/** Writes progress to standard error: one line that changes in a terminal, a line at every tenth elsewhere. */
export const reportToConsole = (): Report => {
  const terminal = Deno.stderr.isTerminal();
  const write = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  let shown = "";
  return (progress) => {
    const moving = "total" in progress;
    const finished = !moving || progress.done >= progress.total;
    const tenth = moving ? Math.floor((progress.done / progress.total) * 10) : 0;
    const step = `${progress._tag} ${moving ? progress.wheel : ""} ${tenth}`;
    if (terminal) write(`\r\x1b[K${describe(progress)}${finished ? "\n" : ""}`);
    else if (step !== shown) write(`${describe(progress)}\n`);
    shown = step;
  };
};
