// Changes of what serves: asked about in a dialog that says what will happen, sent under the revision that they were decided on,
// and answered with what holds now where somebody else was faster.

import { call, Refused } from "./api.js";
import { clear, collect, place } from "./forms.js";
import { toast } from "./notices.js";

const dialog = document.getElementById("change-dialog");
const asking = dialog.querySelector("form");
const heard = dialog.querySelector("[data-heard]");
const waiting = dialog.querySelector("[data-waiting]");
const yes = dialog.querySelector("[data-yes]");
let form = null;
let returning = false;

/** What the words of a question stand for, by the controls of its form. */
function words(form) {
  const option = form.elements.slot?.selectedOptions[0];
  const percent = form.elements.percent?.value;
  return {
    to: option?.dataset.name ?? form.elements.named?.value ?? "",
    why: option?.dataset.why ?? "",
    percent: percent ?? "",
    rest: percent === undefined ? "" : String(100 - Number(percent)),
  };
}

const filled = (text, said) => text.replace(/\{(\w+)\}/g, (_, name) => said[name]);

/** The body of the request: a chosen version by its two names, the percentage as a share. */
function bodyOf(form) {
  const { slot, percent, named: _, ...body } = collect(form);
  if (slot !== undefined) [body.model_id, body.version] = slot.split(":");
  if (percent !== undefined) body.share = Number(percent) / 100;
  const reason = asking.elements.reason.value.trim();
  if (form.dataset.change === "shadow") return { shadow: body, reason };
  if (form.dataset.change === "end-shadow") return { shadow: null, reason };
  return { ...body, reason };
}

function ask(which) {
  form = which;
  const said = words(form);
  clear(asking);
  heard.replaceChildren();
  asking.elements.reason.value = "";
  dialog.querySelector("h2").textContent = filled(form.dataset.title, said);
  const asked = dialog.querySelector("[data-asked]");
  asked.replaceChildren(form.querySelector("template").content.cloneNode(true));
  for (const place of asked.querySelectorAll("[data-fill]")) place.textContent = said[place.dataset.fill];
  yes.textContent = form.dataset.button;
  yes.hidden = false;
  dialog.showModal();
}

async function go() {
  const said = words(form);
  clear(asking);
  heard.replaceChildren();
  busy(true);
  const begun = performance.now();
  try {
    const { body } = await call("POST", form.getAttribute("action"), bodyOf(form), { etag: form.dataset.etag });
    dialog.close();
    toast(`${filled(form.dataset.done, said)}: ${took(performance.now() - begun)}, revision ${body.deployment.revision}.`);
    for (const warning of body.warnings) toast(`Know that ${warning}.`, { bad: true });
    again();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refused(error.document);
  } finally {
    busy(false);
  }
}

function busy(is) {
  asking.setAttribute("aria-busy", String(is));
  waiting.hidden = !is;
  for (const button of asking.querySelectorAll("button")) button.disabled = is;
}

const took = (milliseconds) => (milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`);

function refused(problem) {
  const holds = problem.deployment;
  if (problem.errors?.some((error) => error.field === "body.reason")) return place(asking, problem);
  const note = document.createElement("div");
  note.className = "note bad";
  const overtaken = holds && `"${holds.revision}"` !== form.dataset.etag;
  note.append(paragraph(overtaken ? `Somebody changed it meanwhile, so nothing was done. ${inWords(holds)}` : problem.detail));
  if (overtaken) {
    const look = document.createElement("button");
    look.type = "button";
    look.textContent = "Show what holds now";
    look.addEventListener("click", () => {
      dialog.close();
      again();
    });
    note.append(look);
    // It was decided on what holds no longer.
    yes.hidden = true;
  }
  heard.replaceChildren(note);
}

function paragraph(text) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}

function inWords({ revision, state }) {
  const name = (slot) => (slot ? `${slot.entry} ${slot.version.slice(0, 8)}` : "none");
  const challenger = state.challenger ? `, challenger ${name(state.challenger)} with ${Math.round(100 * state.share)} %` : "";
  return `Revision ${revision} holds: champion ${name(state.champion)}${challenger}.`;
}

/** Show what holds now, and give the keyboard its place back. */
function again() {
  returning = true;
  htmx.trigger("#deployment", "refresh");
}

document.addEventListener("htmx:after:swap", () => {
  if (!returning) return;
  returning = false;
  document.getElementById("serves")?.focus({ preventScroll: true });
});

document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-change]")) {
    event.preventDefault();
    ask(event.target);
  } else if (event.target === asking) {
    event.preventDefault();
    go();
  }
});

document.addEventListener("input", (event) => {
  if (event.target.type === "range") event.target.form.querySelector("[data-live]").textContent = `${event.target.value} %`;
});

// A moment without a zone is the reader's.
document.addEventListener("htmx:config:request", (event) => {
  const { sourceElement, request } = event.detail.ctx;
  if (!sourceElement.matches("[data-moment]")) return;
  const moment = new Date(request.body.get("moment"));
  if (!Number.isNaN(moment.valueOf())) request.body.set("moment", moment.toISOString());
});
