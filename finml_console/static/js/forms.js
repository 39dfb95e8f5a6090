// Forms that speak to the REST API: `<form data-api="post" action="/v1/…">`. Names of controls are paths in the body (`hyperparameters.hidden`);
// `data-type` says what a text stands for. What the server refuses is shown at the field that it names.

import { call, Refused } from "./api.js";
import { confirmed, toast } from "./notices.js";

/** The body that a form stands for. Empty controls that are `data-optional` are left out; so is what is disabled. */
export function collect(form) {
  const body = {};
  for (const control of form.elements) {
    if (!control.name || control.disabled || control.type === "submit" || control.closest("[data-ignore]")) continue;
    if (control.type === "radio" && !control.checked) continue;
    const value = valueOf(control);
    if (value === undefined) continue;
    const path = control.name.split(".");
    let place = body;
    for (const part of path.slice(0, -1)) place = place[part] ??= {};
    place[path.at(-1)] = value;
  }
  return body;
}

function valueOf(control) {
  if (control.type === "checkbox") return control.checked;
  const text = control.value.trim();
  if (text === "") return "optional" in control.dataset ? undefined : "null" in control.dataset ? null : "";
  switch (control.dataset.type) {
    case "integer":
    case "number":
      // What is no number goes as it is: the server says what is wrong with it.
      return Number.isFinite(Number(text)) ? Number(text) : text;
    case "boolean":
      return text === "true";
    case "json":
      try {
        return JSON.parse(text);
      } catch {
        return text;
      }
    default:
      return text;
  }
}

/** Take away what an earlier refusal said. */
export function clear(form) {
  form.querySelectorAll("[data-said]").forEach((message) => message.remove());
  form.querySelectorAll("[aria-invalid]").forEach((control) => {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-errormessage");
  });
}

/** Show a problem document: each error at its field, the rest at the end of the form. Focus goes to the first field that is wrong. */
export function place(form, problem) {
  clear(form);
  const rest = [];
  let first = null;
  for (const error of problem.errors ?? []) {
    const path = error.field.replace(/^body\./, "");
    const control = [...form.elements].find((one) => one.name && (path === one.name || path.startsWith(`${one.name}.`)));
    if (!control) {
      rest.push(`${path}: ${error.message}`);
      continue;
    }
    const message = said("p", error.message);
    message.id = `said-${control.name.replaceAll(".", "-")}`;
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-errormessage", message.id);
    (control.closest(".field") ?? control.parentElement).append(message);
    first ??= control;
  }
  if (!first || rest.length) {
    const message = said("p", rest.length ? rest.join("; ") : problem.detail);
    message.setAttribute("role", "alert");
    message.classList.add("form-error");
    form.append(message);
  }
  first?.focus();
}

function said(tag, text) {
  const element = document.createElement(tag);
  element.className = "error";
  element.dataset.said = "";
  element.textContent = text;
  return element;
}

/** Send a form to where it says, or elsewhere; returns the answer, or null when it was refused or not confirmed. */
export async function submit(form, body = collect(form), path = form.getAttribute("action")) {
  clear(form);
  if (form.dataset.confirm && !(await confirmed(form.dataset.confirm, form.dataset.confirmLabel))) return null;
  const buttons = [...form.querySelectorAll("button")];
  form.setAttribute("aria-busy", "true");
  buttons.forEach((button) => (button.disabled = true));
  try {
    return await call(form.dataset.api.toUpperCase(), path, body, { etag: form.dataset.etag });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    place(form, error.document);
    return null;
  } finally {
    form.removeAttribute("aria-busy");
    buttons.forEach((button) => (button.disabled = false));
  }
}

/** What to do after a form was taken: `data-then` is "reload", "go:/address/{field of the answer}" or "refresh:#id". */
function proceed(form, answer) {
  const [what, where = ""] = (form.dataset.then ?? "reload").split(/:(.*)/s);
  const said = [form.dataset.done, ...(answer.body.warnings ?? [])].filter(Boolean);
  form.closest("dialog")?.close();
  if (what === "refresh") {
    said.forEach((text) => toast(text));
    htmx.trigger(where, "refresh");
    return;
  }
  // The next page says it, for this one goes away.
  sessionStorage.setItem("finml-said", JSON.stringify(said));
  if (what === "go") location.assign(where.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(answer.body[name])));
  else location.reload();
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset?.api || form.dataset.own !== undefined) return;
  event.preventDefault();
  const answer = await submit(form);
  if (answer) proceed(form, answer);
});
