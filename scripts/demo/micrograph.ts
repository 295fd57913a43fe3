import type { Random } from "./random.ts";
import { along, clamp, ellipse, inside, length, polyline } from "./shapes.ts";
import type { Specimen } from "./specimens.ts";

/** A grey picture: row-major light levels, 0 black to 1 white. */
export interface Micrograph {
  readonly width: number;
  readonly height: number;
  readonly light: Float32Array;
}

/** Smooth random field over the picture, mean 0: a lattice of Gaussians, interpolated. `cell` in pixels. */
const haze = (
  random: Random,
  width: number,
  height: number,
  cell: number,
): (x: number, y: number) => number => {
  const columns = Math.ceil(width / cell) + 2;
  const lattice = Float32Array.from(
    { length: columns * (Math.ceil(height / cell) + 2) },
    () => random.normal(0, 1),
  );
  const at = (i: number, j: number): number => lattice[j * columns + i] ?? 0;
  const ease = (t: number): number => t * t * (3 - 2 * t);
  return (x, y) => {
    const [i, j] = [Math.floor(x / cell), Math.floor(y / cell)];
    const [u, v] = [ease(x / cell - i), ease(y / cell - j)];
    return (at(i, j) * (1 - u) + at(i + 1, j) * u) * (1 - v) +
      (at(i, j + 1) * (1 - u) + at(i + 1, j + 1) * u) * v;
  };
};

/** Gaussian blur in two passes; the border is continued outwards. `sigma` in pixels. */
export const blur = ({ width, height, light }: Micrograph, sigma: number): Micrograph => {
  const reach = Math.ceil(3 * sigma);
  const kernel = Array.from(
    { length: 2 * reach + 1 },
    (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma ** 2)),
  );
  const total = kernel.reduce((sum, weight) => sum + weight, 0);
  const pass = (
    from: Float32Array,
    lines: number,
    count: number,
    lineStep: number,
    step: number,
  ): Float32Array => {
    const to = new Float32Array(from.length);
    for (let line = 0; line < lines; line++) {
      for (let i = 0; i < count; i++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++) {
          const j = clamp(i + k, 0, count - 1);
          sum += (kernel[k + reach] ?? 0) * (from[line * lineStep + j * step] ?? 0);
        }
        to[line * lineStep + i * step] = sum / total;
      }
    }
    return to;
  };
  return { width, height, light: pass(pass(light, height, width, width, 1), width, height, 1, width) };
};

/** Specks and fibres that happen to lie in the field, as optical density. */
const debris = (
  random: Random,
  width: number,
  height: number,
  pixel: number,
): (x: number, y: number) => number => {
  const specks = Array.from({ length: random.integer(4) }, () => {
    const [cx, cy] = [random.unit() * width, random.unit() * height];
    const ink = random.between(0.15, 0.5);
    if (random.unit() < 0.25) {
      const angle = random.between(0, Math.PI);
      const [dx, dy] = [4 * pixel * Math.cos(angle), 4 * pixel * Math.sin(angle)];
      const fibre = polyline([[cx - dx, cy - dy], [cx, cy], [
        cx + dx,
        cy + dy + random.between(-3, 3) * pixel,
      ]]);
      return (x: number, y: number) => ink * along(fibre(x, y), 0.8 * pixel);
    }
    const grain = ellipse(random.between(0.6, 1.8) * pixel, random.between(0.6, 1.8) * pixel);
    return (x: number, y: number) => ink * inside(grain(x - cx, y - cy));
  });
  return (x, y) => specks.reduce((sum, speck) => sum + speck(x, y), 0);
};

/**
 * Photographs a specimen: turned anyhow, cropped loosely with sides between `shortest` and `longest` pixels,
 * unevenly lit, out of focus by a varying amount, with debris, background texture and noise.
 */
export const photograph = (
  random: Random,
  specimen: Specimen,
  { pixel, shortest, longest }: { pixel: number; shortest: number; longest: number },
): Micrograph => {
  const angle = random.between(0, 2 * Math.PI);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [a, b] = specimen.extent;
  const margin = 4 * pixel;
  const side = (half: number): number =>
    Math.round(clamp(2 * (half + margin) + random.between(0, 4) * pixel, shortest, longest));
  const width = side(length(a * cos, b * sin));
  const height = side(length(a * sin, b * cos));
  const centreX = width / 2 + random.normal(0, 0.8) * pixel;
  const centreY = height / 2 + random.normal(0, 0.8) * pixel;

  const field = random.normal(0.78, 0.035);
  const contrast = random.normal(0.8, 0.07);
  const [slopeX, slopeY] = [random.normal(0, 0.05), random.normal(0, 0.05)];
  const texture = haze(random, width, height, 7 * pixel);
  const mottle = haze(random, width, height, 2.5 * pixel);
  const dirt = debris(random, width, height, pixel);

  const light = new Float32Array(width * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const [x, y] = [column + 0.5 - centreX, row + 0.5 - centreY];
      const density = specimen.density(x * cos + y * sin, y * cos - x * sin);
      const uneven = 1 + (slopeX * x + slopeY * y) / (24 * pixel);
      const grain = 0.015 * texture(column, row) + 0.012 * mottle(column, row);
      light[row * width + column] = (field * uneven + grain) *
        Math.exp(-contrast * (density * (1 + 3 * grain) + dirt(column, row)));
    }
  }
  const focus = pixel * (0.55 + Math.abs(random.normal(0, 0.3)));
  const image = blur({ width, height, light }, focus);
  const noise = 0.018 + Math.abs(random.normal(0, 0.008));
  return {
    ...image,
    light: image.light.map((value) => clamp(value + random.normal(0, noise) * Math.sqrt(value))),
  };
};
