// What was changed of a result and isn't kept yet: it outlives a session that ends, and a page that is loaded again.

const NAME = (id) => `chromogen draft ${id}`;

export class Draft {
  constructor(found) {
    this.id = found.id;
    this.saved = { criteria: found.profile.thresholds ?? found.result.thresholds, ...kept(found.change) };
    const before = stored(this.id);
    this.criteria = before?.criteria ?? { ...this.saved.criteria };
    this.regions = before?.regions ?? [...this.saved.regions];
    this.cells = new Map(before?.cells ?? this.saved.cells);
    this.comment = before?.comment ?? "";
    this.why = before?.why ?? "";
    this.past = [];
  }

  get movesCriteria() {
    return JSON.stringify(sorted(this.criteria)) !== JSON.stringify(sorted(this.saved.criteria));
  }

  get changesCells() {
    const cells = JSON.stringify([...this.cells].sort(([a], [b]) => a - b));
    return JSON.stringify(this.regions) !== JSON.stringify(this.saved.regions)
      || cells !== JSON.stringify([...this.saved.cells].sort(([a], [b]) => a - b));
  }

  get dirty() {
    return this.movesCriteria || this.changesCells;
  }

  // Before a change of regions or cells: it can be taken back.
  mark() {
    this.past.push({ regions: [...this.regions], cells: [...this.cells] });
    if (this.past.length > 100) this.past.shift();
  }

  undo() {
    const before = this.past.pop();
    if (!before) return false;
    this.regions = before.regions;
    this.cells = new Map(before.cells);
    return true;
  }

  reset() {
    this.criteria = { ...this.saved.criteria };
    this.regions = [...this.saved.regions];
    this.cells = new Map(this.saved.cells);
    this.past = [];
  }

  keep() {
    if (!this.dirty && !this.comment && !this.why) return this.forget();
    const said = { criteria: this.criteria, regions: this.regions, cells: [...this.cells], comment: this.comment, why: this.why };
    try {
      sessionStorage.setItem(NAME(this.id), JSON.stringify(said));
    } catch {
      // a browser that keeps nothing: the change lives as long as the page
    }
  }

  forget() {
    sessionStorage.removeItem(NAME(this.id));
  }

  get sent() {
    return {
      regions: this.regions.map((r) => ({ class: r.class, points: r.points })),
      cells: [...this.cells].sort(([a], [b]) => a - b),
      ...(this.movesCriteria ? { criteria: this.criteria } : {}),
    };
  }
}

const kept = (change) => ({ regions: change?.regions ?? [], cells: new Map(change?.cells ?? []) });
const sorted = (criteria) => Object.entries(criteria).sort();

function stored(id) {
  try {
    return JSON.parse(sessionStorage.getItem(NAME(id)));
  } catch {
    return null;
  }
}

// All of them go when somebody signs out.
export function forgetDrafts() {
  for (const name of Object.keys(sessionStorage)) if (name.startsWith("chromogen draft")) sessionStorage.removeItem(name);
}
