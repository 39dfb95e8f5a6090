// The page Train: a configuration is kept first, then its training is ordered, then its run is looked at.

import { collect, submit } from "./forms.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "train-form") return;
  event.preventDefault();
  const kept = await submit(form);
  if (!kept) return;
  const { model_id, use_case } = collect(form);
  const order = { model_id, use_case, config_id: kept.body.config_id, data_source: form.dataset.source };
  const taken = await submit(form, order, "/models/train");
  if (!taken) return;
  // The run's page says what whoever waits must know.
  sessionStorage.setItem("finml-said", JSON.stringify(taken.body.warnings ?? []));
  location.assign(`/ui/train/${encodeURIComponent(taken.body.job_id)}`);
});
