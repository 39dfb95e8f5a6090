// The page of the market's state: a date is chosen on the picture of an embedding, a model in the browser.

const TRAIL = 20;

/** Show a date of the picture: the ring on its point, the path of the sessions that led there, and what is known of it in words. */
function point(slider) {
  const figure = slider.closest("figure");
  const { x, y, dates, regimes, names } = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const at = Number(slider.value);
  const from = Math.max(0, at - TRAIL + 1);
  const path = x.slice(from, at + 1).map((across, i) => `${across},${y[from + i]}`);
  figure.querySelector(".trail").setAttribute("points", path.join(" "));
  const ring = figure.querySelector(".here");
  ring.setAttribute("cx", x[at]);
  ring.setAttribute("cy", y[at]);
  const said = [dates[at], names[regimes[at]]].filter(Boolean).join(", ");
  figure.querySelector("output").textContent = said;
  slider.setAttribute("aria-valuetext", said);
}

/** Leave those cards that hold every word of the search. */
function narrow(search) {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const list = document.getElementById(search.dataset.narrows);
  let shown = 0;
  for (const card of list.children) {
    card.hidden = !words.every((word) => card.dataset.text.includes(word));
    shown += card.hidden ? 0 : 1;
  }
  document.querySelector(`[data-told="${list.id}"]`).textContent = shown ? `${shown} shown` : "None fits; search for something else";
}

document.addEventListener("input", (event) => {
  if (event.target.matches(".map input[type=range]")) point(event.target);
  if (event.target.matches("[data-narrows]")) narrow(event.target);
});

// A click on the picture takes the date nearest to it.
document.addEventListener("click", (event) => {
  const picture = event.target.closest?.(".map svg");
  const slider = picture?.closest("figure").querySelector("input[type=range]");
  if (!slider) return;
  const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
  const { x, y } = JSON.parse(picture.closest("figure").querySelector('script[type="application/json"]').textContent);
  const far = x.map((across, i) => (across - place.x) ** 2 + (y[i] - place.y) ** 2);
  slider.value = far.indexOf(Math.min(...far));
  point(slider);
});

// In the browser arrows go from card to card, Enter in the search takes the first.
document.addEventListener("keydown", (event) => {
  const dialog = event.target.closest?.("dialog.browser");
  if (!dialog) return;
  const links = [...dialog.querySelectorAll(".card:not([hidden]) a.cover")];
  const at = links.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    const next = links[at + step];
    (next ?? (at + step < 0 ? dialog.querySelector("input[type=search]") : null))?.focus();
  } else if (event.key === "Enter" && event.target.matches("input[type=search]")) {
    event.preventDefault();
    links[0]?.click();
  }
});
