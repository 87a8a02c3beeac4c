// A case: the slide with its nuclei, the scores beside it, and what a pathologist says of them.

import { ApiError, bytes, get, post, postBytes, readTables } from "./api.js";
import { ask, el, fill, moment, notice, tell } from "./dom.js";
import { Draft } from "./draft.js";
import { Thresholds } from "./histogram.js";
import { boxOf, inside } from "./regions.js";
import { GRADE_NAMES, isLive, scoresOf } from "./scoring.js";
import { Toolbar } from "./toolbar.js";
import { Viewer } from "./viewer.js";
import { following } from "./worklist.js";
import { estimateForm, estimates } from "./estimate.js";
import { history, provenance, stains, warnings } from "./panels.js";
import { profiles } from "./profiles.js";

const WATCH_MS = 15_000;
const STATES = { PRELIMINARY: "Preliminary", FINAL: "Final", CORRECTED: "Corrected", REJECTED: "Rejected", SUPERSEDED: "Superseded" };

export class Case {
  constructor(place, go, roles) {
    Object.assign(this, { place, go, maySign: roles.includes("pathologist"), tables: null });
  }

  // Throws ApiError where the result can't be read.
  async open(id) {
    this.found = await get(`/data/results/${id}`);
    if (this.found.hidden) return this.ask();
    this.draft = new Draft(this.found);
    this.live = isLive(this.found.assay, this.draft.criteria) && !this.withheld;
    this.build();
    this.viewer = new Viewer(this.slide, this.found, {
      drawn: (region) => this.drew(region),
      picked: (cell) => this.pick(cell),
      failed: (event) => this.tileFailed(event),
      moved: () => {},
    });
    this.toolbar.attach(this.viewer);
    this.viewer.grade(this.draft.criteria, this.draft);
    await Promise.all([this.openTables(), this.openCells()]);
    await Promise.all([this.openFields(), this.openStains(), this.openProfiles()]); // what the first picture needn't wait for
    this.timer = setInterval(() => document.hidden || this.watch(), WATCH_MS);
  }

  // The laboratory wants the reader's own estimate first: the slide is shown, and nothing that tells the score.
  ask() {
    const { found } = this;
    this.slide = el("div", { id: "slide" });
    this.place.dataset.result = found.id;
    fill(this.place, el("div", { class: "case" },
      this.patient(),
      el("section", { class: "stage", "aria-label": "Slide" }, this.slide),
      el("aside", { class: "panel", "aria-label": "Own estimate" }, el("div", { class: "scroll" },
        el("h2", {}, "Your own estimate"),
        el("p", {}, "Your laboratory asks for it before the score is shown."),
        estimateForm(found, () => this.go(found.id)),
        el("button", { type: "button", onclick: () => this.next(), "aria-keyshortcuts": "N" }, "Next case", el("kbd", { "aria-hidden": "true" }, "N"))))));
    const nothing = () => {};
    this.viewer = new Viewer(this.slide, found, { drawn: nothing, picked: nothing, failed: (event) => this.tileFailed(event), moved: nothing });
  }

  close() {
    clearInterval(this.timer);
    this.viewer?.close();
  }

  async openTables() {
    this.kept = readTables(await bytes(`/data/results/${this.found.id}/histograms`));
    this.tables = this.kept;
    if (this.live) this.thresholds.open(this.draft.criteria, this.tables);
    if (this.draft.changesCells) await this.recount();
    this.score();
  }

  async openCells() {
    try {
      await this.viewer.cells.open();
      performance.mark("nuclei");
    } catch (error) {
      if (error.status !== 401) notice(`The ${this.found.assay.cells} can't be shown: ${error.message}`, "error", true);
    }
  }

  async openFields() {
    const { heterogeneity } = await get(`/data/results/${this.found.id}/fields`).catch(() => ({ heterogeneity: null }));
    this.heterogeneity = heterogeneity;
    this.toolbar.spots(heterogeneity, this.found.pyramid.mpp);
  }

  async openStains() {
    const found = await get(`/data/results/${this.found.id}/case`).catch(() => null);
    if (found) fill(this.stains, stains(found, this.found, (id) => this.go(id)));
  }

