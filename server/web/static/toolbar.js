// The tools over the slide: what the mouse does, which stain is shown, what is painted over it.

import { el, fill } from "./dom.js";
import { GRADE_NAMES, GRADES } from "./scoring.js";

const TOOLS = [["pan", "Move", "V"], ["tumour", "Tumour", "T"], ["exclude", "Exclude", "X"], ["nucleus", "Nucleus", "C"]];
const STAIN_NAMES = { dab: "DAB" };

export class Toolbar {
  // `assay` says what the cells are called, and by which groups a person may put one right.
  constructor(acts, assay) {
    Object.assign(this, { acts, assay });
    const cells = titled(assay.cells);
    this.offered = ["original", ...assay.stains].map((name, i) => [name, STAIN_NAMES[name] ?? titled(name), String(i + 1)]);
    this.tools = group("Tool", TOOLS.map(([name, title, key]) => [name, name === "nucleus" ? one(cells) : title, key]), (tool) => this.use(tool));
    this.stains = group("Stain shown", this.offered, (stain) => this.stain(stain));
    this.window = el("span", { class: "window", hidden: true }, ["low", "high"].map((name) => {
      const input = el("input", { type: "range", min: "0", max: "2", step: "0.05", "aria-label": `${name} end of the window, optical density` });
      input.value = name === "low" ? "0.05" : "1";
      input.addEventListener("change", () => this.stain(this.viewer.stain.stain));
      this[name] = input;
      return el("label", {}, name, input);
    }));
    this.opacity = el("input", { type: "range", min: "0", max: "1", step: "0.05", "aria-label": `${cells}, how strong` });
    this.opacity.value = "1";
    this.opacity.addEventListener("input", () => this.nuclei(Number(this.opacity.value)));
    this.hot = el("button", { type: "button", hidden: true, onclick: () => this.goTo(this.hotSpot) }, "Hot spot");
    this.card = el("div", { class: "card", hidden: true, role: "group", "aria-label": `The ${one(assay.cells)} picked` });
    this.element = el("div", { class: "tools" },
      el("div", { class: "toolbar", role: "toolbar", "aria-label": "Slide" }, this.tools.element, this.stains.element, this.window,
        el("label", { class: "opacity" }, cells, this.opacity), this.hot,
        el("span", { class: "grow" }),
        el("button", { type: "button", onclick: () => acts.undo(), "aria-keyshortcuts": "Z" }, "Undo"),
        el("button", { type: "button", "aria-label": "Zoom in", onclick: () => this.viewer.zoom(1.6) }, "+"),
        el("button", { type: "button", "aria-label": "Zoom out", onclick: () => this.viewer.zoom(0.625) }, "−"),
        el("button", { type: "button", onclick: () => this.viewer.home(), "aria-keyshortcuts": "0" }, "Whole slide")),
      this.card);
    this.tools.press("pan");
    this.stains.press("original");
  }

  attach(viewer) {
    this.viewer = viewer;
    viewer.use("pan");
  }

  use(tool) {
    this.tools.press(tool);
    this.viewer.use(tool);
    if (tool !== "nucleus") this.picked(null);
  }

  stain(stain) {
    this.stains.press(stain);
    this.window.hidden = stain === "original";
    const low = Number(this.low.value);
    this.viewer.show({ stain, low, high: Math.max(Number(this.high.value), low + 0.05).toFixed(2) });
  }

  nuclei(opacity) {
    this.opacity.value = String(opacity);
    this.viewer.opacity = opacity;
    this.viewer.draw();
  }

  spots(found, mpp) {
    const spot = (at, name, colour) => at && { x: at.x_um / mpp, y: at.y_um / mpp, side: at.side_um / mpp, name, colour };
    const shown = [spot(found?.hot_spot, "hot spot", "#b3121d"), spot(found?.cold_spot, "cold spot", "#1d4ed8")].filter(Boolean);
    this.viewer.spots = shown;
    this.hotSpot = shown[0];
    this.hot.hidden = !this.hotSpot;
    this.viewer.draw();
  }

