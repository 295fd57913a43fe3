import { addRow, cutOff, memory, sumCells } from "./resample.wasm";

/** Uint8 pixels, rows from the top, channels interleaved. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** Where the borders between output cells fall on one axis: in pixel `pixel[k]`, after the share `share[k]` of it. */
interface Borders {
  readonly pixel: Int32Array;
  readonly share: Float64Array;
}

/** `length` source pixels, after `padding` empty ones, on an axis of `total` that is divided into `cells`. */
const bordersOf = (length: number, padding: number, total: number, cells: number): Borders => {
  const pixel = new Int32Array(cells + 1);
  const share = new Float64Array(cells + 1);
  for (let cell = 0; cell <= cells; cell++) {
    const at = Math.min(Math.max(cell * total / cells - padding, 0), length);
    pixel[cell] = Math.min(Math.floor(at), length - 1);
    share[cell] = at - pixel[cell]!;
  }
  return { pixel, share };
};

/** Source pixels that lie in the kernels' memory at a time, bytes: that memory never shrinks. */
const windowBytes = 2 ** 20;
const pageBytes = 2 ** 16;

/** How far the kernels go beyond the end of what they are given. */
const slackBytes = 64;

/** Lays parts of some bytes out in the kernels' memory, each followed by what may be touched beyond it; their starts. */
const layOut = <Part extends string>(parts: Record<Part, number>): Record<Part, number> => {
  const starts = { ...parts };
  let end = 0;
  for (const part in parts) {
    starts[part] = end;
    end = Math.ceil((end + parts[part] + slackBytes) / 16) * 16;
  }
  const missing = end - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  return starts;
};

/**
 * Area-averages an image, centred on a square of its larger side, to `side` × `side`: every output pixel is the mean
 * of the source under it, weighted by overlap, with the background colour where the square reaches beyond the image.
 * The same rule shrinks and enlarges; shrinking a square it is OpenCV's INTER_AREA.
 *
 * The rows under a row of cells are summed up first, then the pixels along that sum. What is summed is the difference
 * from the background, so that beyond the image there is nothing to add.
 */
export const areaSquare = (
  image: Image,
  side: number,
  background: ArrayLike<number> = [0, 0, 0],
): Uint8Array => {
  const { width, height, channels, data } = image;
  const total = Math.max(width, height);
  const across = bordersOf(width, (total - width) >> 1, total, side);
  const down = bordersOf(height, (total - height) >> 1, total, side);
  const scale = (side / total) ** 2;

  const rowLength = width * channels;
  const lineLength = side * channels;
  const rowsInWindow = Math.min(height, Math.max(1, Math.floor(windowBytes / rowLength)));
  const cells = cellsOf(across, width, channels, scale);
  const at = layOut({
    window: rowsInWindow * rowLength,
    beyond: rowLength,
    sum: 4 * rowLength,
    cells: cells.bytes.length,
    base: 16,
    line: 4 * lineLength,
    out: side * lineLength,
  });
  const bytes = new Uint8Array(memory.buffer);
  const window = bytes.subarray(at.window, at.window + rowsInWindow * rowLength);
  const sum = bytes.subarray(at.sum, at.sum + 4 * rowLength);
  for (let i = 0; i < rowLength; i++) bytes[at.beyond + i] = background[i % channels]!;
  bytes.set(cells.bytes, at.cells);
  // Half a level more, as storing to bytes cuts off.
  for (let c = 0; c < channels; c++) new Float32Array(memory.buffer, at.base)[c] = background[c]! + 0.5;

  let loaded = -rowsInWindow;
  const add = (y: number, weight: number) => {
    if (weight === 0) return;
    if (y < loaded || y >= loaded + rowsInWindow) {
      loaded = Math.min(y, height - rowsInWindow);
      window.set(data.subarray(loaded * rowLength, (loaded + rowsInWindow) * rowLength));
    }
    addRow(at.sum, at.window + (y - loaded) * rowLength, rowLength, weight);
  };
  /** A line of cells beyond the image, of which there may be many. */
  let empty: number | undefined;
  for (let k = 0; k < side; k++) {
    const [from, to] = [down.pixel[k]!, down.pixel[k + 1]!];
    const [before, within] = [down.share[k]!, down.share[k + 1]!];
    const line = at.out + k * lineLength;
    const rows = to + within - from - before;
    if (rows === 0 && empty !== undefined) {
      bytes.copyWithin(line, empty, empty + lineLength);
      continue;
    }
    if (rows === 0) empty = line;
    sum.fill(0);
    addRow(at.sum, at.beyond, rowLength, -rows);
    if (from === to) add(from, within - before);
    else {
      add(from, 1 - before);
      for (let y = from + 1; y < to; y++) add(y, 1);
      add(to, within);
    }
    sumCells(at.sum, at.cells, side, cells.taps, channels, at.base, at.line);
    cutOff(at.line, lineLength, line);
  }
  return bytes.slice(at.out, at.out + side * lineLength);
};

/** What each cell of an axis of `length` pixels sums up, as `sumCells` reads it, with `taps` weights for every cell. */
const cellsOf = (
  { pixel, share }: Borders,
  length: number,
  channels: number,
  scale: number,
): { readonly bytes: Uint8Array; readonly taps: number } => {
  const count = pixel.length - 1;
  let taps = 1;
  for (let k = 0; k < count; k++) taps = Math.max(taps, pixel[k + 1]! - pixel[k]! + 1);
  const weights = new Float32Array(count * (1 + taps));
  const offsets = new Int32Array(weights.buffer);
  for (let k = 0; k < count; k++) {
    // All taps lie on the axis, so cells at its end begin earlier than they need.
    const first = Math.min(pixel[k]!, length - taps);
    const start = k * (1 + taps);
    offsets[start] = 4 * channels * first;
    const [from, to] = [start + 1 + pixel[k]! - first, start + 1 + pixel[k + 1]! - first];
    weights.fill(scale, from, to);
    weights[from]! -= scale * share[k]!;
    weights[to]! += scale * share[k + 1]!;
  }
  return { bytes: new Uint8Array(weights.buffer), taps };
};
