import { Buffer } from "node:buffer";

/** Whether the bytes from `at` on are those of an ASCII text. */
export const startsWith = (bytes: Uint8Array, text: string, at = 0): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
};

/** Bytes as text, each a character. */
export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
