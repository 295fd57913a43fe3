/** What the doctor says: `broken` keeps Subtaxa from working here, `warning` does not. */
export interface Check {
  readonly name: string;
  readonly state: "ok" | "warning" | "broken";
  readonly found: string;
  /** What to do; only where the state isn't ok. */
  readonly advice?: string;
}

export interface DoctorReport {
  /** True when nothing is broken. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export const ok = (name: string, found: string): Check => ({ name, state: "ok", found });

export const warning = (name: string, found: string, advice: string): Check => ({
  name,
  state: "warning",
  found,
  advice,
});

export const broken = (name: string, found: string, advice: string): Check => ({
  name,
  state: "broken",
  found,
  advice,
});

const marks = { ok: "✓", warning: "!", broken: "✗" };

/** The report as text, one line a check and its advice below. */
export const renderReport = ({ ok, checks }: DoctorReport): string => {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, state, found, advice }) => [
    `${marks[state]} ${name.padEnd(width)}  ${found}`,
    ...(advice === undefined ? [] : [`  ${" ".repeat(width)}  → ${advice}`]),
  ]);
  return [...lines, "", ok ? "Subtaxa can run here." : "Subtaxa can't run here yet: see the lines marked ✗."]
    .join("\n");
};
