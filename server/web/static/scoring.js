// Scores from histograms, as the service computes them (inference/grade.py, inference/score.py): equal to the digit.
// Pure: the tests compare it with the service's.

export const GRADES = 4;
export const GRADE_NAMES = ["unstained", "weak", "moderate", "strong"];
const HUE_CLOSES_ABOVE = 300;
const VALUES = 256;

// The grade of each place of a histogram of one compartment.
export function gradeTable(criteria) {
  return criteria.method === "hue_value" ? byHueAndValue(criteria) : byDensity(criteria);
}

function byHueAndValue({ hue, left, right }) {
  const table = new Uint8Array(360 * VALUES);
  for (let h = 0; h < 360; h++) {
    if (!(h < hue || h > HUE_CLOSES_ABOVE)) continue;
    const row = h * VALUES;
    for (let v = 0; v < VALUES; v++) table[row + v] = v < left ? 3 : v < right ? 2 : 1;
  }
  return table;
}

function byDensity({ weak, moderate, strong }) {
  const cuts = [weak, moderate, strong].map((cut) => Math.round(cut * 100));
  const table = new Uint8Array(301);
  for (let od = 0; od < table.length; od++) table[od] = cuts.filter((cut) => od >= cut).length;
  return table;
}

// By the slide's white point, or raw, as the criteria say; columns of cells as histograms.
const white = (criteria) => (criteria.colour === "white_point" ? "white_" : "");
export const isByHue = (criteria) => criteria.method === "hue_value";
export const histogramOf = (criteria) => white(criteria) + (isByHue(criteria) ? "hue_value" : "density");
export const columnsOf = (criteria) => (isByHue(criteria) ? ["hue", "value"] : [white(criteria) ? "od_centi" : "dab_od_centi"])
  .map((name) => white(criteria) + name);

// Cells by group: compartment c and grade g at c * GRADES + g; those that a person put in a group besides.
export function countsOf(tables, criteria, region = "", table = gradeTable(criteria)) {
  const at = region ? `@${region}` : "";
  const histogram = tables[histogramOf(criteria) + at];
  const compartments = histogram.length / table.length;
  const counts = new Array(compartments * GRADES).fill(0);
  for (let c = 0, i = 0; c < compartments; c++) {
    for (let k = 0; k < table.length; k++, i++) counts[c * GRADES + table[k]] += histogram[i];
  }
  const byHand = tables[`by_hand${at}`];
  return byHand ? counts.map((n, group) => n + byHand[group]) : counts;
}

// Cells by grade: of a region of the groups, or of all.
export function byGrade(counts, groups, region) {
  const found = new Array(GRADES).fill(0);
  counts.forEach((n, group) => {
    if (region === "all" || groups[group].region === region) found[group % GRADES] += n;
  });
  return found;
}

const total = (c) => c[0] + c[1] + c[2] + c[3];

export function hScore(c) {
  const n = total(c);
  return n === 0 ? null : (100 * (c[1] + 2 * c[2] + 3 * c[3])) / n;
}

export function percentPositive(c) {
  const n = total(c);
  return n === 0 ? null : (100 * (n - c[0])) / n;
}

// Half up, in whole numbers.
export function meanIntensity(c) {
  const positive = c[1] + c[2] + c[3];
  if (positive === 0) return 0;
  return Math.floor((2 * (c[1] + 2 * c[2] + 3 * c[3]) + positive) / (2 * positive));
}

// [numerator, denominator] of the upper edge of a share, and the score up to it.
const ALLRED = [[1, 10, 2], [1, 3, 3], [2, 3, 4], [1, 1, 5]];
const IRS = [[50, 100, 2], [80, 100, 3], [1, 1, 4]];
const upTo = (edges, positive, n) => edges.find(([top, bottom]) => positive * bottom <= top * n)[2];

export function allred(c) {
  const n = total(c);
  if (n === 0) return null;
  const positive = n - c[0];
  if (positive === 0) return { ps: 0, is: 0, total: 0 };
  const ps = positive * 100 < n ? 1 : upTo(ALLRED, positive, n);
  const is = meanIntensity(c);
  return { ps, is, total: ps + is };
}

export function irs(c) {
  const n = total(c);
  if (n === 0) return null;
  const positive = n - c[0];
  if (positive === 0) return 0;
  const proportion = positive * 10 < n ? 1 : upTo(IRS, positive, n);
  return proportion * meanIntensity(c);
}

// Values by the measure's code.
export function valuesOf(c) {
  const a = allred(c);
  return {
    HSCORE: hScore(c),
    PERCENT_POSITIVE: percentPositive(c),
    ALLRED_PS: a && a.ps,
    ALLRED_IS: a && a.is,
    ALLRED_TOTAL: a && a.total,
    IRS: irs(c),
    COUNT_NUCLEI: total(c),
    COUNT_GRADE_0: c[0],
    COUNT_GRADE_1: c[1],
    COUNT_GRADE_2: c[2],
    COUNT_GRADE_3: c[3],
  };
}

export const drawnRegions = (tables) =>
  [...new Set(Object.keys(tables).filter((name) => name.includes("@")).map((name) => name.split("@")[1]))].sort();

// A guideline's category of a share of positive nuclei, exact at its edges; null of none.
export function categoryOf(steps, c) {
  const n = total(c);
  if (n === 0) return null;
  const positive = n - c[0];
  const holds = ({ edge, inclusive }) => {
    if (!edge) return true;
    const apart = positive * edge[1] - edge[0] * n;
    return apart < 0 || (inclusive && apart === 0);
  };
  return steps.find(holds).category;
}

// What an assay gives of a region: values by the measure's code, categories among them.
export function measured(grades, region, assay) {
  const values = valuesOf(grades);
  for (const { code, steps, regions } of assay.measures) {
    if (regions.length && !regions.includes(region)) delete values[code];
    else if (steps.length) values[code] = categoryOf(steps, grades);
  }
  return { grades, values };
}

// By region: cells by grade, and values by measure. Drawn regions hold all cells in them.
export function scoresOf(tables, criteria, assay) {
  const table = gradeTable(criteria);
  const counts = countsOf(tables, criteria, "", table);
  const found = new Map();
  for (const { name } of assay.regions) {
    const grades = byGrade(counts, assay.groups, name);
    found.set(name, measured(grades, name, assay));
  }
  for (const region of drawnRegions(tables)) {
    const grades = byGrade(countsOf(tables, criteria, region, table), assay.groups, "all");
    found.set(region, measured(grades, "all", assay));
  }
  return found;
}

// Are the cells graded here, by such criteria?
export const isLive = (assay, criteria) => assay.kind === "nuclear" && ["hue_value", "dab_od"].includes(criteria.method);
