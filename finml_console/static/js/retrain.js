// Training a deployed version's model again: its own configuration is kept by the API, then trained.

import { call, Refused } from "./api.js";
import { clear, place } from "./forms.js";
import { confirmed } from "./notices.js";

const form = document.getElementById("retraining");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  clear(form);
  const wanted = JSON.parse(form.querySelector("script").textContent);
  const button = form.querySelector("button");
  if (!(await confirmed(`${button.textContent}? It takes a run of the pipeline, with the baselines that it is measured against.`, "Train"))) return;
  form.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    const { body: kept } = await call("POST", "/models/configure", wanted);
    const { body: run } = await call("POST", "/models/train", { model_id: wanted.model_id, use_case: wanted.use_case, config_id: kept.config_id });
    sessionStorage.setItem("finml-said", JSON.stringify(["The training was accepted.", ...run.warnings]));
    location.assign(`/ui/train/${run.job_id}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    place(form, error.document);
  } finally {
    form.removeAttribute("aria-busy");
    button.disabled = false;
  }
});
