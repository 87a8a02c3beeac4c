// A pathologist's own estimate of the score: asked for before it is shown, or entered beside it.

import { post } from "./api.js";
import { el, fill, moment } from "./dom.js";

// `kept(estimates)` after it was; throws nothing: what went wrong stands in the form.
export function estimateForm(found, kept) {
  const { display, unit, most, regions, categories } = found.estimate;
  const word = (region) => el("select", { id: `estimate-${region}` }, ["", ...categories].map((name) => el("option", { value: name }, name || "choose")));
  const inputs = regions.map((region) => [region, categories.length ? word(region) : el("input", { type: "number", id: `estimate-${region}`, min: "0", max: most === null ? null : String(most), step: "any", inputmode: "decimal" })]);
  const said = el("p", { class: "error", role: "alert" });
  const range = categories.length || most === null ? "" : `, 0 to ${most}`;
  return el("form", { class: "estimate", novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    const wrong = inputs.find(([, input]) => !input.checkValidity());
    const given = inputs.filter(([, input]) => input.value !== "");
    said.textContent = wrong ? `${wrong[0]}: a number${range}` : given.length ? "" : "Enter one of them at least.";
    if (said.textContent) return (wrong ?? inputs[0])[1].focus();
    try {
      const values = Object.fromEntries(given.map(([region, input]) => [region, categories.length ? input.value : Number(input.value)]));
      const answer = await post(`/data/results/${found.id}/estimate`, { values });
      for (const [, input] of inputs) input.value = "";
      kept(answer.estimates);
    } catch (error) {
      if (error.status !== 401) said.textContent = error.message;
    }
  } },
  el("p", {}, `${display}${unit === "%" ? "" : range}, as you put it yourself:`),
  inputs.map(([region, input]) => el("div", { class: "field" }, el("label", { for: input.id }, region), input)),
  said, el("button", { type: "submit", class: "primary" }, "Keep my estimate"));
}

// The estimates that there are, and a form for another.
export function estimates(found) {
  const list = el("ul", { class: "comments" });
  const draw = () => fill(list, found.estimates.map((one) => el("li", {},
    el("p", { data: { region: one.region, shown: String(one.score_shown) } }, `${one.region}: ${one.value}`, one.score_shown ? ", after the score was shown" : ", before the score was shown"),
    el("p", { class: "dim" }, `${one.by}, `, moment(one.at)))));
  draw();
  const form = found.estimate && el("details", {}, el("summary", {}, "Enter my estimate"), estimateForm(found, (all) => {
    found.estimates = all;
    draw();
  }));
  return found.estimate || found.estimates.length ? el("section", {}, el("h3", {}, "Own estimates"), list, form) : null;
}
