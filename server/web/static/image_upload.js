// An image chosen by drag and drop, dialog or sample; its thumbnail and pixel size are looked at before it is sent.

import { ApiError, post } from "./api.js";
import { el, fill, notice } from "./dom.js";

const RESOLUTIONS = [["10x", "10x (1.0 µm/px)"], ["20x", "20x (0.5 µm/px)"], ["40x", "40x (0.25 µm/px)"], ["mpp", "other:"]];
const STAINS = ["ER", "PR", "KI67", "P53"];

export class Upload {
  constructor(csrf, samples, done) {
    Object.assign(this, { csrf, done });
    const input = el("input", { type: "file", id: "file", class: "sr", onchange: () => input.files[0] && this.choose(input.files[0]) });
    const drop = el("div", { class: "drop" },
      el("p", {}, "Drop an image or a slide here, of any format that is read here, or"),
      input, el("label", { class: "button primary", for: "file" }, "Choose a file"),
      el("p", {}, "or try a sample: ", Object.entries(samples).map(([name, title]) =>
        [el("button", { type: "button", class: "link", data: { sample: name }, onclick: () => this.sample(name) }, title), " "])));
    for (const kind of ["dragenter", "dragover"]) {
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) this.choose(event.dataTransfer.files[0]);
    });
    this.chosen = el("div", {});
    this.element = el("div", {}, drop, this.chosen);
  }

  async sample(name) {
    this.done((await post(`/data/images/samples/${name}`)).id);
  }

  async choose(file) {
    const thumbnail = el("div", {});
    const mpp = el("input", { type: "number", id: "mpp", min: "0.05", max: "2", step: "any", value: "0.5", "aria-label": "µm per pixel" });
    const radios = RESOLUTIONS.map(([value, label]) => el("label", {},
      el("input", { type: "radio", name: "resolution", value, checked: value === "40x" }), ` ${label}`));
    const stain = el("select", { id: "stain" }, STAINS.map((name) => el("option", { value: name }, name)));
    const bar = el("progress", { max: "1", value: "0", hidden: true, "aria-label": "Sending" });
    const send = el("button", { type: "submit", class: "primary" }, "Find the nuclei");
    const form = el("form", { class: "chosen", onsubmit: (event) => {
      event.preventDefault();
      const picked = form.querySelector("[name=resolution]:checked").value;
      const query = new URLSearchParams({ marker: stain.value, ...(picked === "mpp" ? { mpp: mpp.value } : { resolution: picked }) });
      send.disabled = true;
      this.send(file, query, bar).catch((error) => notice(`${error.message}. ${error.advice ?? ""}`, "error", true)).finally(() => {
        send.disabled = false;
      });
    } },
      thumbnail,
      el("div", {}, el("p", {}, el("strong", {}, file.name), ` (${(file.size / 1e6).toFixed(1)} MB). Is this the right image, and how large is its pixel?`),
        el("fieldset", {}, el("legend", {}, "Resolution"), radios, mpp),
        el("p", {}, el("label", { for: "stain" }, "Stain "), stain), bar, send));
    fill(this.chosen, form);
    fill(thumbnail, await shown(file));
  }

  send(file, query, bar) {
    bar.hidden = false;
    const body = new FormData();
    body.append("img", file, "image");
    return new Promise((resolve, reject) => {
      const call = new XMLHttpRequest();
      call.open("POST", `/data/images?${query}`);
      call.setRequestHeader("x-csrf", this.csrf);
      call.responseType = "json";
      call.upload.onprogress = (event) => {
        bar.value = event.total ? event.loaded / event.total : 0;
      };
      call.onload = () => (call.status === 200 ? resolve(this.done(call.response.id)) : reject(new ApiError(call.status, call.response ?? {})));
      call.onerror = () => reject(new ApiError(0, { message: "the image couldn't be sent: see to the network and its size, then try again" }));
      call.send(body);
    });
  }
}

async function shown(file) {
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: 320 });
    const canvas = el("canvas", { width: bitmap.width, height: bitmap.height, role: "img", "aria-label": "Thumbnail of the image" });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    return canvas;
  } catch {
    return el("p", { class: "dim" }, "This browser can't show the format; the service looks at it when it is sent.");
  }
}
