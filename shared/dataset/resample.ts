import { memory, sumCells, sumRows } from "./resample.wasm";

/** Uint8 pixels, rows from the top, channels interleaved. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/**
 * What each cell of an axis sums up, as the kernels read it (4 bytes each): the number of its first pixel, the weights of
 * `taps` pixels, and minus their sum. All its taps lie on the axis, so a cell at the end begins earlier than it needs.
 */
interface Cells {
  readonly taps: number;
  readonly pixel: Int32Array;
  readonly weight: Float32Array;
}

/** The overlap of `count` cells with `length` pixels, after `padding` empty ones on an axis of `total`; times `scale`. */
const cellsOf = (length: number, padding: number, total: number, count: number, scale: number): Cells => {
  const border = (cell: number) => Math.min(Math.max(cell * total / count - padding, 0), length);
  const taps = Math.min(Math.ceil(total / count) + 1, length);
  const weight = new Float32Array(count * (taps + 2));
  const pixel = new Int32Array(weight.buffer);
  for (let cell = 0, at = 0; cell < count; cell++, at += taps + 2) {
    const [from, to] = [border(cell), border(cell + 1)];
    const first = Math.min(Math.floor(from), length - taps);
    pixel[at] = first;
    for (let tap = 0; tap < taps; tap++) {
      const overlap = Math.min(to, first + tap + 1) - Math.max(from, first + tap);
      if (overlap > 0) weight[at + 1 + tap] = scale * overlap;
    }
    weight[at + 1 + taps] = scale * (from - to);
  }
  return { taps, pixel, weight };
};

/** Of the image before, because the next one often has its size. */
let known: { readonly size: string; readonly across: Cells; readonly down: Cells } | undefined;

const axesOf = (width: number, height: number, side: number) => {
  const size = [width, height, side].join();
  if (known?.size === size) return known;
  const total = Math.max(width, height);
  const along = (length: number) => cellsOf(length, (total - length) >> 1, total, side, side / total);
  return known = { size, across: along(width), down: along(height) };
};

/** Source pixels that lie in the kernels' memory at a time, bytes, unless a line needs more: that memory never shrinks. */
const windowBytes = 2 ** 20;
const pageBytes = 2 ** 16;

/** The kernel takes so many samples of a row at a time, so that it goes beyond the row's end. */
const step = 16;
/** Lines of output that the kernels make at a time. */
const lines = 4;

/** Lays parts of some bytes out in the kernels' memory; their starts. */
const layOut = <Part extends string>(parts: Record<Part, number>): Record<Part, number> => {
  const starts = { ...parts };
  let end = 0;
  for (const part in parts) {
    starts[part] = end;
    end += Math.ceil(parts[part] / step) * step;
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
  const { across, down } = axesOf(width, height, side);

  const rowLength = width * channels;
  const lineLength = side * channels;
  const rowsInWindow = Math.min(height, Math.max(down.taps, Math.floor(windowBytes / rowLength)));
  const at = layOut({
    window: rowsInWindow * rowLength + step,
    beyond: 4 * (rowLength + step),
    sums: 4 * lines * (rowLength + step),
    down: down.weight.byteLength,
    across: across.weight.byteLength,
    base: 4 * channels,
    out: (side + lines) * lineLength,
  });
  const bytes = new Uint8Array(memory.buffer);
  const floats = (start: number, length: number) => new Float32Array(memory.buffer, start, length);
  floats(at.down, down.weight.length).set(down.weight);
  floats(at.across, across.weight.length).set(across.weight);
  const beyond = floats(at.beyond, rowLength);
  for (let i = 0; i < rowLength; i++) beyond[i] = background[i % channels]!;
  // Half a level more, as storing to bytes cuts off.
  const base = floats(at.base, channels);
  for (let c = 0; c < channels; c++) base[c] = background[c]! + 0.5;

  let loaded = -rowsInWindow;
  const sumLine = (cell: number, lane: number) => {
    const first = down.pixel[cell]!;
    if (first < loaded || first + down.taps > loaded + rowsInWindow) {
      loaded = Math.min(first, height - rowsInWindow);
      bytes.set(data.subarray(loaded * rowLength, (loaded + rowsInWindow) * rowLength), at.window);
    }
    const row = at.window + (first - loaded) * rowLength;
    sumRows(row, rowLength, at.down + 4 * (cell + 1), down.taps, at.beyond, at.sums + 4 * lane);
  };
  /** Where lines of cells beyond the image are, of which there may be many. */
  let empty: number | undefined;
  for (let k = 0; k < side; k += lines) {
    const to = at.out + k * lineLength;
    const cells = [0, 1, 2, 3].map((lane) => Math.min(k + lane, side - 1) * (down.taps + 2));
    const isEmpty = cells.every((cell) => down.weight[cell + 1 + down.taps] === 0);
    if (isEmpty && empty !== undefined) {
      bytes.copyWithin(to, empty, empty + lines * lineLength);
      continue;
    }
    if (isEmpty) empty = to;
    cells.forEach(sumLine);
    sumCells(at.sums, at.across, side, across.taps, channels, at.base, to);
  }
  return bytes.slice(at.out, at.out + side * lineLength);
};