  goTo(spot) {
    if (spot) this.viewer.goTo({ x: spot.x, y: spot.y, width: spot.side, height: spot.side });
  }

  // The nucleus that was clicked, and what can be made of it.
  picked(found) {
    this.card.hidden = !found;
    if (!found) {
      if (this.viewer) this.viewer.picked = null;
      this.viewer?.draw();
      return;
    }
    const { cell, group, plain, byHand, groups, set, columns } = found;
    const { part, i } = cell;
    const byWhite = columns.some((name) => name.startsWith("white_"));
    const names = byWhite ? ["white_hue", "white_value", "white_od_centi"] : ["hue", "value", "dab_od_centi"];
    const measured = names.filter((name) => part[name]).map((name) =>
      name.endsWith("od_centi") ? `OD ${(part[name][i] / 100).toFixed(2)}` : `${name.replace("white_", "")} ${part[name][i]}`);
    const choices = this.choices(plain, groups);
    fill(this.card, el("p", {}, el("strong", {}, group < 0 ? "Excluded" : groups[group].title), byHand ? " (by hand)" : "", el("span", { class: "dim" }, ` ${measured.join(", ")}`)),
      el("div", { class: "buttons" },
        choices.map(({ to, name, mark, data }) => el("button", { type: "button", class: "regrade", data, "aria-pressed": String(byHand && group === to), onclick: () => set(to) }, mark, name)),
        el("button", { type: "button", data: { act: "exclude" }, "aria-pressed": String(byHand && group < 0), onclick: () => set(null) }, "Exclude"),
        group < 0 && !byHand ? el("button", { type: "button", data: { act: "include" }, onclick: () => set(plain) }, "Include") : null,
        byHand ? el("button", { type: "button", data: { act: "back" }, onclick: () => set(undefined) }, "As measured") : null));
  }

  // Grades within the compartment of a nuclear stain, else all groups of the assay.
  choices(plain, groups) {
    if (this.assay.kind !== "nuclear") {
      return groups.map(({ title, colour }, to) => {
        const mark = el("i", {});
        mark.style.background = `rgb(${colour.join(" ")})`;
        return { to, name: title, mark, data: { group: String(to) } };
      });
    }
    const first = plain - (plain % GRADES);
    return GRADE_NAMES.map((name, g) => ({ to: first + g, name: `${g} ${name}`, mark: el("i", { class: `grade${g}` }), data: { grade: String(g) } }))
      .filter(({ to }) => groups[to]);
  }

  key(event) {
    const key = event.key.toLowerCase();
    const tool = TOOLS.find(([, , k]) => k.toLowerCase() === key);
    const stain = this.offered.find(([, , k]) => k === key);
    if (tool) this.use(tool[0]);
    else if (stain) this.stain(stain[0]);
    else if (key === "h") this.nuclei(this.viewer.opacity ? 0 : 1);
    else if (key === "o") this.goTo(this.hotSpot);
    else if (key === "0") this.viewer.home();
    else if (key === "+" || key === "=") this.viewer.zoom(1.6);
    else if (key === "-") this.viewer.zoom(0.625);
    else if (key === "enter" && this.viewer.tool === "nucleus" && !event.target.closest?.("button, a, summary, input")) this.viewer.pickMiddle();
    else if (key === "escape") this.use("pan");
    else return false;
    return true;
  }
}

const titled = (name) => name[0].toUpperCase() + name.slice(1);
const one = (name) => (name.toLowerCase() === "nuclei" ? name.replace("uclei", "ucleus") : name.replace(/s$/, ""));

function group(label, options, chosen) {
  const buttons = options.map(([name, title, key]) => el("button", { type: "button", data: { name }, "aria-pressed": "false", "aria-keyshortcuts": key, title: `${title} (${key})`, onclick: () => chosen(name) }, title));
  return {
    element: el("div", { class: "group", role: "group", "aria-label": label }, buttons),
    press: (name) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.name === name))),
  };
}
