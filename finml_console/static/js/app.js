// On every page: theme, token, dialogs, times in the reader's zone, and what htmx is told.

import { askForToken } from "./api.js";
import "./forms.js";
import { toast } from "./notices.js";

const THEMES = ["system", "light", "dark"];

const theme = document.getElementById("theme");
function show(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  theme.setAttribute("aria-label", `Theme: ${name}. Change it`);
  theme.title = `Theme: ${name}`;
  document.dispatchEvent(new CustomEvent("finml:theme"));
}
theme.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(localStorage.getItem("finml-theme") ?? "system") + 1) % THEMES.length];
  localStorage.setItem("finml-theme", next);
  show(next);
});
show(localStorage.getItem("finml-theme") ?? "system");

document.getElementById("token")?.addEventListener("click", () => askForToken());

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
});

/** Times as the reader's clock has them; the page says them in UTC. */
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf()) || time.dataset.local) continue;
    time.dataset.local = "1";
    time.title = `${moment.toISOString().replace("T", " ").slice(0, 19)} UTC`;
    time.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}
localise(document);

document.addEventListener("htmx:before:request", (event) => event.detail.ctx?.target?.setAttribute?.("aria-busy", "true"));
document.addEventListener("htmx:finally:request", (event) => event.detail.ctx?.target?.removeAttribute?.("aria-busy"));
document.addEventListener("htmx:after:swap", () => localise(document));
document.addEventListener("htmx:error", () => toast("The server does not answer. Is finml up still running?", { bad: true }));
