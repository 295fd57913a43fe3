import type { Random } from "./random.ts";
import {
  along,
  box,
  clamp,
  disc,
  type Distance,
  ellipse,
  inside,
  length,
  lens,
  polyline,
  stripes,
  triangle,
  union,
} from "./shapes.ts";

/** One organism as light meets it, in its own frame: the origin in its middle, the x axis along its length. */
export interface Specimen {
  /** Half length and half width of what must be in the picture, in pixels. */
  readonly extent: readonly [number, number];
  /** Optical density at a point: 0 is clear, 1 swallows most of the light, below 0 is brighter than the field. */
  readonly density: (x: number, y: number) => number;
}

/** One way in which the specimens of a taxon lie on the slide. `pixel` is the scale: pixels per drawing unit. */
export interface View {
  readonly name: string;
  /** How often this view occurs, relative to the taxon's other views. */
  readonly weight: number;
  readonly draw: (random: Random, pixel: number) => Specimen;
}

export interface Taxon {
  readonly name: string;
  readonly views: readonly [View, ...View[]];
}

/** A wall with a bright halo outside, as phase contrast shows it. */
const wall = (distance: number, pixel: number): number =>
  0.85 * along(distance, 1.1 * pixel) - 0.16 * along(distance - 2.6 * pixel, 1.6 * pixel);

/** A centric diatom on its face: a disc, striae in rays as far inwards as `clear` (share of the radius). */
const centricValve = (rays: number, clear: number) => (random: Random, pixel: number): Specimen => {
  const radius = random.normal(15, 1) * pixel;
  const phase = random.unit();
  const ink = random.normal(0.36, 0.04);
  const outline = disc(radius);
  return {
    extent: [radius, radius],
    density: (x, y) => {
      const distance = outline(x, y);
      const r = length(x, y) / radius;
      const ray = stripes(Math.atan2(y, x), 2 * Math.PI / rays, phase);
      const striae = ink * ray * clamp((r - clear) * radius / pixel * 0.6);
      return 0.55 * wall(distance, pixel) + inside(distance) * (0.04 + striae);
    },
  };
};

/** A centric diatom on its side: a short drum, striae on both mantles, a clear girdle band between. */
const centricGirdle = (period: number, band: number) => (random: Random, pixel: number): Specimen => {
  const halfLength = random.normal(15, 1) * pixel;
  const halfWidth = random.normal(8.5, 0.6) * pixel;
  const phase = random.unit();
  const ink = random.normal(0.7, 0.06);
  const outline = box(halfLength, halfWidth, 2 * pixel);
  return {
    extent: [halfLength, halfWidth],
    density: (x, y) => {
      const distance = outline(x, y);
      const mantle = clamp((Math.abs(y) - band * halfWidth) / pixel * 0.7);
      const seam = 0.3 * along(Math.abs(y) - band * halfWidth, 0.8 * pixel);
      return wall(distance, pixel) +
        inside(distance) * (0.6 + seam + ink * mantle * stripes(x, period * pixel, phase));
    },
  };
};

/** A pennate diatom on its face: a lance with striae across, a clear raphe along, a nodule in the middle. */
const pennateValve = (period: number, halfWidthMean: number) => (random: Random, pixel: number): Specimen => {
  const halfLength = random.normal(20, 1.2) * pixel;
  const halfWidth = random.normal(halfWidthMean, 0.4) * pixel;
  const phase = random.unit();
  const ink = random.normal(0.55, 0.05);
  const outline = lens(halfLength, halfWidth);
  return {
    extent: [halfLength, halfWidth],
    density: (x, y) => {
      const distance = outline(x, y);
      const raphe = 1 - along(y, 1.2 * pixel);
      const nodule = 1 - along(length(x, y), 3 * pixel);
      const striae = ink * stripes(x, period * pixel, phase) * raphe * nodule;
      return wall(distance, pixel) + inside(distance) * (0.12 + striae);
    },
  };
};

