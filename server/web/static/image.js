// The page for one image: lay it, wait for it, look at it.

import { ApiError, get, onSignedOut, post, session } from "./api.js";
import { ask, el, fill, moment, notice, tell } from "./dom.js";
import { Sheet } from "./image_sheet.js";
import { Upload } from "./image_upload.js";

const content = document.getElementById("content");
const ASK_MS = 700;
const SAID = { PENDING: "Waiting", STARTED: "Being computed", SUCCESS: "Done", FAILURE: "Not possible" };
const place = () => location.pathname.match(/^\/image\/([0-9a-f]{32})$/)?.[1] ?? null;
let csrf = "";

async function digest(text) {
  const hashed = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hashed).slice(0, 8), (b) => b.toString(16).padStart(2, "0")).join("");
}

async function termsAgreed(terms) {
  const key = terms && `image-terms-${await digest(terms)}`;
  if (!terms || localStorage.getItem(key)) return true;
  const said = await ask({ title: "Terms of use", text: terms, confirm: "I agree" });
  if (said) localStorage.setItem(key, "agreed");
  return Boolean(said);
}

async function list() {
  document.title = "One image · chromogen";
  const found = await get("/data/images");
  if (!await termsAgreed(found.terms)) {
    return void fill(content, el("div", { class: "wait" }, el("h1", {}, "One image"), el("p", {}, "Images can be laid here once the terms of use are agreed to."), el("button", { type: "button", onclick: list }, "Show the terms")));
  }
  const rows = found.images.map((image) => el("tr", {},
    el("td", {}, el("a", { href: `/image/${image.id}` }, image.state === "SUCCESS" ? `${image.scoring.num_total} nuclei, ${image.scoring.percent_pos} % positive` : SAID[image.state])),
    el("td", {}, image.marker), el("td", {}, `${image.mpp} µm/px`), el("td", {}, moment(image.arrived)), el("td", {}, image.by), el("td", {}, moment(image.gone_at))));
  fill(content, el("div", { class: "images" },
    el("h1", {}, "One image"),
    el("section", { "aria-label": "Lay an image" }, new Upload(csrf, found.samples, (id) => open(id, true)).element,
      el("p", { class: "dim" }, `Images are kept ${found.kept_days} days, for your laboratory alone, without what else their file held; then they are gone.`)),
    el("section", { "aria-labelledby": "kept" }, el("h2", { id: "kept" }, "Your laboratory's images"),
      rows.length ? el("table", {}, el("thead", {}, el("tr", {}, ["Result", "Stain", "Pixel", "Laid", "By", "Gone"].map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows))
        : el("p", { class: "dim" }, "None yet."))));
}

async function open(id, moved = false) {
  if (moved) history.pushState(null, "", `/image/${id}`);
  document.title = "Image · chromogen";
  const bar = el("progress", { max: "1", value: "0", "aria-label": "Progress" });
  const said = el("p", {}, "Waiting…");
  fill(content, el("div", { class: "wait" }, el("h1", {}, "Image"), bar, said, el("a", { href: "/image" }, "All images")));
  for (;;) {
    const image = await get(`/data/images/${id}`);
    if (place() !== id) return;
    if (image.state === "SUCCESS") return void await show(image);
    if (image.state === "FAILURE") {
      return void fill(content, el("div", { class: "wait" }, el("h1", {}, "This image can't be used"), el("p", { role: "alert" }, image.message), el("a", { href: "/image" }, "Another image")));
    }
    bar.value = image.progress;
    said.textContent = SAID[image.state];
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
}

async function show(image) {
  const comment = el("textarea", { id: "comment", rows: 3, maxlength: "4000" });
  comment.value = image.comment;
  const sheet = new Sheet(image);
  sheet.aside.append(
    el("section", {}, el("h3", {}, "Comment"), el("label", { class: "sr", for: "comment" }, "Comment for the laboratory"), comment,
      el("button", { type: "button", onclick: async () => {
        await post(`/data/images/${image.id}/comment`, { text: comment.value });
        notice("The comment is kept.", "good");
      } }, "Keep comment")),
    el("section", {}, el("h3", {}, "Files"), el("ul", { class: "files" },
      el("li", {}, el("a", { href: `/data/images/${image.id}/all.zip`, download: "" }, "All pictures, nuclei and counts (ZIP)")),
      el("li", {}, el("a", { href: `/data/images/${image.id}/nuclei.geojson`, download: "" }, "Nuclei for QuPath (GeoJSON)"))),
      el("button", { type: "button", class: "danger", onclick: () => remove(image.id) }, "Delete this image")));
  fill(content, sheet.element);
  await sheet.load();
  content.focus({ preventScroll: true });
}

async function remove(id) {
  if (!await ask({ title: "Delete this image?", text: "Its pictures and counts are gone at once.", confirm: "Delete", danger: true })) return;
  await post(`/data/images/${id}/delete`);
  history.pushState(null, "", "/image");
  await list();
}

async function start() {
  try {
    const who = await session();
    csrf = who.csrf;
    fill(document.getElementById("who"), el("span", { class: "dim" }, who.laboratory), ` ${who.subject}`);
  } catch (error) {
    if (error.status !== 401) return void fill(content, el("div", { class: "wait" }, el("h1", {}, "The service doesn't answer"), el("p", {}, error.message)));
    return void fill(content, el("div", { class: "wait" }, el("h1", {}, "Sign in"), el("p", {}, "Sign in at the work list, then come back."), el("a", { class: "button primary", href: "/" }, "Sign in")));
  }
  onSignedOut(() => tell("You were signed out", el("p", {}, "Sign in again in another tab: what is shown here stays.")));
  await (place() ? open(place()) : list());
}

window.addEventListener("popstate", () => (place() ? open(place()) : list()));
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof ApiError && event.reason.status !== 401) notice(`${event.reason.message}. ${event.reason.advice}`, "error");
});
start();
