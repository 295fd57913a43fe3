import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

/** A log that is appended to and renamed to `<path>.1` when it has grown too large: two files at most. */
export class LogFile {
  #file: number;
  #bytes: number;

  constructor(readonly path: string, readonly limitBytes = 10 * 2 ** 20) {
    this.#file = openSync(path, "a");
    this.#bytes = fstatSync(this.#file).size;
  }

  write(line: string): void {
    const bytes = new TextEncoder().encode(`${line}\n`);
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.limitBytes) {
      closeSync(this.#file);
      renameSync(this.path, `${this.path}.1`);
      this.#file = openSync(this.path, "a");
      this.#bytes = 0;
    }
    writeSync(this.#file, bytes);
    this.#bytes += bytes.length;
  }

  close(): void {
    closeSync(this.#file);
  }
}
