// Parts of a page that look again by themselves: not while the tab is hidden, and at once when it is shown again.

document.addEventListener("htmx:before:request", (event) => {
  const { sourceElement, sourceEvent } = event.detail.ctx;
  if (document.hidden && sourceEvent?.type === "every" && "watches" in sourceElement.dataset) event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const part of document.querySelectorAll("[data-watches]")) htmx.trigger(part, "every", {}, false);
});