  async openProfiles() {
    const found = await get(`/data/results/${this.found.id}/profiles`).catch(() => null);
    const live = (criteria) => this.live && isLive(this.found.assay, criteria);
    if (found) fill(this.profiles, profiles(found, this.found, live, (criteria) => this.try(criteria)));
  }

  // Another profile's thresholds in place of those that are set: they can be discarded, or kept as a new result.
  try(criteria) {
    this.thresholds.open(criteria, this.tables);
    this.move({ ...criteria });
  }

  build() {
    const { found } = this;
    this.slide = el("div", { id: "slide" });
    this.toolbar = new Toolbar({ undo: () => this.undo(), clear: () => this.reset() }, found.assay);
    this.headline = el("div", { class: "headline" });
    this.table = el("table", { class: "scores" });
    this.bars = el("div", { class: "grades" });
    this.regions = el("div", { class: "regions" });
    this.stains = el("div");
    this.profiles = el("div");
    this.saving = el("div", { class: "saving", hidden: true });
    this.place.dataset.result = found.id;
    const sliders = el("div", { class: "thresholds" });
    this.thresholds = new Thresholds(sliders, (criteria) => this.move(criteria));
    this.actions = el("div", { class: "actions", role: "group", "aria-label": "This result" });
    fill(this.place, el("div", { class: "case" },
      this.patient(),
      el("section", { class: "stage", "aria-label": "Slide" }, this.toolbar.element, this.slide),
      el("aside", { class: "panel", "aria-label": "Result" },
        el("div", { class: "scroll" },
          this.headline, warnings(found),
          el("section", {}, this.bars, this.saving),
          this.live ? section(`Thresholds · ${found.profile.label}`, sliders) : null,
          this.withheld ? null : section("Scores", this.table),
          this.profiles, this.stains, estimates(found),
          this.withheld ? null : section("Regions and corrections", this.regions),
          this.withheld ? null : section("Controls", el("p", {}, controlText(found.result.control))),
          this.comments(), section("Versions of this result", history(found, (id) => this.go(id))),
          el("details", {}, el("summary", {}, "Provenance"), provenance(found)),
          el("details", {}, el("summary", {}, "Download"), downloads(found.id))),
        this.actions)));
    this.drawState();
  }

