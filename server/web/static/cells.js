// The nuclei of a result: all of them where they are few, else by squares as they come into view, with a sample for the
// whole. What is held is bounded, however many there are.

import { bytes, get, readCells } from "./api.js";

const MOST_HELD = 1_500_000;
export const MOST_DRAWN = 60_000;

export class Cells {
  constructor(resultId, changed) {
    this.path = `/data/results/${resultId}/cells`;
    this.changed = changed;
    this.squares = new Map();
    this.parts = new Map();
    this.held = 0;
    this.loading = new Set();
    this.n = 0;
    this.whole = null;
  }

  // Throws where the cells are gone.
  async open() {
    const said = await get(this.path);
    this.n = said.n;
    this.side = said.side;
    this.columns = said.columns;
    this.squareColumns = said.square_columns;
    this.outlined = said.square_columns.some(([name]) => name === "outline");
    for (const [column, row, count] of said.squares) this.squares.set(`${column}/${row}`, { column, row, count });
    this.sample = readCells(await bytes(`${this.path}/sample`), said.columns);
    if (this.sample.n === this.n) this.whole = this.sample;
    this.weight = this.n / Math.max(this.sample.n, 1);
    this.changed();
  }

  // Squares in a box of the largest level's pixels, and how many cells are in them.
  within(box) {
    const found = [];
    let n = 0;
    const [left, top] = [Math.floor(box.x / this.side), Math.floor(box.y / this.side)];
    const [right, bottom] = [Math.floor((box.x + box.width) / this.side), Math.floor((box.y + box.height) / this.side)];
    for (let row = Math.max(top, 0); row <= bottom; row++) {
      for (let column = Math.max(left, 0); column <= right; column++) {
        const square = this.squares.get(`${column}/${row}`);
        if (square) {
          found.push(square);
          n += square.count;
        }
      }
    }
    return { found, n };
  }

  // The parts to draw in a box as single cells, `near` with their outlines where there are any; null where they are too
  // many, and a density says more.
  in(box, near = false) {
    if (!this.columns) return [];
    const { found, n } = this.within(box);
    if (n > MOST_DRAWN) return null;
    const all = this.whole ? [this.whole] : null;
    if (all && !(near && this.outlined)) return all;
    const parts = [];
    for (const square of found) {
      const key = `${square.column}/${square.row}`;
      const part = this.parts.get(key);
      if (part) {
        this.parts.delete(key);
        this.parts.set(key, part);
        parts.push(part);
      } else this.fetch(key, square);
    }
    return all && parts.length < found.length ? all : parts;
  }

  async fetch(key, square) {
    if (this.loading.has(key) || this.loading.size >= 6) return;
    this.loading.add(key);
    try {
      const part = readCells(await bytes(`${this.path}/${square.column}/${square.row}`), this.squareColumns);
      this.parts.set(key, part);
      this.held += part.n;
      while (this.held > MOST_HELD) {
        const [oldest, dropped] = this.parts.entries().next().value;
        this.parts.delete(oldest);
        this.held -= dropped.n;
      }
    } catch {
      // drawn without it; looked for again when it comes into view
    } finally {
      this.loading.delete(key);
      this.changed();
    }
  }

  // The cell nearest to a point of the largest level, at most `reach` pixels away; null for none.
  nearest(point, reach) {
    let best = null;
    let least = reach * reach;
    for (const part of this.in({ x: point.x - reach, y: point.y - reach, width: 2 * reach, height: 2 * reach }) ?? []) {
      for (let i = 0; i < part.n; i++) {
        const dx = part.x[i] + 0.5 - point.x;
        const dy = part.y[i] + 0.5 - point.y;
        const apart = dx * dx + dy * dy;
        if (apart < least) {
          least = apart;
          best = { part, i, row: part.row[i], x: part.x[i] + 0.5, y: part.y[i] + 0.5 };
        }
      }
    }
    return best;
  }
}
