/**
 * Implicit shapes: signed distances (negative inside) from a point to an outline, all in pixels, and the
 * functions that turn a distance into ink. Coverage falls from 1 to 0 over one pixel, which is what makes
 * edges smooth without supersampling.
 */
export type Distance = (x: number, y: number) => number;

export const clamp = (value: number, low = 0, high = 1): number => Math.min(high, Math.max(low, value));

/** Length of a vector; `Math.hypot` guards against overflow and is several times slower. */
export const length = (x: number, y: number): number => Math.sqrt(x * x + y * y);

export const disc = (radius: number): Distance => (x, y) => length(x, y) - radius;

/** A rectangle about the origin with rounded corners. */
export const box = (halfWidth: number, halfHeight: number, round: number): Distance => (x, y) => {
  const dx = Math.abs(x) - halfWidth + round;
  const dy = Math.abs(y) - halfHeight + round;
  return length(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - round;
};

/** What two equal circles have in common: the outline of a lanceolate diatom, pointed at both ends. */
export const lens = (halfLength: number, halfWidth: number): Distance => {
  const radius = (halfLength ** 2 + halfWidth ** 2) / (2 * halfWidth);
  const centre = radius - halfWidth;
  return (x, y) => Math.max(length(x, Math.abs(y) + centre) - radius, Math.abs(x) - halfLength);
};

/** An ellipse; the distance is exact to first order near the outline. */
export const ellipse = (halfWidth: number, halfHeight: number): Distance => (x, y) => {
  const k = length(x / halfWidth, y / halfHeight);
  const gradient = length(x / halfWidth ** 2, y / halfHeight ** 2);
  return gradient === 0 ? -Math.min(halfWidth, halfHeight) : (k - 1) * k / gradient;
};

/** Distance from a line through points, without thickness. */
export const polyline = (points: readonly (readonly [number, number])[]): Distance => {
  const segments = points.slice(1).map(([bx, by], i) => {
    const [ax, ay] = points[i] ?? [bx, by];
    const [dx, dy] = [bx - ax, by - ay];
    return { ax, ay, dx, dy, squared: dx * dx + dy * dy };
  });
  return (x, y) => {
    let nearest = Infinity;
    for (const { ax, ay, dx, dy, squared } of segments) {
      const t = clamp(((x - ax) * dx + (y - ay) * dy) / squared);
      nearest = Math.min(nearest, length(x - ax - t * dx, y - ay - t * dy));
    }
    return nearest;
  };
};

/** A triangle with equal sides and rounded corners; `inner` is the radius of the circle that fits in it. */
export const triangle = (inner: number, round: number): Distance => {
  const core = inner - round;
  const normals = [0, 1, 2].map((i) => {
    const angle = Math.PI / 2 + 2 * Math.PI * i / 3;
    return [Math.cos(angle), Math.sin(angle)] as const;
  });
  const corners = [...normals, ...normals.slice(0, 1)].map(([nx, ny]) =>
    [-2 * core * nx, -2 * core * ny] as const
  );
  const outline = polyline(corners);
  return (x, y) => {
    let furthest = -Infinity;
    for (const [nx, ny] of normals) furthest = Math.max(furthest, x * nx + y * ny - core);
    return (furthest <= 0 ? furthest : outline(x, y)) - round;
  };
};

/** The nearest of several shapes: their union. */
export const union = (shapes: readonly Distance[]): Distance => (x, y) => {
  let nearest = Infinity;
  for (const shape of shapes) nearest = Math.min(nearest, shape(x, y));
  return nearest;
};

/** Share of a pixel inside the outline. */
export const inside = (distance: number): number => clamp(0.5 - distance);

/** A line of the given width along the outline, strongest on it. */
export const along = (distance: number, width: number): number => Math.exp(-((distance / width) ** 2));

/** Striae: 0 … 1 … 0 once per period. */
export const stripes = (x: number, period: number, phase = 0): number =>
  0.5 + 0.5 * Math.cos(2 * Math.PI * (x / period + phase));