  patient() {
    const { patient, order, assay, laboratory } = this.found;
    const named = [["Patient", patient && `${patient.name || "unnamed"}`], ["Identifier", patient?.id],
      ["Born", patient?.born], ["Sex", patient?.sex], ["Order", order?.number], ["Slide", order?.slide],
      ["Site", order?.site], ["Stain", assay.marker], ["Laboratory", laboratory]];
    return el("section", { class: "patient", "aria-label": "Patient and order" },
      el("h1", { class: "sr" }, `${assay.marker}, order ${order?.number ?? "none"}`),
      order && order.priority !== "ROUTINE" ? el("span", { class: `priority ${order.priority.toLowerCase()}` }, order.priority) : null,
      el("dl", {}, named.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
  }

  drawState() {
    const { found } = this;
    const open = found.state === "PRELIMINARY";
    const signed = ["FINAL", "CORRECTED"].includes(found.state);
    const button = (label, act, kind = "", key = "") => el("button", { type: "button", class: kind, onclick: act, "aria-keyshortcuts": key || null },
      label, key ? el("kbd", { "aria-hidden": "true" }, key) : null);
    fill(this.actions,
      el("span", { class: `state ${found.state.toLowerCase()}`, data: { state: found.state } }, STATES[found.state]),
      found.signed_by ? el("span", { class: "dim" }, ` by ${found.signed_by} `, moment(found.signed_at)) : null,
      el("span", { class: "grow" }),
      this.maySign && open ? [button("Reject", () => this.reject(), "", "R"), this.withheld ? null : this.amendable ? button("Amend with this", () => this.amend(), "primary", "S") : button("Sign", () => this.sign(), "primary", "S")] : null,
      signed && this.newer ? button("Newer version", () => this.go(this.newer.id)) : null,
      button("Next case", () => this.next(), "", "N"));
  }

  // Its control failed, or is missing: nothing was counted.
  get withheld() {
    return !this.found.scores.length && this.found.result.control?.withheld;
  }

  // The signed result of the order that this one would replace.
  get amendable() {
    return this.found.history.find((r) => r.id !== this.found.id && ["FINAL", "CORRECTED"].includes(r.state));
  }

  get newer() {
    return this.found.history.find((r) => r.predecessor === this.found.id && r.state === "PRELIMINARY");
  }

  // ---- scores ----

  move(criteria) {
    const began = performance.now();
    this.draft.criteria = criteria;
    this.viewer.grade(criteria, this.draft);
    this.score();
    this.draft.keep();
    performance.measure("threshold", { start: began, end: performance.now() });
  }

  score() {
    if (!this.tables) return;
    const { assay, scores } = this.found;
    const moved = this.draft.dirty;
    const now = this.live ? scoresOf(this.tables, this.draft.criteria, assay) : null;
    // A compartment that has no row is withheld: nothing tells it apart in this tissue.
    if (now && scores.length) for (const { name } of assay.regions) if (!scores.some((row) => row.region === name)) now.delete(name);
    const regions = [...new Set([...scores.map((row) => row.region), ...(now?.keys() ?? [])])].filter((r) => !now || now.has(r));
    const kept = (region, code) => scores.find((row) => row.region === region && row.measure === code);
    // What isn't computed here is shown as it was kept, as long as nothing was moved.
    const value = (region, code) => {
      const values = now?.get(region)?.values;
      if (values && code in values) return values[code];
      return (now && moved ? null : said(kept(region, code))) ?? null;
    };
    const first = assay.measures[0];
    if (this.withheld) return fill(this.headline, el("p", { class: "name" }, first.display), el("p", { class: "number withheld", data: { code: first.code, value: "withheld" } }, "Withheld"),
      el("p", {}, `${controlText(this.found.result.control)} Order the slide anew once its control is right.`));
    const region = ["tumour", assay.clinical_region].find((name) => regions.includes(name)) ?? "all";
    const interval = moved ? null : kept(region, first.code)?.interval;
    fill(this.headline, el("p", { class: "name" }, `${first.display} · ${region}`),
      el("p", { class: "number", data: { code: first.code, region, value: String(value(region, first.code)) } }, shown(value(region, first.code), first)),
      el("p", { class: "dim" }, interval ? `95 % interval ${interval.map((v) => v.toFixed(0)).join(" to ")}` : moved ? "not kept yet: the interval is computed when it is" : "no interval"));
    this.drawTable(regions, value, kept, moved);
    if (now?.has(region)) this.drawBars(now.get(region).grades, region);
    else fill(this.bars);
    this.drawRegions();
    this.drawSaving();
  }

  drawTable(regions, value, kept, moved) {
    const { measures } = this.found.assay;
    fill(this.table,
      el("caption", { class: "sr" }, "Scores by region"),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Measure"), regions.map((region) => el("th", { scope: "col" }, region)))),
      el("tbody", {}, measures.map((measure) => el("tr", {}, el("th", { scope: "row", title: measure.display }, named(measure)),
        regions.map((region) => {
          if (measure.regions.length && !measure.regions.includes(region)) return el("td");
          const found = value(region, measure.code);
          const row = kept(region, measure.code);
          if (!row && found === null) return el("td"); // the assay has no such score of the region
          const changed = moved && row && said(row) !== found;
          return el("td", { class: changed ? "changed" : "", title: changed ? `kept: ${shown(said(row), measure)}` : row?.comment || null,
            data: { code: measure.code, region, value: String(found) } }, shown(found, measure),
          !moved && row?.interval ? el("span", { class: "interval" }, row.interval.map((v) => v.toFixed(0)).join("–")) : null);
        })))));
  }

  drawBars(grades, region) {
    const n = grades.reduce((a, b) => a + b, 0);
    const shares = el("div", { class: "stack", "aria-hidden": "true" }, grades.map((count, g) =>
      el("i", { class: `grade${g}`, data: { grow: String(count) } })));
    const list = el("ul", {}, grades.map((count, g) => el("li", {}, el("i", { class: `grade${g}` }), `${g} ${GRADE_NAMES[g]} `,
      el("strong", {}, n ? `${((100 * count) / n).toFixed(1)} %` : ""))));
    fill(this.bars, el("p", { class: "dim of" }, `${titled(this.found.assay.cells)} by grade · ${region}`), shares, list, this.legend());
    for (const bar of shares.children) bar.style.flexGrow = bar.dataset.grow;
  }

  // Which compartment is drawn how, where two share their colours.
  legend() {
    const { groups } = this.found.assay;
    const names = (filled) => [...new Set(groups.filter((group) => group.filled === filled).map((group) => group.region))].join(", ");
    if (!names(true) || !names(false)) return null;
    return el("p", { class: "dim" }, `On the slide: ${names(true)} filled, ${names(false)} hollow; along outlines whole and dashed.`);
  }

  drawRegions() {
    const { regions, cells } = this.draft;
    const size = (points) => {
      const box = boxOf(points);
      return `${((box.width * this.found.pyramid.mpp) / 1000).toFixed(2)} × ${((box.height * this.found.pyramid.mpp) / 1000).toFixed(2)} mm`;
    };
    const last = this.found.change;
    fill(this.regions,
      regions.length || cells.size ? null : el("p", { class: "dim" }, "None. Draw a region or pick a cell with the tools over the slide."),
      el("ul", {}, regions.map((region, i) => el("li", {}, el("i", { class: `swatch ${region.class}` }),
        el("button", { type: "button", class: "link", onclick: () => this.viewer.goTo(boxOf(region.points)) }, `${region.class === "tumour" ? "Tumour" : "Excluded"} · ${size(region.points)}`),
        el("button", { type: "button", class: "quiet", "aria-label": `Remove ${region.class} region ${i + 1}`, onclick: () => this.edit(() => this.draft.regions.splice(i, 1)) }, "✕")))),
      cells.size ? el("p", { data: { cells: String(cells.size) } }, `${cells.size} ${this.found.assay.cells} corrected: `,
        `${[...cells.values()].filter((g) => g === null).length} excluded, ${[...cells.values()].filter((g) => g !== null).length} put in a group by hand`) : null,
      last ? el("p", { class: "dim" }, `Last changed by ${last.by}: ${last.why}`) : null);
  }

  drawSaving() {
    const { dirty } = this.draft;
    this.saving.hidden = !dirty;
    if (!dirty) return fill(this.saving);
    fill(this.saving, el("p", {}, "Changed, and not kept yet."),
      el("button", { type: "button", onclick: () => this.reset() }, "Discard"),
      el("button", { type: "button", class: "primary", id: "keep", onclick: () => this.keep(), "aria-keyshortcuts": "K" }, "Keep as a new result", el("kbd", { "aria-hidden": "true" }, "K")));
  }

  // ---- regions and nuclei ----

  drew(region) {
    this.edit(() => this.draft.regions.push(region));
  }

  async edit(act) {
    this.draft.mark();
    act();
    this.draft.keep();
    this.viewer.grade(this.draft.criteria, this.draft);
    await this.recount();
  }

  undo() {
    if (!this.draft.undo()) return;
    this.draft.keep();
    this.viewer.picked = null;
    this.viewer.grade(this.draft.criteria, this.draft);
    this.recount();
  }

  // The histograms that the service would keep.
  async recount() {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    try {
      if (this.draft.changesCells) {
        const { regions, cells } = this.draft.sent;
        const found = await postBytes(`/data/results/${this.found.id}/preview`, { regions, cells }, { signal: asking.signal });
        if (asking.signal.aborted) return;
        this.tables = readTables(found);
      } else this.tables = this.kept;
      if (this.live) this.thresholds.count(this.tables);
      this.score();
      performance.mark("recounted");
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error);
    }
  }

  pick(cell) {
    this.toolbar.picked(cell && {
      cell,
      group: this.viewer.grouping.of(cell.part, cell.i),
      columns: this.viewer.grouping.columns,
      plain: this.viewer.grouping.plain(cell.part, cell.i),
      byHand: this.draft.cells.has(cell.row),
      groups: this.found.assay.groups,
      set: (group) => this.correct(cell, group),
    });
  }

  // `group`: its new one, null to leave it out, undefined to take the correction back.
  async correct(cell, group) {
    const { cells, regions } = this.draft;
    await this.edit(() => {
      if (group === undefined) cells.delete(cell.row);
      else cells.set(cell.row, group);
    });
    this.pick(cell);
    if (group === undefined && regions.some((r) => r.class === "exclude" && inside(r.points, cell.x, cell.y))) notice("It lies in an excluded region.");
  }

  reset() {
    this.draft.reset();
    this.draft.keep();
    this.viewer.picked = null;
    this.toolbar.picked(null);
    if (this.live) this.thresholds.open(this.draft.criteria, this.kept);
    this.viewer.grade(this.draft.criteria, this.draft);
    this.tables = this.kept;
    if (this.live) this.thresholds.count(this.tables);
    this.score();
  }

  // ---- what is said of the result ----

  async keep() {
    if (!this.draft.dirty) return;
    const said = await ask({ title: "Keep as a new result", text: "The present result stays as it is; the new one names it, you, and why.",
      fields: [{ name: "why", label: "Why", least: 3, value: this.draft.why }], confirm: "Keep" });
    if (!said) return;
    await this.say(async () => {
      const made = await post(`/data/results/${this.found.id}/change`, { ...this.draft.sent, why: said.why, etag: this.found.etag });
      this.draft.reset();
      this.draft.why = "";
      this.draft.forget();
      this.go(made.id);
    }, said.why);
  }

  async sign() {
    if (this.draft.dirty) return tell("Keep the changes first", el("p", {}, "Moved thresholds, regions or corrections aren't part of this result yet. Keep them as a new result and sign that, or discard them."));
    const first = this.headline.querySelector(".number");
    const said = await ask({ title: "Sign this result", text: `${this.headline.querySelector(".name").textContent}: ${first.textContent}. The laboratory system is sent it as final.`, confirm: "Sign" });
    if (said) await this.say(() => post(`/data/results/${this.found.id}/sign`, { etag: this.found.etag }).then((answer) => this.saidOf(answer, "Signed.")));
  }

  async amend() {
    if (this.draft.dirty) return this.sign();
    const former = this.amendable;
    const said = await ask({ title: "Amend the signed result", text: `This result replaces the one that ${former.signed_by} signed. The laboratory system is sent a correction.`,
      fields: [{ name: "why", label: "Why", least: 3, value: this.draft.why }], confirm: "Amend" });
    if (!said) return;
    await this.say(async () => {
      const now = await get(`/data/results/${former.id}/state`);
      await post(`/data/results/${former.id}/amend`, { replacement: this.found.id, why: said.why, etag: now.etag });
      notice("Amended.", "good");
      await this.watch();
    }, said.why);
  }

  async reject() {
    const said = await ask({ title: "Reject this result", text: "The laboratory system is told that there is no score of this slide.",
      fields: [{ name: "why", label: "Why", least: 3, value: this.draft.why }], confirm: "Reject", danger: true });
    if (said) await this.say(() => post(`/data/results/${this.found.id}/reject`, { why: said.why, etag: this.found.etag }).then((answer) => this.saidOf(answer, "Rejected.")), said.why);
  }

  saidOf(answer, text) {
    Object.assign(this.found, answer);
    this.drawState();
    notice(text, "good");
  }

  // `why`: what was typed for it is kept until it succeeded.
  async say(act, why = "") {
    this.draft.why = why;
    this.draft.keep();
    try {
      await act();
      this.draft.why = "";
      this.draft.keep();
    } catch (error) {
      await this.failed(error);
    }
  }

  // Somebody was quicker, or the session ended: nothing of what was typed or drawn is lost.
  async failed(error) {
    if (!(error instanceof ApiError) || error.status === 401) return;
    if (!["ETAG_MISMATCH", "RESULT_STATE"].includes(error.reason)) return void notice(`${error.message}. ${error.advice}`, "error", true);
    const before = this.found.state;
    await this.watch();
    const { state, signed_by: by } = this.found;
    if (state === before) return void notice(`${error.message}. ${error.advice}`, "error", true);
    tell("Somebody was quicker", el("p", {}, `This result is ${STATES[state].toLowerCase()} now${by ? `, by ${by}` : ""}. What you wanted was not done.`));
  }

  async watch() {
    try {
      const now = await get(`/data/results/${this.found.id}/state`);
      if (now.etag === this.found.etag) return;
      const was = this.found.state;
      Object.assign(this.found, now);
      this.drawState();
      if (was !== now.state) notice(`This result is ${STATES[now.state].toLowerCase()} now${now.signed_by ? `, by ${now.signed_by}` : ""}.`, "warning", true);
    } catch {
      // looked at again later
    }
  }

  comments() {
    const list = el("ul", { class: "comments" });
    const draw = () => fill(list, this.found.comments.map((c) => el("li", {}, el("p", {}, c.text), el("p", { class: "dim" }, `${c.by}, `, moment(c.at)))));
    draw();
    const text = el("textarea", { id: "comment", rows: 2, maxlength: "4000", oninput: () => {
      this.draft.comment = text.value;
      this.draft.keep();
    } });
    text.value = this.draft.comment;
    const send = () => text.value.trim() && this.say(async () => {
      this.found.comments.push(await post(`/data/results/${this.found.id}/comment`, { text: text.value.trim() }));
      text.value = this.draft.comment = "";
      this.draft.keep();
      draw();
    });
    return section("Comments", list, el("label", { for: "comment", class: "sr" }, "Comment"), text, el("button", { type: "button", onclick: send }, "Add comment"));
  }

  async next() {
    try {
      const id = await following(this.found.id);
      if (id) this.go(id);
      else notice("No other case is to be signed.");
    } catch (error) {
      await this.failed(error);
    }
  }

  tileFailed() {
    if (this.away) return;
    this.away = notice(`The slide can't be shown now: its archive doesn't answer.${this.found.hidden ? "" : " Nuclei and scores are shown without it."}`, "warning", true);
    this.away.append(el("button", { type: "button", onclick: () => {
      this.away.remove();
      this.away = null;
      this.viewer.reload();
    } }, "Try again"));
  }

  key(event) {
    if (this.found.hidden) return event.key.toLowerCase() === "n" && (this.next(), true);
    const act = { s: () => this.maySign && this.found.state === "PRELIMINARY" && !this.withheld && (this.amendable ? this.amend() : this.sign()),
      r: () => this.maySign && this.found.state === "PRELIMINARY" && this.reject(), n: () => this.next(), k: () => this.keep(),
      z: () => this.undo() }[event.key.toLowerCase()];
    if (act) act();
    else if (!this.toolbar.key(event)) return false;
    return true;
  }
}

const titled = (name) => name[0].toUpperCase() + name.slice(1);

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), children);
}

