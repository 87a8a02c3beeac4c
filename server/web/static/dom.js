// Elements made of a name, attributes and children: text is text, never markup.

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else if (key === "data") Object.assign(made.dataset, value);
    else if (key in made && key !== "list" && key !== "form" && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// A part of a drawing.
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children.flat(3).filter(Boolean));
  return made;
}

export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return parent;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function moment(text) {
  return text ? el("time", { datetime: text }, CLOCK.format(new Date(text))) : "";
}

export function notice(text, kind = "info", keep = false) {
  const shown = el("div", { class: `notice ${kind}` }, el("span", {}, text),
    el("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => shown.remove() }, "✕"));
  const place = document.getElementById("notices");
  for (const other of place.children) if (other.firstChild.textContent === text) other.remove();
  place.append(shown);
  if (!keep) setTimeout(() => shown.remove(), 8000);
  return shown;
}

// A dialog with fields; resolves to their values, or null where it was left.
export function ask({ title, text = "", fields = [], confirm = "OK", danger = false }) {
  const dialog = document.getElementById("dialog");
  return new Promise((resolve) => {
    let answer = null;
    const inputs = fields.map(({ name, label, rows = 3, value = "", least = 0, options }) => {
      const input = options
        ? el("select", { id: `field-${name}` }, options.map(([v, shown]) => el("option", { value: v }, shown)))
        : el("textarea", { id: `field-${name}`, rows, minlength: String(least), maxlength: "4000", required: least > 0 });
      if (!options) input.value = value;
      return [name, input, el("label", { for: `field-${name}` }, label), least];
    });
    const said = el("p", { class: "error", role: "alert" });
    const form = el("form", { method: "dialog", novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      const short = inputs.find(([, input, , least]) => input.value.trim().length < least);
      if (short) {
        said.textContent = `${short[2].textContent}: at least ${short[3]} characters`;
        short[1].focus();
        return;
      }
      answer = Object.fromEntries(inputs.map(([name, input]) => [name, input.value.trim()]));
      dialog.close();
    } },
      el("h2", { id: "dialog-title" }, title), text && el("p", {}, text),
      inputs.map(([, input, label]) => el("div", { class: "field" }, label, input)), said,
      el("div", { class: "buttons" },
        el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        el("button", { type: "submit", class: danger ? "danger" : "primary" }, confirm)));
    fill(dialog, form);
    dialog.onclose = () => resolve(answer);
    dialog.showModal();
    (inputs[0]?.[1] ?? form.querySelector("[type=submit]")).focus();
  });
}

export function tell(title, ...children) {
  const dialog = document.getElementById("dialog");
  fill(dialog, el("h2", { id: "dialog-title" }, title), children,
    el("div", { class: "buttons" }, el("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Close")));
  dialog.onclose = null;
  dialog.showModal();
}
