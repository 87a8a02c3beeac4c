// What stands beside the scores: warnings, versions, where a result comes from.

import { el, moment } from "./dom.js";

const MEANT = {
  NOT_IHC: "the slide doesn't look like an immunostain",
  OUT_OF_SCOPE: "the model was not validated on this stain or site",
  NOT_VALIDATED: "the method was not validated on patients' material",
  WHOLE_TISSUE: "all tissue alike is scored: draw the tumour, if its score is wanted",
  COLOUR_SUSPECT: "the background is neither white nor grey: colours may be decoded wrongly",
  COLOUR_CAST: "the colour of the light couldn't be told surely: grades may be off",
  TOO_LITTLE_TISSUE: "the score stands on little tissue",
  TOO_FEW_NUCLEI: "too few nuclei for a sure score",
  COUNT_UNSURE: "many nuclei were counted only just; others may be missed",
  LARGE_NUCLEI: "nuclei are large: they were looked for in coarser pixels",
  SCALE_UNKNOWN: "scored by the built-in profile: how dark this laboratory's pictures show the stain wasn't fitted, and the score hangs on it: calibrate a profile, or validate this one",
  STAIN_WEAK: "the stain is so weak that grades are doubtful",
  OUT_OF_FOCUS: "parts of the slide are out of focus",
  INK: "ink lies on the slide",
  RESOLUTION_LOW: "the slide is coarser than the method needs",
  TILES_UNREADABLE: "parts of the slide couldn't be read and aren't scored",
  PEAKS_OVERFLOWED: "somewhere there were more nuclei than can be reported",
  INTERVAL_MISSING: "the cells are gone: there is no interval",
  RULE_SILENT: "the guideline says nothing of this mixture: our own rule filled the gap",
  NEAR_BOUNDARY: "a share lies so near an edge that its interval spans it",
  PROFILE_EXPIRES_SOON: "the profile's validity ends soon",
  PROFILE_EXPIRED: "the profile's validity has ended",
  CONTROL_FAILED: "control tissue failed",
  CONTROL_ABSENT: "no control was measured",
  CONTROL_DRIFT: "the controls of late have drifted",
  SCALE_BY_CONTROLS: "how dark stains show was told by the slide's own control cores alone",
  PATIENT_ISSUER_MISSING: "the slide's file doesn't say whose number the patient's is",
  PATIENT_ID_MISSING: "the slide's file names no patient",
};
const NOT_MADE = "_NOT_MADE";

function meaning(name) {
  if (name.endsWith(NOT_MADE)) return `the ${name.slice(0, -NOT_MADE.length)} couldn't be made and isn't sent`;
  return MEANT[name] ?? "";
}

export function warnings(found) {
  if (!found.result.warnings.length) return null;
  return el("ul", { class: "warnings", "aria-label": "Warnings" }, found.result.warnings.map((name) =>
    el("li", {}, el("strong", {}, name), ` ${meaning(name)}`)));
}

export function history(found, go) {
  const rows = found.history.map((version) => {
    const here = version.id === found.id;
    const score = version.score?.value;
    return el("li", { class: here ? "here" : "", "aria-current": here ? "true" : null },
      here ? el("span", {}, "This one") : el("button", { type: "button", class: "link", onclick: () => go(version.id) }, "Open"),
      el("span", {}, ` ${score === undefined || score === null ? "" : score.toFixed(1)} `, el("span", { class: `state ${version.state.toLowerCase()}` }, version.state.toLowerCase())),
      el("span", { class: "dim" }, version.by ? `${version.by}: ${version.why} · ` : "as analysed · ", moment(version.created)));
  });
  return el("ol", { class: "history" }, rows);
}

// The other stains of the case with their first score, and ER to PR.
export function stains({ markers, ratios }, found, go) {
  const others = markers.filter((one) => one.marker !== found.assay.marker);
  if (!others.length) return null;
  const score = ({ score, hidden }) => hidden ? "to be estimated first" : score ? `${score.category ?? score.value?.toFixed(1) ?? "no score"} ${score.title} (${score.region})` : "no score";
  return el("section", { "aria-label": "Stains of the case" }, el("h3", {}, "Stains of the case"),
    el("ul", { class: "history" }, others.map((one) => el("li", { data: { marker: one.marker } },
      el("button", { type: "button", class: "link", onclick: () => go(one.id) }, one.marker),
      el("span", {}, ` ${score(one)} `), el("span", { class: `state ${one.state.toLowerCase()}` }, one.state.toLowerCase())))),
    ratios.length ? el("table", { class: "scores" }, el("caption", {}, `${ratios[0].marker} to ${ratios[0].by}`),
      el("thead", {}, el("tr", {}, ["Region", "Measure", "Proportion"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ratios.map((one) => el("tr", {}, el("th", { scope: "row" }, one.region), el("td", {}, one.measure),
        el("td", { data: { ratio: one.measure, region: one.region } }, one.value === null ? `${one.by} is 0` : one.value.toFixed(2)))))) : null);
}

export function provenance(found) {
  const { result, profile, pyramid } = found;
  const { model, slide } = result;
  const rows = [
    ["Profile", `${profile.label}: ${Object.entries(result.thresholds).map(([k, v]) => `${k} ${v}`).join(", ")}`],
    ["Source of the profile", profile.source],
    ["Model", `${model.name} ${model.version}`],
    ["Model's SHA-256", model.sha256],
    ["Engine", model.engine],
    ["chromogen", result.software],
    ["Slide", `${pyramid.width} × ${pyramid.height} px, ${pyramid.mpp} µm/px`],
    ["Series", slide.series_uid ?? ""],
    ["Tissue", `${result.tissue_mm2.toFixed(1)} mm²`],
    ["Tiles", `${result.tiles.analysed} of ${result.tiles.planned}, ${result.tiles.unreadable} unreadable`],
    ["Made", moment(result.created_at)],
    ["Result", found.id],
    ["Predecessor", found.predecessor ?? "none"],
  ];
  return el("dl", { class: "provenance" }, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
