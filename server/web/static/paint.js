// Nuclei painted into the pixels of a canvas: no WebGL is needed, and 60,000 take a few milliseconds.

import { GRADES, columnsOf, gradeTable } from "./scoring.js";
import { boxOf, inside } from "./regions.js";

const CELL_PX = 6; // of the density
const RADIUS_UM = 2.6;
const LEAST_SHAPE_PX = 4; // of that radius on the screen: below it an outline is a blot
const RAYS = 24; // of an outline, in units of UNIT_UM (inference/outline.py)
const UNIT_UM = 0.05;
const TURNS = Array.from({ length: RAYS }, (_, k) => [Math.cos((2 * Math.PI * k) / RAYS), Math.sin((2 * Math.PI * k) / RAYS)]);
export const REGION_COLOURS = { tumour: "#0b7a43", exclude: "#5b6270" };

const rgba = ([r, g, b], a = 255) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;

// What a cell is drawn as: its group under the criteria and what was changed; -1: left out.
export class Grouping {
  constructor(assay, criteria, live, draft) {
    this.live = live;
    this.table = live ? gradeTable(criteria) : null;
    this.columns = live ? columnsOf(criteria) : [];
    this.exclude = draft.regions.filter((r) => r.class === "exclude").map((r) => ({ points: r.points, box: boxOf(r.points) }));
    this.byHand = draft.cells;
  }

  // Before what was changed.
  plain(part, i) {
    if (!this.live) return part.group[i];
    const [first, second] = this.columns;
    const place = second ? part[first][i] * 256 + part[second][i] : part[first][i];
    return part.compartment[i] * GRADES + this.table[place];
  }

  of(part, i) {
    const row = part.row[i];
    if (this.byHand.size && this.byHand.has(row)) {
      const group = this.byHand.get(row);
      return group === null ? -1 : group;
    }
    if (this.exclude.length && this.isExcluded(part.x[i] + 0.5, part.y[i] + 0.5)) return -1;
    return this.plain(part, i);
  }

  isExcluded(x, y) {
    return this.exclude.some(({ points, box }) =>
      x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height && inside(points, x, y));
  }
}

