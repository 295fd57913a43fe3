/** @jsxImportSource hono/jsx */
import type { Child, PropsWithChildren } from "hono/jsx";
import { utc } from "./format.ts";

/** A number as people read it; the exact one is in `value`, so that the page can be checked against the log. */
export const Value = ({ of, as }: { of: number; as: (value: number) => string }) => (
  <data value={String(of)}>{as(of)}</data>
);

export const Time = ({ at }: { at: string }) => <time datetime={at}>{utc(at)}</time>;

export const Section = ({ id, title, children }: PropsWithChildren<{ id: string; title: string }>) => (
  <section id={id} aria-labelledby={`${id}-title`}>
    <h2 id={`${id}-title`}>{title}</h2>
    {children}
  </section>
);

/** A table that scrolls within itself where the page is too narrow. */
export const Table = (
  { caption, head, kind, children }: PropsWithChildren<{ caption: string; head: Child; kind?: string }>,
) => (
  <div class="scroll" role="region" tabindex={0} aria-label={caption}>
    <table class={kind}>
      <caption>{caption}</caption>
      <thead>
        <tr>{head}</tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  </div>
);

/** Column headings; those of numbers stand above their right-aligned column. */
export const Heads = ({ names, numbers = [] }: { names: Child[]; numbers?: readonly string[] }) => (
  <>
    {names.map((name) => <th scope="col">{name}</th>)}
    {numbers.map((name) => <th scope="col" class="number">{name}</th>)}
  </>
);

/** A share of 1 as a bar beside its number. */
export const Bar = (
  { share, label, kind }: { share: number; label: Child; kind: "good" | "bad" | "plain" },
) => (
  <span class="bar">
    <span class="track" aria-hidden="true">
      <span class={`fill ${kind}`} style={`width:${(100 * Math.min(1, share)).toFixed(2)}%`}></span>
    </span>
    {label}
  </span>
);

/** One entry of a legend. */
export const Key = ({ kind, children }: PropsWithChildren<{ kind: string }>) => (
  <span class="key">
    <span class={`swatch ${kind}`} aria-hidden="true"></span>
    {children}
  </span>
);
