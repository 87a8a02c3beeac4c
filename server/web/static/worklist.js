// The work list: cases by where they stand, looked for, sorted by urgency.

import { get, post } from "./api.js";
import { el, fill, moment, notice } from "./dom.js";

const STATES = [["to_sign", "To sign"], ["waiting", "In progress"], ["signed", "Signed"], ["rejected", "Rejected"],
  ["failed", "Failed"], ["", "All"]];
const SAID = { to_sign: "To sign", waiting: "In progress", signed: "Signed", rejected: "Rejected", failed: "Failed" };
const PRIORITIES = [["", "Any priority"], ["STAT", "STAT"], ["ASAP", "ASAP"], ["ROUTINE", "Routine"]];
const REFRESH_MS = 10_000;

export const usual = { state: "to_sign", marker: "", priority: "", text: "", mine: false };

export class WorkList {
  // `own`: where the reader's own estimates are compared; null for who makes none.
  constructor(place, filter, open, own) {
    Object.assign(this, { place, filter: { ...usual, ...filter }, open, own, items: [], next: "" });
    this.build();
    this.load();
    this.timer = setInterval(() => document.hidden || this.load({ quiet: true }), REFRESH_MS);
  }

  close() {
    clearInterval(this.timer);
  }

  build() {
    const changed = (key) => (event) => {
      this.filter[key] = event.target.type === "checkbox" ? event.target.checked : event.target.value;
      this.load();
    };
    let typing = 0;
    this.search = el("input", { type: "search", id: "search", placeholder: "Order, slide, specimen, patient", oninput: (event) => {
      clearTimeout(typing);
      typing = setTimeout(() => changed("text")(event), 250);
    } });
    this.tabs = el("div", { class: "tabs", role: "group", "aria-label": "State of the cases" }, STATES.map(([state, label]) =>
      el("button", { type: "button", data: { state }, "aria-pressed": String(state === this.filter.state), onclick: () => {
        this.filter.state = state;
        for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.state === state));
        this.load();
      } }, label)));
    this.rows = el("tbody", { onkeydown: (event) => this.key(event) });
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.load({ more: true }) }, "More cases");
    this.empty = el("p", { class: "empty", hidden: true });
    fill(this.place, el("section", { class: "worklist", "aria-labelledby": "list-title" },
      el("h1", { id: "list-title" }, "Work list"),
      el("p", {}, el("a", { href: "/image" }, "One image"), el("span", { class: "dim" }, " or "), el("a", { href: "/microscope" }, "Microscope"), el("span", { class: "dim" }, " without an order"),
        this.own && el("span", {}, " · ", el("a", { href: this.own, data: { local: "" } }, "My estimates"), el("span", { class: "dim" }, " beside the scores"))),
      el("div", { class: "filters" }, this.tabs, el("label", { class: "sr", for: "search" }, "Search"), this.search,
        el("label", {}, el("span", { class: "sr" }, "Stain"),
          el("input", { type: "text", id: "marker", size: "8", placeholder: "Any stain", onchange: changed("marker") })),
        el("label", {}, el("span", { class: "sr" }, "Priority"),
          el("select", { id: "priority", onchange: changed("priority") }, PRIORITIES.map(([v, t]) => el("option", { value: v }, t)))),
        el("label", { class: "check" }, el("input", { type: "checkbox", id: "mine", onchange: changed("mine") }), "Mine only")),
      el("table", {}, el("thead", {}, el("tr", {}, ["Priority", "Order", "Slide", "Stain", "Score", "State", "Received"]
        .map((name) => el("th", { scope: "col" }, name)))), this.rows), this.empty, this.more));
    this.search.value = this.filter.text;
  }

  async load({ more = false, quiet = false } = {}) {
    const wanted = { ...this.filter, page_token: more ? this.next : "", limit: 50 };
    if (quiet && this.items.length > 50) return; // pages were added: they stay
    const asked = (this.asked = Symbol("asked"));
    try {
      const found = await post("/data/work", wanted);
      if (asked !== this.asked) return;
      this.items = more ? [...this.items, ...found.items] : found.items;
      this.next = found.page_token;
      this.draw();
    } catch (error) {
      if (error.status !== 401 && !quiet) notice(error.message, "error");
    }
  }

  draw() {
    const focused = document.activeElement?.closest?.("tr")?.dataset.order;
    fill(this.rows, this.items.map((item) => this.row(item)));
    if (focused) [...this.rows.children].find((row) => row.dataset.order === focused)?.focus();
    this.more.hidden = !this.next;
    this.empty.hidden = this.items.length > 0;
    this.empty.textContent = this.filter.text ? "No case fits the search." : "No case here.";
  }

  row(item) {
    const { result } = item;
    const open = () => result && this.open(result.id, this.items);
    return el("tr", { tabindex: "0", data: { order: item.order }, class: result ? "" : "closed", onclick: open },
      el("td", {}, el("span", { class: `priority ${item.priority.toLowerCase()}` }, item.priority)),
      el("td", {}, result ? el("a", { href: `/case/${result.id}`, data: { local: "" }, tabindex: "-1" }, item.number) : item.number),
      el("td", {}, item.slide), el("td", {}, item.marker), el("td", {}, result?.withheld ? el("strong", { class: "warn", title: result.withheld }, "withheld") : score(result?.score)),
      el("td", {}, this.state(item)), el("td", {}, moment(item.received)));
  }

  state(item) {
    if (item.state === "waiting") {
      return el("span", {}, el("progress", { max: "1", value: String(item.progress), "aria-label": "Progress" }), ` ${Math.round(100 * item.progress)} %`);
    }
    const by = item.result?.signed_by ? ` by ${item.result.signed_by}` : "";
    return el("span", {}, el("span", { class: `state ${item.state}` }, SAID[item.state]), item.state === "failed" ? ` ${item.reason}` : by,
      item.result?.warnings.length ? el("span", { class: "warn", title: item.result.warnings.join(", ") }, " ⚠ ", el("span", { class: "sr" }, item.result.warnings.join(", "))) : null);
  }

  key(event) {
    const row = event.target.closest("tr");
    if (!row) return;
    if (event.key === "Enter") row.click();
    const other = { ArrowDown: row.nextElementSibling, j: row.nextElementSibling, ArrowUp: row.previousElementSibling, k: row.previousElementSibling }[event.key];
    if (other) {
      event.preventDefault();
      other.focus();
    }
  }
}

function score(row) {
  if (!row || (row.value === null && !row.category)) return "";
  const between = row.interval ? el("span", { class: "interval" }, ` ${row.interval.map((v) => v.toFixed(0)).join("–")}`) : null;
  return el("span", {}, el("strong", {}, row.category ?? row.value.toFixed(1)), between, el("span", { class: "dim" }, ` ${row.title}`));
}

// The case that comes after one: the next to sign.
export async function following(resultId) {
  const { items } = await post("/data/work", { state: "to_sign", limit: 200 });
  const at = items.findIndex((item) => item.result?.id === resultId);
  const others = [...items.slice(at + 1), ...items.slice(0, Math.max(at, 0))];
  return others.find((item) => item.result && item.result.id !== resultId)?.result.id ?? null;
}

export const read = (resultId) => get(`/data/results/${resultId}`);