export class Painter {
  constructor(canvas, assay, mpp) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.groups = assay.groups;
    this.mpp = mpp;
    this.discs = new Map();
  }

  // `view` maps pixels of the largest level to the canvas: x * scale + left.
  paint({ parts, sample, weight, grouping, view, draft, spots, drawing, opacity, picked }) {
    const { width, height } = this.canvas;
    if (!width || !height) return;
    this.context.clearRect(0, 0, width, height);
    if (opacity > 0) {
      if (parts && this.isNear(view) && parts.every((part) => part.outline || part.major_um)) this.shapes(parts, grouping, view, opacity);
      else if (parts) this.points(parts, grouping, view, opacity);
      else if (sample) this.density(sample, weight, grouping, view, opacity);
    }
    this.outlines(draft.regions, spots, drawing, picked, view);
  }

  points(parts, grouping, view, opacity) {
    const { width, height } = this.canvas;
    const image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const radius = Math.min(Math.max((RADIUS_UM / this.mpp) * view.scale, 1), 14);
    const alpha = Math.round(255 * opacity * (radius > 5 ? 0.75 : 0.95));
    const colours = this.groups.map((group) => rgba(group.colour, alpha));
    const left = rgba([120, 120, 128], Math.round(alpha * 0.6));
    const [disc, ring] = [this.disc(radius, true), this.disc(radius, false)];
    for (const part of parts) {
      for (let i = 0; i < part.n; i++) {
        const x = (part.x[i] + 0.5) * view.scale + view.left;
        const y = (part.y[i] + 0.5) * view.scale + view.top;
        if (x < -radius || y < -radius || x >= width + radius || y >= height + radius) continue;
        const group = grouping.of(part, i);
        const mask = group >= 0 && this.groups[group].filled ? disc : ring;
        stamp(pixels, width, height, mask, x | 0, y | 0, group < 0 ? left : colours[group]);
      }
    }
    this.context.putImageData(image, 0, 0);
  }

  // Are cells large enough on the screen to be drawn in their own shape?
  isNear(view) {
    return (RADIUS_UM / this.mpp) * view.scale >= LEAST_SHAPE_PX;
  }

  // Each in its shape, where it has one: the radii of its outline, or the ellipse of the same moments.
  shapes(parts, grouping, view, opacity) {
    const { width, height } = this.canvas;
    const c = this.context;
    const perUm = view.scale / this.mpp;
    const reach = 15 * perUm;
    const paths = new Map();
    for (const part of parts) {
      const trace = part.outline ? radii : ellipse;
      for (let i = 0; i < part.n; i++) {
        const x = (part.x[i] + 0.5) * view.scale + view.left;
        const y = (part.y[i] + 0.5) * view.scale + view.top;
        if (x < -reach || y < -reach || x >= width + reach || y >= height + reach) continue;
        const group = grouping.of(part, i);
        if (!paths.has(group)) paths.set(group, new Path2D());
        trace(paths.get(group), part, i, x, y, perUm);
      }
    }
    c.globalAlpha = opacity;
    c.lineWidth = 2;
    for (const [group, path] of paths) {
      c.setLineDash(group >= 0 && this.dashed(group) ? [4, 3] : []);
      c.strokeStyle = group < 0 ? "rgb(120 120 128 / 0.6)" : `rgb(${this.groups[group].colour.join(" ")})`;
      c.stroke(path);
    }
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  // Groups of one colour are told apart by what is filled as a disc, and whole as a line.
  dashed(group) {
    const { colour, filled } = this.groups[group];
    return !filled && this.groups.some((other) => other.filled && String(other.colour) === String(colour));
  }

  // Offsets of the pixels of a disc, or of a ring.
  disc(radius, filled) {
    const key = `${radius.toFixed(1)}${filled}`;
    if (this.discs.has(key)) return this.discs.get(key);
    const reach = Math.ceil(radius);
    const width = Math.max(1.2, radius * 0.32);
    const offsets = [];
    for (let y = -reach; y <= reach; y++) {
      for (let x = -reach; x <= reach; x++) {
        const apart = Math.hypot(x, y);
        if (apart <= radius && (filled || radius < 2 || apart > radius - width)) offsets.push(x, y);
      }
    }
    if (this.discs.size > 60) this.discs.clear();
    this.discs.set(key, Int16Array.from(offsets));
    return this.discs.get(key);
  }

  // Where cells lie closest, in the mean of their colours.
  density(sample, weight, grouping, view, opacity) {
    const columns = Math.ceil(this.canvas.width / CELL_PX);
    const rows = Math.ceil(this.canvas.height / CELL_PX);
    const n = new Float32Array(columns * rows);
    const sums = [0, 1, 2].map(() => new Float32Array(columns * rows));
    const colours = this.groups.map((group) => group.colour);
    const scale = view.scale / CELL_PX;
    const [left, top] = [view.left / CELL_PX, view.top / CELL_PX];
    for (let i = 0; i < sample.n; i++) {
      const x = ((sample.x[i] + 0.5) * scale + left) | 0;
      const y = ((sample.y[i] + 0.5) * scale + top) | 0;
      if (x < 0 || y < 0 || x >= columns || y >= rows) continue;
      const group = grouping.of(sample, i);
      if (group < 0) continue;
      n[y * columns + x] += weight;
      for (let k = 0; k < 3; k++) sums[k][y * columns + x] += weight * colours[group][k];
    }
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const full = ((CELL_PX / view.scale) * this.mpp) ** 2 * 0.006; // cells a place where tissue is packed
    for (let i = 0; i < n.length; i++) {
      if (!n[i]) continue;
      const alpha = Math.min(1, Math.sqrt(n[i] / Math.max(full, 1)));
      pixels[i] = rgba(sums.map((sum) => Math.round(sum[i] / n[i])), Math.round(255 * opacity * (0.25 + 0.65 * alpha)));
    }
    this.small ??= document.createElement("canvas");
    Object.assign(this.small, { width: columns, height: rows });
    this.small.getContext("2d").putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = true;
    this.context.drawImage(this.small, 0, 0, columns * CELL_PX, rows * CELL_PX);
  }

  outlines(regions, spots, drawing, picked, view) {
    const c = this.context;
    const at = ([x, y]) => [x * view.scale + view.left, y * view.scale + view.top];
    const line = (points, close) => {
      c.beginPath();
      points.forEach((point, i) => (i ? c.lineTo(...at(point)) : c.moveTo(...at(point))));
      if (close) c.closePath();
    };
    for (const region of regions) {
      line(region.points, true);
      c.fillStyle = region.class === "exclude" ? "rgba(91,98,112,.28)" : "rgba(11,122,67,.10)";
      c.fill();
      c.setLineDash(region.class === "exclude" ? [7, 5] : []);
      c.lineWidth = 2.5;
      c.strokeStyle = REGION_COLOURS[region.class];
      c.stroke();
    }
    c.setLineDash([]);
    for (const { x, y, side, name, colour } of spots) {
      const [px, py] = at([x, y]);
      c.strokeStyle = colour;
      c.lineWidth = 2;
      c.strokeRect(px, py, side * view.scale, side * view.scale);
      c.font = "600 12px system-ui, sans-serif";
      const [left, base] = [px + 5, py > 20 ? py - 6 : py + 16]; // within, where there is no room above
      c.fillStyle = "rgba(255,255,255,.85)";
      c.fillRect(left - 3, base - 12, c.measureText(name).width + 6, 16);
      c.fillStyle = colour;
      c.fillText(name, left, base);
    }
    if (drawing) {
      line(drawing.points, false);
      c.lineWidth = 2.5;
      c.strokeStyle = REGION_COLOURS[drawing.class];
      c.stroke();
    }
    if (picked) {
      const [px, py] = at([picked.x, picked.y]);
      c.beginPath();
      c.arc(px, py, Math.max((RADIUS_UM / this.mpp) * view.scale + 5, 9), 0, 7);
      c.lineWidth = 3;
      c.strokeStyle = "#111";
      c.stroke();
    }
  }
}

function stamp(pixels, width, height, offsets, x, y, colour) {
  for (let k = 0; k < offsets.length; k += 2) {
    const [px, py] = [x + offsets[k], y + offsets[k + 1]];
    if (px >= 0 && py >= 0 && px < width && py < height) pixels[py * width + px] = colour;
  }
}

function radii(path, part, i, x, y, perUm) {
  for (let k = 0; k < RAYS; k++) {
    const r = part.outline[i * RAYS + k] * UNIT_UM * perUm;
    path[k ? "lineTo" : "moveTo"](x + r * TURNS[k][0], y + r * TURNS[k][1]);
  }
  path.closePath();
}

// Its axes in µm, its angle in degrees from x towards y.
function ellipse(path, part, i, x, y, perUm) {
  const [major, minor] = [(part.major_um[i] * perUm) / 2, (part.minor_um[i] * perUm) / 2];
  const one = new Path2D();
  one.ellipse(x, y, Math.max(major, 1), Math.max(minor, 1), (part.angle[i] * Math.PI) / 180, 0, 2 * Math.PI);
  path.addPath(one);
}
