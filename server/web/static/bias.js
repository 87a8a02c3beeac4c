// How far a reader's own estimates lie from the scores: those alone that they made before a score was shown.

import { get } from "./api.js";
import { el, fill, svg } from "./dom.js";

const WIDTH = 340;
const HEIGHT = 200;
const LEFT = 48;
const BELOW = 36;
const PAD = 10;
const SAME = ["Stain", "Score", "Region", "Pairs", "Same category", "Kappa"];
const COLUMNS = ["Stain", "Score", "Region", "Pairs", "Mean difference", "Limits of agreement"];

export class Bias {
  constructor(place) {
    Object.assign(this, { place, closed: false });
  }

  // Throws ApiError.
  async open() {
    const { agreements, more } = await get("/data/estimates");
    if (this.closed) return;
    const words = agreements.filter(({ categories }) => categories.length);
    const values = agreements.filter(({ categories }) => !categories.length);
    fill(this.place, el("section", { class: "bias", tabindex: "0", "aria-labelledby": "bias-title" },
      el("h1", { id: "bias-title" }, "My estimates"),
      el("p", {}, "Your own estimates beside the scores: those that you made before the score was shown, of each slide the last."),
      more ? el("p", {}, "There are more of them than are compared: the newest count.") : null,
      values.length ? [numbers(values), el("div", { class: "plots" }, values.map(plot))] : null,
      words.length ? [shares(words), el("div", { class: "plots" }, words.map(confusion))] : null,
      agreements.length ? null : el("p", { class: "empty" }, "None yet. An estimate counts where your laboratory asks for it before it shows the score.")));
  }

  close() {
    this.closed = true;
  }
}

function numbers(agreements) {
  return table("Score less estimate: above 0, the score is higher than you put it. In brackets the 95 % interval of the mean; 95 % of the differences lie within the limits (Bland and Altman).",
    COLUMNS, agreements, (found) => [`${signed(found.bias)}${found.bias_interval ? ` (${between(found.bias_interval)})` : ""}`,
      found.limits ? between(found.limits) : "two pairs at least"]);
}

function shares(agreements) {
  const percent = (share) => (100 * share).toFixed(0);
  return table("How often score and estimate are the same category, with the 95 % interval, and kappa with quadratic weights.",
    SAME, agreements, (found) => [`${found.agree} of ${found.n}: ${percent(found.share)} % (${found.interval.map(percent).join(" to ")} %)`,
      found.kappa === null ? "not defined" : found.kappa.toFixed(2)]);
}

function table(caption, columns, agreements, cells) {
  return el("table", { class: "scores" }, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, agreements.map(({ marker, display, region, found }) => el("tr", { data: { marker, region } },
      el("th", { scope: "row" }, marker), [display, region, String(found.n), ...cells(found)].map((said) => el("td", {}, said))))));
}

// How many pairs are of each category by the score (columns) and by the reader (rows).
function confusion({ marker, display, region, categories, pairs }) {
  const count = (mine, ours) => pairs.filter(([score, estimate]) => score === ours && estimate === mine).length;
  return el("figure", { data: { marker, region } }, el("figcaption", {}, `${marker}, ${display}, ${region}`),
    el("table", { class: "scores" }, el("caption", {}, "Rows: as you put it; columns: the score"),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Yours"), categories.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, categories.map((mine) => el("tr", {}, el("th", { scope: "row" }, mine),
        categories.map((ours) => el("td", { data: { mine, ours } }, String(count(mine, ours)))))))));
}

// Each pair as a point: the mean of both along x, score less estimate along y.
function plot({ marker, display, region, found, pairs }) {
  const points = pairs.map(([score, estimate]) => [(score + estimate) / 2, score - estimate]);
  const means = points.map(([mean]) => mean);
  const [low, high] = apart(Math.min(...means), Math.max(...means));
  const most = 1.1 * Math.max(1, ...points.map(([, difference]) => Math.abs(difference)), ...(found.limits ?? []).map(Math.abs));
  const x = (value) => LEFT + PAD + ((value - low) / (high - low)) * (WIDTH - LEFT - 3 * PAD);
  const y = (value) => PAD + ((most - value) / (2 * most)) * (HEIGHT - BELOW - 2 * PAD);
  const line = (value, colour, dashes = "none") => svg("line", { x1: LEFT, x2: WIDTH - PAD, y1: y(value), y2: y(value), stroke: colour, "stroke-dasharray": dashes });
  const text = (said, at) => svg("text", { fill: "#565c66", "font-size": 11, "text-anchor": "middle", ...at }, said);
  const said = `${pairs.length} pairs, mean difference ${signed(found.bias)}${found.limits ? `, limits ${between(found.limits)}` : ""}`;
  return el("figure", { data: { marker, region } }, el("figcaption", {}, `${marker}, ${display}, ${region}`),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": `${marker}, ${display}, ${region}: ${said}` },
      line(0, "#8b92a0"), line(found.bias, "#a3121d"), (found.limits ?? []).map((end) => line(end, "#a3121d", "5 4")),
      points.map(([mean, difference]) => svg("circle", { cx: x(mean), cy: y(difference), r: 3.5, fill: "#1f4fa3", "fill-opacity": 0.6 })),
      [most, 0, -most].map((value) => text(signed(value), { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" })),
      [low, high].map((value) => text(value.toFixed(0), { x: x(value), y: HEIGHT - BELOW + 12 })),
      text("mean of score and estimate", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 6 }),
      text("score less estimate", { transform: `rotate(-90) translate(${-(HEIGHT - BELOW) / 2} 11)` })));
}

const apart = (low, high) => (high - low < 1 ? [low - 1, high + 1] : [low, high]);
const between = ([low, high]) => `${signed(low)} to ${signed(high)}`;

function signed(value) {
  const size = Math.abs(value).toFixed(1);
  return `${size === "0.0" ? "" : value < 0 ? "−" : "+"}${size}`;
}
