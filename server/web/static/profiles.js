// What the laboratory's other profiles make of the same cells, and a way to try one on the slide.

import { el } from "./dom.js";

// `tried(criteria)` moves the thresholds, `live(criteria)` says whether they can be moved here. Null where there is none.
export function profiles({ profiles: others }, found, live, tried) {
  if (!others.length) return null;
  const said = (value, { unit }) => (value === null ? "–" : typeof value === "string" ? value : value.toFixed(1) + (unit === "%" ? " %" : ""));
  const rows = (one) => one.rows.map(({ code, first, second }) => {
    const measure = found.assay.measures.find((m) => m.code === code);
    const moved = first !== second;
    return el("tr", {}, el("th", { scope: "row" }, measure.title || measure.display), el("td", {}, said(first, measure)),
      el("td", { class: moved ? "changed" : "", data: { profile: one.label, measure: code } }, said(second, measure)));
  });
  return el("section", { "aria-label": "Other profiles" }, el("h3", {}, "Other profiles"),
    others.map((one) => el("details", { data: { label: one.label } }, el("summary", {}, `${one.label} `, el("span", { class: "dim" }, one.state.toLowerCase())),
      one.refused ? el("p", {}, one.refused)
        : el("table", { class: "scores" }, el("caption", { class: "sr" }, `All cells by ${found.profile.label} and by ${one.label}`),
          el("thead", {}, el("tr", {}, ["Measure, all cells", found.profile.label, one.label].map((name) => el("th", { scope: "col" }, name)))),
          el("tbody", {}, rows(one))),
      !one.refused && live(one.thresholds) ? el("button", { type: "button", onclick: () => tried(one.thresholds) }, "Try on the slide") : null)));
}
