// What the console says by itself: passing messages, questions before something is changed, explanations of terms.

/** A message in the corner; bad ones stay until they are closed. */
export function toast(text, { bad = false } = {}) {
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.className = "quiet";
  close.textContent = "Close";
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  document.getElementById("toasts").append(box);
  if (!bad) setTimeout(() => box.remove(), 8000);
}

/** Ask before a change; resolves to the answer. */
export function confirmed(question, label = "Go on") {
  const dialog = document.getElementById("confirm-dialog");
  dialog.querySelector("[data-question]").textContent = question;
  dialog.querySelector("[value=yes]").textContent = label;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

const tip = document.getElementById("tip");
let explained = null;

function explain(term) {
  explained = term;
  tip.textContent = term.dataset.tip;
  tip.showPopover();
  const at = term.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const below = at.bottom + 6 + size.height < innerHeight;
  tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
  tip.style.top = `${below ? at.bottom + 6 : at.top - size.height - 6}px`;
  term.setAttribute("aria-describedby", "tip");
}

function forget() {
  explained?.removeAttribute("aria-describedby");
  explained = null;
  if (tip.matches(":popover-open")) tip.hidePopover();
}

for (const [kind, act] of [["mouseover", explain], ["focusin", explain], ["click", explain]]) {
  document.addEventListener(kind, (event) => {
    const term = event.target.closest?.("[data-tip]");
    if (term && term !== explained) act(term);
    else if (!term && kind === "mouseover" && explained && document.activeElement !== explained) forget();
  });
}
document.addEventListener("focusout", forget);
document.addEventListener("scroll", forget, { passive: true, capture: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && forget());

// What was said on the page before.
for (const text of JSON.parse(sessionStorage.getItem("finml-said") ?? "[]")) toast(text);
sessionStorage.removeItem("finml-said");
