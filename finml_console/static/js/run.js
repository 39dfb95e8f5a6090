// A run's page, live: goes on from what the server rendered. All events are read from the first one on, for the curves and the list; what is
// older than the page changes none of its figures.

import { draw } from "./charts.js";
import { begin, curve, described, duration, ENDED, figure, hear, labelOf, line, news, newestOf, secondsLeft } from "./course.js";

const TONES = { succeeded: "good", failed: "bad", running: "accent", starting: "accent", cancelled: "warn", cancelling: "warn" };
const LINES = 400;

const live = document.getElementById("live");
const part = (id) => document.getElementById(id);
const rendered = Number(live.dataset.last);
const course = begin();
// The bar does not fall while older events are read.
course.percentage = live.dataset.percentage === undefined ? null : Number(live.dataset.percentage);
let said = { state: live.dataset.state, tenth: Math.floor((course.percentage ?? 0) / 10) };
let painted = null;
let shownFit = null;
let attempt = null;
const lines = [];

const source = new EventSource(live.dataset.events);
for (const kind of ["state", "step", "progress", "check", "asset", "message"]) source.addEventListener(kind, take);
source.addEventListener("open", () => connection(""));
source.addEventListener("error", () => {
  if (ENDED.has(course.state) || "ended" in live.dataset) source.close();
  else if (source.readyState === EventSource.CLOSED) connection("The live connection is refused. Load the page again to see how far the run is.");
  else connection("The connection broke; it is tried again. What is missed meanwhile is told then.");
});

function take(message) {
  const event = JSON.parse(message.data);
  if (!hear(course, event)) return;
  const text = line(event);
  if (text) lines.push({ ...text, at: event.at });
  if (event.kind === "state" && ENDED.has(event.state)) source.close();
  painted ??= requestAnimationFrame(paint);
}

function paint() {
  painted = null;
  list();
  curves();
  if (course.last > rendered) status();
}

function status() {
  const ended = ENDED.has(course.state);
  if (course.percentage !== null) {
    part("bar").value = course.percentage;
    part("percentage").textContent = `${Math.round(course.percentage)} %`;
  }
  const left = secondsLeft(course);
  const took = course.began === null ? "" : `took ${duration((course.at - course.began) / 1000)}`;
  part("eta").textContent = ended ? took : left === null ? "too early to tell how long" : `about ${duration(left)} left`;
  part("step").textContent = course.step ?? "–";
  if (part("steps")) part("steps").textContent = `${course.done.size} of ${part("steps").dataset.steps} done`;
  part("fit").textContent = course.fit ?? "–";
  if (part("epoch")) {
    part("epoch").textContent = course.epoch === null ? "–" : `${course.epoch} of at most ${course.epochs}`;
    part("loss").textContent = figure(course.loss);
    part("validation").textContent = figure(course.validation);
  }
  const told = news(said, course);
  if (course.state !== said.state) turn(ended);
  said = told.said;
  if (told.text) part("announce").textContent = told.text;
  if (part("search") && attempt !== course.fit) {
    attempt = course.fit;
    htmx.trigger("#search", "refresh");
  }
}

/** The run is in another state. */
function turn(ended) {
  const chip = document.createElement("span");
  chip.className = `chip ${TONES[course.state] ?? ""}`;
  chip.textContent = course.state;
  part("state").replaceChildren(chip);
  part("state").dataset.state = course.state;
  // Dagster ends no run that is about to start.
  part("cancel").hidden = course.state !== "queued" && course.state !== "running";
  if (!ended) return;
  live.dataset.ended = "";
  part("now").hidden = true;
  connection("");
  htmx.trigger("#outcome", "refresh");
  if (part("search")) htmx.trigger("#search", "refresh");
}

function connection(text) {
  part("connection").textContent = text;
  part("connection").hidden = text === "";
}

function list() {
  if (!lines.length) return;
  const log = part("log");
  for (const { mark, text, tone, at } of lines.splice(0).slice(-LINES)) {
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.dateTime = at;
    time.dataset.local = "1";
    time.title = at;
    time.textContent = new Date(at).toLocaleTimeString();
    const sign = document.createElement("span");
    sign.setAttribute("aria-hidden", "true");
    sign.className = tone;
    sign.textContent = mark;
    const words = document.createElement("span");
    words.className = tone;
    words.textContent = text;
    item.append(time, sign, words);
    log.append(item);
  }
  while (log.children.length > LINES) log.firstElementChild.remove();
  part("log-empty").hidden = true;
  follow();
}

function follow() {
  if (part("follow").checked) part("log").parentElement.scrollTop = part("log").parentElement.scrollHeight;
}
part("follow").addEventListener("change", follow);

function curves() {
  const which = part("which");
  if (!which || !course.fits.size) return;
  const known = new Set([...which.options].map((option) => option.value));
  for (const fit of course.fits.keys()) if (!known.has(fit)) which.append(new Option(labelOf(fit, live.dataset.pair), fit));
  const newest = newestOf(course, live.dataset.pair);
  which.options[0].textContent = `newest: ${labelOf(newest, live.dataset.pair)}`;
  const fit = which.value || newest;
  const data = curve(course, fit);
  // What is fitted at once has a point and no curve.
  if (!data || (data.x.length < 2 && !which.value)) return;
  part("curves").hidden = false;
  const box = part("curves").querySelector("figure");
  const points = `${fit} ${JSON.stringify(data)}`;
  if (points === shownFit) return;
  shownFit = points;
  draw(box, data);
  box.querySelector(".plot").setAttribute("aria-label", described(fit, data));
}
part("which")?.addEventListener("change", curves);
