/** Figures and tables as the command line shows them. */

export const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

/** `4 s`, `3 min 20 s`, `2 h 5 min`. */
export const duration = (seconds: number): string => {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
};

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** Images per second: `250`, and below ten `3.1`. */
export const rate = (perSecond: number): string =>
  perSecond < 9.95 ? perSecond.toFixed(1) : String(Math.round(perSecond));

/** `250 images/s`, `1.0 image/s`. */
export const speed = (perSecond: number): string => {
  const figure = rate(perSecond);
  return `${figure} ${Number(figure) === 1 ? "image" : "images"}/s`;
};

/** A name on one line: control characters, which a file's name may have, as escapes. */
export const printable = (name: string): string =>
  name.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );

/** Columns as wide as their widest cell; numbers to the right. */
export const table = (header: readonly string[], rows: readonly (readonly (string | number)[])[]): string => {
  const cells = [header, ...rows.map((row) => row.map((cell) => printable(String(cell))))];
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isNumeric = header.map((_, column) =>
    rows.length > 0 && rows.every((row) => /^[-–]?[\d,.]*( %)?$/.test(String(row[column] ?? "")))
  );
  return cells.map((row) =>
    row.map((cell, column) =>
      isNumeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
    ).join("  ").trimEnd()
  ).join("\n");
};
