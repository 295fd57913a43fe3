import { InvalidArgumentError } from "commander";
import { resolve } from "node:path";

/** Paths are meant from where the user is; `deno task` starts in the project's folder and tells where that was. */
export const userPath = (path: string): string => resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), path);

/** Parses an option's value. */
export const wholeNumber = (least: number, most = Number.MAX_SAFE_INTEGER) => (text: string): number => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new InvalidArgumentError(
      `It is no whole number from ${least} ${most === Number.MAX_SAFE_INTEGER ? "on" : `to ${most}`}.`,
    );
  }
  return value;
};

/** Parses an option's value: an address of the web, without a slash at its end. */
export const address = (text: string): string => {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new InvalidArgumentError("It is no address such as http://127.0.0.1:8080.");
  }
  return text.replace(/\/+$/, "");
};