// A title of two letters joins scores in a line, and names nothing.
const named = ({ title, display }) => (title.length > 2 ? title : display);

const said = (row) => row?.category ?? row?.value ?? null;

function shown(value, measure) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  return measure.whole ? value.toLocaleString("en") : value.toFixed(1) + (measure.unit === "%" ? " %" : "");
}

function controlText(control) {
  const withheld = control?.withheld ? ` The score is withheld (${control.withheld}). This is not a score of 0.` : "";
  const detail = control?.detail ? ` ${control.detail}.` : "";
  if (!control || control.status === "absent") return `No control was measured.${detail}${withheld}`;
  const cores = control.cores.map((core) => `${core.expected}: ${core.found}${core.passed ? "" : " (failed)"}`);
  return `${control.status === "passed" ? "Passed" : "Failed"}. ${cores.join(", ")}${detail}${withheld}`;
}

function downloads(id) {
  const files = [["report.pdf", "PDF, one page"], ["scores.csv", "Scores, CSV"], ["cells.csv", "Nuclei, CSV"], ["cells.geojson", "Nuclei, GeoJSON for QuPath"],
    ["overlay.png", "Overview, PNG"], ["all.zip", "All of it with DICOM, ZIP"]];
  return el("ul", { class: "files" }, files.map(([name, label]) => el("li", {}, el("a", { href: `/data/results/${id}/download/${name}`, download: "" }, label))));
}

