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

/**
 * Area-averages an image, centred on a square of its larger side, to `side` × `side`: every output pixel is the mean
 * of the source under it, weighted by overlap, with the background colour where the square reaches beyond the image.
 * The same rule shrinks and enlarges; shrinking a square it is OpenCV's INTER_AREA.
 *
 * The sum over a cell is the difference of a running integral at the cell's borders: first along each row, then from
 * row to row. What is integrated is the difference from the background, so that beyond the image there is nothing to add.
 */
export const areaSquare = (
  image: Image,
  side: number,
  background: ArrayLike<number> = [0, 0, 0],
): Uint8Array => {
  const { width, height, channels } = image;
  const total = Math.max(width, height);
  const across = bordersOf(width, (total - width) >> 1, total, side);
  const down = bordersOf(height, (total - height) >> 1, total, side);
  const perArea = (side / total) ** 2;
  const length = side * channels;
  // What a row of cells beyond the image holds, and the same for adding to: storing to bytes cuts off.
  const beyond = new Uint8Array(length);
  const base = new Float64Array(length);
  for (let i = 0; i < length; i++) base[i] = 0.5 + (beyond[i] = background[i % channels]!);

  const result = new Uint8Array(side * length);
  const prefix = new Int32Array(width + 1);
  const row = new Float64Array(length);
  // The integral from the last border to the top of the current row.
  const sum = new Float64Array(length);
  let y = 0;
  sumRow(image, y, across, background, prefix, row);
  for (let k = 0; k <= side; k++) {
    for (; y < down.pixel[k]!; sumRow(image, ++y, across, background, prefix, row)) {
      for (let i = 0; i < length; i++) sum[i]! += row[i]!;
    }
    const share = down.share[k]!;
    const at = (k - 1) * length;
    if (k === 0) {
      for (let i = 0; i < length; i++) sum[i] = -share * row[i]!;
    } else if (down.pixel[k] === down.pixel[k - 1] && share === down.share[k - 1]) {
      result.set(beyond, at);
    } else {
      for (let i = 0; i < length; i++) {
        const part = share * row[i]!;
        result[at + i] = (sum[i]! + part) * perArea + base[i]!;
        sum[i] = -part;
      }
    }
  }
  return result;
};

/** Sums of one row of the image over the cells, less the background. `prefix` is scratch space. */
const sumRow = (
  { width, channels, data }: Image,
  y: number,
  { pixel, share }: Borders,
  background: ArrayLike<number>,
  prefix: Int32Array,
  into: Float64Array,
): void => {
  for (let c = 0; c < channels; c++) {
    const colour = background[c]!;
    const start = y * width * channels + c;
    let sum = 0;
    for (let x = 0, at = start; x < width; x++, at += channels) {
      prefix[x] = sum;
      sum += data[at]! - colour;
    }
    prefix[width] = sum;
    let before = 0;
    for (let k = 0, cell = c - channels; k < pixel.length; k++, cell += channels) {
      const x = pixel[k]!;
      const left = prefix[x]!;
      const integral = left + share[k]! * (prefix[x + 1]! - left);
      if (k > 0) into[cell] = integral - before;
      before = integral;
    }
  }
};
