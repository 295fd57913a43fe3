/** Numbers and times as the report shows them, in English, whatever the machine's locale. */

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value: number): string => grouped.format(value);
export const fixed = (value: number, digits: number): string => value.toFixed(digits);
/** `0.0312` → `3.1 %`. */
export const percent = (value: number, digits = 1): string => `${(value * 100).toFixed(digits)}\u00a0%`;
/** Three significant digits, never in exponent notation: variances lie between 0.0001 and 1. */
export const variance = (value: number): string =>
  value >= 0.1 || value === 0 ? fixed(value, 3) : fixed(value, 4);

/** `3 h 05 min`, `4 min 09 s`, `7.2 s`. */
export const duration = (seconds: number): string => {
  if (seconds < 60) return `${fixed(seconds, 1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
};

/** `2026-01-05 09:00 UTC`. */
export const utc = (iso: string): string =>
  `${new Date(iso).toISOString().slice(0, 16).replace("T", " ")} UTC`;

export const plural = (value: number, one: string, many: string): string =>
  `${count(value)} ${value === 1 ? one : many}`;

/** Keeps a name within `length` characters; the whole of it belongs into a tooltip beside. */
export const shortened = (name: string, length: number): string =>
  [...name].length <= length ? name : `${[...name].slice(0, length - 1).join("")}…`;
