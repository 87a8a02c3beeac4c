// The page: who is signed in, and whether the work list, a case or a reader's own estimates are shown.

import { ApiError, onSignedOut, post, session, ways } from "./api.js";
import { Bias } from "./bias.js";
import { Case } from "./case.js";
import { el, fill, notice, tell } from "./dom.js";
import { forgetDrafts } from "./draft.js";
import { WorkList } from "./worklist.js";

const content = document.getElementById("content");
const trail = document.getElementById("trail");
const KEYS = [["J, K, ↓, ↑, Enter", "work list: next, previous, open"], ["V", "move the slide"], ["T, X", "draw a tumour or an excluded region"],
  ["C", "pick a nucleus, to exclude or grade it (Enter: the one in the middle)"], ["1, 2, 3", "original, haematoxylin, DAB (H&E: eosin)"], ["H", "nuclei on and off"], ["O", "hot spot"],
  ["+, −, 0", "zoom in, out, whole slide"], ["arrows", "move the slide, or a threshold"], ["Z", "undo"], ["K", "keep as a new result"], ["S, R", "sign or amend, reject"],
  ["N", "next case"], ["L", "work list"], ["?", "this help"]];
const OWN = "/estimates";
let who = null;
let shown = null;
let filter = {};

const place = () => location.pathname.match(/^\/case\/([0-9a-f-]{36})$/)?.[1] ?? null;

function go(path) {
  if (path !== location.pathname) history.pushState(null, "", path);
  show();
}

const openCase = (id) => go(`/case/${id}`);

async function show() {
  if (shown?.filter) ({ filter } = shown);
  shown?.close();
  shown = null;
  const id = place();
  const own = location.pathname === OWN;
  document.title = `${id ? "Case" : own ? "My estimates" : "Work list"} · chromogen`;
  fill(trail, id || own ? el("a", { href: "/", data: { local: "" } }, "‹ Work list") : null);
  if (!id && !own) {
    shown = new WorkList(content, filter, openCase, who.roles.includes("pathologist") ? OWN : null);
    return;
  }
  fill(content, el("p", { class: "wait" }, id ? "Opening the case…" : "Loading…"));
  const opened = id ? new Case(content, openCase, who.roles) : new Bias(content);
  shown = opened;
  try {
    await opened.open(id);
    content.focus({ preventScroll: true });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 401) fill(content, el("div", { class: "wait" }, el("h1", {}, id ? "This case can't be opened" : "The estimates can't be shown"), el("p", {}, `${error.message}. ${error.advice}`), el("a", { href: "/", data: { local: "" } }, "Work list")));
  }
}

async function signIn(again) {
  const { issuer, local } = await ways();
  const to = encodeURIComponent(location.pathname);
  const said = new URLSearchParams(location.search).get("sign-in");
  return el("div", { class: again ? "" : "sign-in" },
    again ? null : el("h1", {}, "Sign in"),
    said && !again ? el("p", { class: "error", role: "alert" }, `The sign-in didn't succeed (${said}). Try again, or ask whoever runs this service.`) : null,
    issuer ? el("a", { class: "button primary", href: `/sign-in?to=${to}` }, "Sign in with your hospital account") : null,
    local ? el("form", { method: "post", action: `/sign-in/local?to=${to}` }, el("button", { type: "submit", class: "primary" }, `Sign in as ${local}`)) : null,
    issuer || local ? null : el("p", {}, "No way to sign in is set up here: CHROMOGEN_OIDC_CLIENT_ID and CHROMOGEN_WEB_ADDRESS are missing."),
    again ? null : el("p", { class: "dim" }, "Research use only. It decides nothing: a pathologist does."));
}

async function start() {
  try {
    who = await session();
  } catch (error) {
    if (error.status !== 401) return void fill(content, el("div", { class: "wait" }, el("h1", {}, "The service doesn't answer"), el("p", {}, error.message)));
    document.title = "Sign in · chromogen";
    return void fill(content, await signIn(false));
  }
  fill(document.getElementById("who"), el("span", { class: "dim" }, who.laboratory), ` ${who.subject}`);
  document.getElementById("sign-out").hidden = false;
  onSignedOut(async () => {
    if (document.getElementById("dialog").open && document.getElementById("signed-out")) return;
    tell("You were signed out", el("p", { id: "signed-out" }, "Nobody used this page for a while, or the sign-in ended elsewhere. Nothing is lost: what you changed or typed here is there again when you have signed in."), await signIn(true));
  });
  await show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-local]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  event.stopPropagation();
  if (who) go(new URL(link.href).pathname);
}, true);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("dialog").open) return;
  if (event.target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
  if (event.key === "?") help();
  else if (event.key === "l" && who) go("/");
  else if (shown instanceof Case && shown.viewer && shown.key(event)) event.preventDefault();
});

function help() {
  tell("Keys", el("dl", { class: "keys" }, KEYS.map(([key, what]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)))));
}

document.getElementById("keys").addEventListener("click", help);
document.getElementById("sign-out").addEventListener("click", async () => {
  try {
    await post("/data/sign-out");
    forgetDrafts();
    location.assign("/");
  } catch (error) {
    notice(error.message, "error");
  }
});
window.addEventListener("popstate", () => who && show());
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof ApiError && event.reason.status !== 401) notice(event.reason.message, "error");
});
start();
