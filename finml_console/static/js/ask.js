// Asking what serves: the request as it stands in the box, the answer with who gave it and how long it took.

import { call, Refused } from "./api.js";
import { clear, place } from "./forms.js";

const form = document.getElementById("asking");
const answer = document.getElementById("answer");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clear(form);
  answer.replaceChildren();
  const body = { model_id: document.getElementById("deployment").dataset.model, use_case: form.dataset.useCase };
  if (!body.model_id) return place(form, { detail: "Nothing serves this use case; deploy a version first." });
  try {
    body.input_data = JSON.parse(form.elements.input_data.value);
  } catch (error) {
    return place(form, { errors: [{ field: "body.input_data", message: `This is not JSON: ${error.message}` }] });
  }
  form.setAttribute("aria-busy", "true");
  const begun = performance.now();
  try {
    show((await call("POST", "/models/predict", body)).body, performance.now() - begun);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    place(form, inOneBox(error.document));
  } finally {
    form.removeAttribute("aria-busy");
  }
});

/** The gateway names fields of the request that it was sent; here they all lie in one box. */
function inOneBox(problem) {
  const errors = problem.errors ?? [];
  if (!errors.length) return problem;
  const said = errors.map(({ field, message }) => {
    const path = field.replace(/^body\./, "").replace(/^input_data\.?/, "");
    return path ? `${path}: ${message}` : message;
  });
  return { ...problem, errors: [{ field: "body.input_data", message: said.join("\n") }] };
}

function show(said, milliseconds) {
  const facts = document.createElement("dl");
  facts.className = "facts";
  const rows = {
    "Answered by": `${said.model_id} ${said.version.slice(0, 8)}${said.role ? `, ${said.role}` : ""}`,
    Took: `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms, from this page to the gateway and back`,
    "As of": said.as_of ?? "–",
    "In the log": said.prediction_id ?? "not kept",
  };
  for (const [term, text] of Object.entries(rows)) facts.append(element("dt", term), element("dd", text));
  const notes = said.warnings.map((warning) => {
    const note = element("p", warning);
    note.className = "note warn";
    return note;
  });
  const document_ = element("pre", JSON.stringify(said.prediction, null, 2));
  document_.className = "scroll mono small answer";
  document_.tabIndex = 0;
  document_.setAttribute("role", "region");
  document_.setAttribute("aria-label", "Prediction");
  answer.replaceChildren(facts, ...notes, document_);
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
