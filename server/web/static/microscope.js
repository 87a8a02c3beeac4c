// The page of a microscope: frames of a camera or a folder, one at a time to the service; cells drawn over the last
// that was answered, and the running score of all that were counted.

import { ApiError, get, onSignedOut, post, postPicture, session } from "./api.js";
import { el, fill, notice, tell } from "./dom.js";
import { Camera, Folder } from "./frames.js";
import { Painter } from "./paint.js";

const PATH = "/data/microscopes";
const content = document.getElementById("content");
const BUSY_MS = 1000;
const AWAY = new Set([0, 429, 503]);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let microscope = null;

class Microscope {
  constructor(begun, marker, mpp, camera) {
    Object.assign(this, { id: begun.id, assay: begun.assay, mpp, looked: 0, refused: 0, stopped: false, held: false });
    this.canvas = el("canvas", { role: "img", "aria-label": "The field that was answered last" });
    this.over = el("canvas", { class: "over", "aria-hidden": "true" });
    this.video = el("video", { hidden: !camera, "aria-label": "Camera" });
    this.painter = new Painter(this.over, this.assay, mpp);
    this.count = el("input", { type: "checkbox", id: "count", checked: true, onchange: () => this.frames?.again?.() });
    this.hold = el("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggle() }, "Hold");
    this.stop = el("button", { type: "button", class: "danger", onclick: () => this.end("Stopped.") }, "Stop");
    this.state = el("p", { role: "status", id: "state" }, "Waiting for the first field…");
    this.warnings = el("div", {});
    [this.running, this.field, this.stream] = ["Running score", "This field", "Frames"].map((name) => el("tbody", { "aria-label": name }));
    const table = (title, body) => el("section", {}, el("h3", {}, title), el("table", { class: "numbers" }, body));
    this.element = el("div", { class: "scope" }, el("div", { class: "field" }, this.canvas, this.over, this.video),
      el("aside", { "aria-label": "Score" },
        el("section", {}, el("h2", {}, `${marker}, ${mpp} µm/px`), el("p", { class: "dim" }, `Profile ${begun.profile}. Research use only; nothing is stored.`),
          el("div", { class: "buttons" }, this.hold, this.stop, el("label", { class: "check" }, this.count, "Count the fields")), this.state, this.warnings),
        table("Running score", this.running), table("This field", this.field), table("Frames", this.stream)));
  }

  toggle() {
    this.held = !this.held;
    this.hold.setAttribute("aria-pressed", String(this.held));
    this.state.textContent = this.held ? "Held: no frame is looked at." : "Looking.";
    if (!this.held) this.goOn?.();
  }

  async run(frames) {
    this.frames = frames;
    while (!this.stopped) {
      if (this.held) await new Promise((resolve) => Object.assign(this, { goOn: resolve }));
      if (this.stopped) return;
      try {
        const frame = await frames.next();
        if (!frame) return void await this.end(this.looked ? "All frames were looked at." : "There is no PNG or JPEG frame.");
        if (this.stopped) return;
        await this.look(frame);
      } catch (error) {
        if (this.stopped) return;
        if (error.reason === "TASK_UNKNOWN" || error.status === 401) return void await this.end(`Ended: ${error.message}.`);
        this.refused += 1;
        this.numbers();
        notice(`${error.message}. ${error.advice ?? ""}`, "error");
        await wait(BUSY_MS);
      }
    }
  }

  async look({ name, picture }) {
    const shown = el("canvas", { width: picture.width, height: picture.height });
    shown.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
    picture.close();
    const png = await new Promise((resolve) => shown.toBlob(resolve, "image/png"));
    const counted = this.count.checked;
    const began = performance.now();
    const answer = await this.sent(png, counted, name);
    if (!answer || this.stopped) return;
    this.looked += 1;
    this.draw(shown, answer);
    this.answer = answer;
    this.ms = Math.round(performance.now() - began);
    fill(this.warnings, answer.warnings.map((warning) => el("p", { class: "warn" }, warning)));
    if (!this.held) this.state.textContent = `${name}: ${answer.cells.n} cells, ${counted ? "counted" : "not counted"}.`;
    this.numbers();
  }

  // Where the service is busy or away a camera's frame is let pass, a folder's waits. Null where it passed.
  async sent(png, counted, name) {
    while (!this.stopped) {
      try {
        return await postPicture(`${PATH}/${this.id}/fields?${new URLSearchParams({ mpp: this.mpp, counted })}`, png);
      } catch (error) {
        if (!AWAY.has(error.status)) throw error instanceof ApiError ? Object.assign(error, { message: `${name}: ${error.message}` }) : error;
        this.state.textContent = `Waiting: ${error.message}.`;
        await wait(BUSY_MS);
        if (!(this.frames instanceof Camera)) continue;
        this.frames.passed += 1;
        this.frames.again();
        return null;
      }
    }
    return null;
  }

  draw(shown, { size: [width, height], cells }) {
    for (const canvas of [this.canvas, this.over]) Object.assign(canvas, { width, height });
    this.canvas.getContext("2d").drawImage(shown, 0, 0);
    this.painter.paint({ parts: [cells], grouping: { of: (part, i) => part.group[i] }, view: { scale: 1, left: 0, top: 0 },
      draft: { regions: [] }, spots: [], opacity: 1 });
  }

  numbers() {
    const row = (name, value, colour) => el("tr", {}, el("th", { scope: "row" }, colour ? swatch(colour) : null, name), el("td", {}, value));
    const { answer } = this;
    if (answer) {
      fill(this.running, row("Fields counted", String(answer.fields)), this.shown(answer.running).map((score) => row(this.named(score), valued(score))));
      const counts = this.assay.groups.map((_, group) => answer.cells.group.filter((g) => g === group).length);
      fill(this.field, this.shown(answer.scores).slice(0, 1).map((score) => row(this.named(score), valued(score))),
        this.assay.groups.map((group, k) => (counts[k] ? row(group.title, String(counts[k]), group) : null)));
    }
    fill(this.stream, row("Looked at", String(this.looked)), row("Passed meanwhile", String(this.frames.passed)), row("Refused", String(this.refused)),
      row("Last answer", this.ms === undefined ? "" : `${this.ms} ms`));
  }

  // Those that have a short name, or a category; the region that counts in the clinic first.
  shown(scores) {
    const counts = ({ region }) => region === this.assay.clinical_region;
    const short = scores.filter((score) => this.title(score) || score.category);
    return [...short.filter(counts), ...short.filter((score) => !counts(score))];
  }

  title({ measure }) {
    return this.assay.measures.find(({ code }) => code === measure)?.title;
  }

  named(score) {
    const region = this.assay.regions.find(({ name }) => name === score.region)?.display;
    return [this.title(score) || score.display, region].filter(Boolean).join(", ");
  }

  // What was shown last stays.
  async end(why) {
    if (this.stopped) return;
    this.stopped = true;
    this.goOn?.();
    this.frames?.close();
    this.video.hidden = true;
    for (const control of [this.hold, this.stop, this.count]) control.disabled = true;
    fill(this.state, why, " ", el("a", { href: "/microscope" }, "Begin anew"));
    await post(`${PATH}/${this.id}/end`, {}, { keepalive: true }).catch(() => {}); // gone already, or it ends by itself
  }
}

function swatch({ colour, filled }) {
  const mark = el("canvas", { width: 14, height: 14, "aria-hidden": "true" });
  const c = mark.getContext("2d");
  c.arc(6, 7, 4.5, 0, 7);
  c.fillStyle = c.strokeStyle = `rgb(${colour.join(" ")})`;
  c.lineWidth = 2;
  c[filled ? "fill" : "stroke"]();
  return mark;
}

function valued({ value, category, interval }) {
  const said = category ?? (value === null ? "none" : Number.isInteger(value) ? String(value) : value.toFixed(1));
  return interval ? [said, el("span", { class: "interval" }, ` ${interval.map((v) => v.toFixed(0)).join("–")}`)] : said;
}

async function begin() {
  const { markers } = await get(PATH);
  const stain = el("select", { id: "stain", required: true }, el("option", { value: "" }, "Choose"), markers.map((name) => el("option", { value: name }, name)));
  const mpp = el("input", { type: "number", id: "mpp", required: true, min: "0.05", max: "10", step: "any" });
  const form = el("form", { class: "begin", onsubmit: (event) => event.preventDefault() });
  const start = async (camera, framesOf) => {
    if (!form.reportValidity()) return;
    try {
      const begun = await post(PATH, { marker: stain.value });
      microscope = new Microscope(begun, stain.value, Number(mpp.value), camera);
      const frames = await framesOf(microscope.video);
      fill(content, microscope.element);
      await microscope.run(frames);
    } catch (error) {
      await microscope?.end("Not begun.");
      notice(error instanceof ApiError ? `${error.message}. ${error.advice}` : `The camera can't be used (${error.name}): allow it for this page.`, "error", true);
    }
  };
  const secure = Boolean(navigator.mediaDevices?.getUserMedia);
  const input = el("input", { type: "file", id: "frames", class: "sr", webkitdirectory: true, onchange: () => start(false, () => new Folder(input.files)) });
  const folder = el("label", { class: "button", for: "frames" }, "Folder of frames");
  folder.addEventListener("click", (event) => {
    if (!form.reportValidity()) event.preventDefault();
  });
  fill(content, fill(form, el("h1", {}, "Microscope"),
    el("p", {}, "Fields are scored as they come, and a running score is kept over those that are counted; what they share counts once. Research use only; nothing is stored."),
    el("div", {}, el("label", { for: "stain" }, "Stain "), stain), el("div", {}, el("label", { for: "mpp" }, "µm per pixel of the frames "), mpp),
    el("div", { class: "ways" }, el("button", { type: "button", class: "primary", disabled: !secure, onclick: () => start(true, Camera.opened) }, "Camera"), input, folder),
    secure ? null : el("p", { class: "dim" }, "A camera can be used by HTTPS or on this machine alone.")));
}

async function open() {
  try {
    const who = await session();
    fill(document.getElementById("who"), el("span", { class: "dim" }, who.laboratory), ` ${who.subject}`);
  } catch (error) {
    if (error.status !== 401) return void fill(content, el("div", { class: "wait" }, el("h1", {}, "The service doesn't answer"), el("p", {}, error.message)));
    return void fill(content, el("div", { class: "wait" }, el("h1", {}, "Sign in"), el("p", {}, "Sign in at the work list, then come back."), el("a", { class: "button primary", href: "/" }, "Sign in")));
  }
  onSignedOut(() => tell("You were signed out", el("p", {}, "What is shown here stays; the running score has ended. Sign in again and begin anew.")));
  await begin();
}

window.addEventListener("pagehide", () => microscope?.end("Left."));
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof ApiError && event.reason.status !== 401) notice(`${event.reason.message}. ${event.reason.advice}`, "error");
});
open();