/** A triangular diatom on its face: pores in rows, a clear spot in each corner. */
const triangularValve = (random: Random, pixel: number): Specimen => {
  const inner = random.normal(9.5, 0.6) * pixel;
  const phase = random.unit();
  const ink = random.normal(0.45, 0.05);
  const outline = triangle(inner, 4 * pixel);
  return {
    extent: [1.6 * inner, 1.6 * inner],
    density: (x, y) => {
      const distance = outline(x, y);
      const pores = stripes(x, 4.5 * pixel, phase) * stripes(y, 4.5 * pixel, phase);
      return wall(distance, pixel) + inside(distance) * (0.7 + ink * pores);
    },
  };
};

/** Drums in a row. `cells` of them, with `striae` lines across each; `waist` is how far they are apart. */
const chain = (cells: number, lines: number, waist: number) => (random: Random, pixel: number): Specimen => {
  const halfLength = random.normal(20, 1.2) * pixel;
  const halfWidth = random.normal(6, 0.4) * pixel;
  const ink = random.normal(0.5, 0.05);
  const pitch = 2 * halfLength / cells;
  const gap = waist * pixel;
  const outline = box(pitch / 2 - gap / 2, halfWidth, 1.5 * pixel);
  return {
    extent: [halfLength, halfWidth],
    density: (x, y) => {
      const cell = Math.round(x / pitch + (cells - 1) / 2);
      const along_ = x - (clamp(cell, 0, cells - 1) - (cells - 1) / 2) * pitch;
      const distance = outline(along_, y);
      return 1.25 * wall(distance, pixel) +
        inside(distance) * (0.06 + ink * stripes(along_, pitch / lines, 0.5));
    },
  };
};

/** A ball with spines all round. */
const star = (random: Random, pixel: number): Specimen => {
  const core = random.normal(6, 0.4) * pixel;
  const reach = random.normal(18, 1) * pixel;
  const spines = 10;
  const angles = Array.from({ length: spines }, (_, i) => 2 * Math.PI * i / spines + random.normal(0, 0.08));
  const rays = union(
    angles.map((angle) => polyline([[0, 0], [reach * Math.cos(angle), reach * Math.sin(angle)]])),
  );
  const body = disc(core);
  return {
    extent: [reach, reach],
    density: (x, y) =>
      Math.max(0.75 * along(rays(x, y), 0.9 * pixel), 0.95 * inside(body(x, y) / (2 * pixel))),
  };
};

/** Where the cells of a colony lie, in distances between neighbours. */
type Layout = (random: Random) => readonly (readonly [x: number, y: number])[];

/** Eight cells on an arc; `bend` is the angle from one to the next, radians. */
const arc = (bend: number): Layout => (random) => {
  const turn = random.normal(bend, 0.03);
  return Array.from({ length: 8 }, (_, i) => {
    const angle = (i - 3.5) * turn;
    return [Math.sin(angle) / turn, (1 - Math.cos(angle)) / turn];
  });
};

/** Cells packed like cannon balls. */
const heap: Layout = () =>
  [-1, 0, 1].flatMap((row) =>
    Array.from({ length: 4 - Math.abs(row) }, (_, i) => [i - (3 - Math.abs(row)) / 2, row * 0.87] as const)
  );

/** A colony of dark round cells. */
const colony = (layout: Layout) => (random: Random, pixel: number): Specimen => {
  const pitch = random.normal(5.2, 0.2) * pixel;
  const radius = pitch * random.normal(0.56, 0.02);
  const cells = layout(random);
  const middle = (axis: 0 | 1) => {
    const values = cells.map((cell) => cell[axis]);
    return {
      at: (Math.min(...values) + Math.max(...values)) / 2,
      half: (Math.max(...values) - Math.min(...values)) / 2,
    };
  };
  const [across, down] = [middle(0), middle(1)];
  const body = disc(radius);
  const outline = union(
    cells.map(([cx, cy]): Distance => (x, y) =>
      body(x - (cx - across.at) * pitch, y - (cy - down.at) * pitch)
    ),
  );
  return {
    extent: [across.half * pitch + radius, down.half * pitch + radius],
    density: (x, y) => {
      const distance = outline(x, y);
      return 0.9 * inside(distance / (1.4 * pixel)) - 0.12 * along(distance - 2 * pixel, 1.5 * pixel);
    },
  };
};

/** An open vase with a pointed foot, its wall set with grains. */
const vase = (random: Random, pixel: number): Specimen => {
  const halfLength = random.normal(17, 1) * pixel;
  const mouth = random.normal(9, 0.5) * pixel;
  const grain = random.unit();
  return {
    extent: [halfLength, mouth],
    density: (x, y) => {
      const t = clamp((x / halfLength + 1) / 2);
      const halfWidth = mouth * (1.15 * Math.sqrt(t) - 0.25 * t * t);
      const distance = Math.max(Math.abs(y) - halfWidth, Math.abs(x) - halfLength);
      const grains = 0.25 * stripes(x + 0.6 * y, 3.5 * pixel, grain) *
        stripes(x - 0.6 * y, 3.5 * pixel, grain);
      const cell = 0.75 * inside((length((x + halfLength * 0.1) / 1.6, y) - mouth * 0.45) / (1.5 * pixel));
      const side = 0.9 * along(Math.abs(y) - halfWidth, 1.3 * pixel) *
        inside((Math.abs(x) - halfLength) / pixel);
      return side + inside(distance) * (0.18 + grains + cell);
    },
  };
};

/** An armoured flagellate: a stout body, one long horn ahead, two bent ones behind. */
const horned = (random: Random, pixel: number): Specimen => {
  const body = ellipse(random.normal(7, 0.4) * pixel, random.normal(8, 0.4) * pixel);
  const reach = random.normal(20, 1) * pixel;
  const spread = random.normal(11, 0.7) * pixel;
  const horns = union([
    polyline([[0, 0], [reach, 0]]),
    polyline([[-2 * pixel, 4 * pixel], [-9 * pixel, spread], [-2 * pixel, spread + 4 * pixel]]),
    polyline([[-2 * pixel, -4 * pixel], [-9 * pixel, -spread], [-2 * pixel, -spread - 4 * pixel]]),
  ]);
  return {
    extent: [reach, spread + 4 * pixel],
    density: (x, y) => {
      const horn = 0.8 * along(horns(x, y), 1.7 * pixel);
      const girdle = 0.35 * along(x, 1.2 * pixel);
      return Math.max(horn, inside(body(x, y) / (1.5 * pixel)) * (0.9 - girdle));
    },
  };
};

const view = (name: string, weight: number, draw: View["draw"]): View => ({ name, weight, draw });

/**
 * The planted truth. Thalassiosira shares its disc with Nummulites and its drum with Navicula, and the lances of
 * Nummulites and Navicula look alike: striae tell them apart, shapes don't. Such classes are missed at first, and split. Anabaena
 * has three views, all of them like nothing else: it is not missed, so it should stay whole.
 */
export const taxa: readonly Taxon[] = [
  { name: "acanthometra", views: [view("star", 1, star)] },
  {
    name: "anabaena",
    views: [
      view("filament", 1, colony(arc(0.16))),
      view("ring", 1, colony(arc(0.75))),
      view("heap", 1, colony(heap)),
    ],
  },
  { name: "ceratium", views: [view("ventral", 1, horned)] },
  {
    name: "navicula",
    views: [view("valve", 2, pennateValve(8, 5.7)), view("girdle", 3, centricGirdle(8, 0.25))],
  },
  {
    name: "nummulites",
    views: [view("face", 3, centricValve(18, 0.3)), view("edge", 2, pennateValve(4, 6.5))],
  },
  {
    name: "thalassiosira",
    views: [view("valve", 1, centricValve(18, 0.62)), view("girdle", 1, centricGirdle(3.6, 0.5))],
  },
  { name: "tintinnopsis", views: [view("lorica", 1, vase)] },
  {
    name: "triceratium",
    views: [view("valve", 2, triangularValve), view("chain", 3, chain(5, 1, 2))],
  },
];
