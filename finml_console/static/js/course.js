// A run as its events tell it: events in, figures, curves and lines out. No document and no clock, so that it can be tried anywhere.

export const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const CHANGES = { started: "began", succeeded: "is done", failed: "failed", skipped: "was left out", retried: "failed and is tried again" };
const OLDER = 3;
const MARKS = { started: "·", succeeded: "✓", failed: "✗", skipped: "–", retried: "↻" };

/** A run before its first event. */
export function begin() {
  return {
    last: 0, state: null, percentage: null, step: null, fit: null, epoch: null, epochs: null, loss: null, validation: null,
    began: null, at: null, done: new Set(), fits: new Map(), newest: null,
  };
}

/** Take an event; returns false for one that was heard before, as after a connection that broke. */
export function hear(course, event) {
  if (event.id <= course.last) return false;
  course.last = event.id;
  course.at = Date.parse(event.at);
  course.state = event.state;
  if (event.percentage != null) course.percentage = Math.max(course.percentage ?? 0, event.percentage);
  if (event.kind === "state") {
    if (event.state === "running") course.began = course.at;
    if (ENDED.has(event.state)) course.step = null;
  } else if (event.kind === "step" && event.change === "started") {
    course.step = event.step ?? null;
    course.fit = course.epoch = course.epochs = course.loss = course.validation = null;
  } else if (event.kind === "step" && (event.change === "succeeded" || event.change === "skipped")) {
    course.done.add(event.step);
  } else if (event.kind === "progress") {
    progress(course, event);
  }
  return true;
}

function progress(course, event) {
  if (event.fit !== course.fit) course.loss = course.validation = null;
  course.fit = event.fit;
  course.epoch = event.epoch ?? null;
  course.epochs = event.epochs ?? null;
  course.loss = event.loss ?? course.loss;
  course.validation = event.validation ?? course.validation;
  // A fit that begins anew, because its step is tried again, has a new curve.
  if (event.epoch == null) course.fits.delete(event.fit);
  if (event.epoch == null || event.loss == null) return;
  if (!course.fits.has(event.fit)) course.fits.set(event.fit, new Map());
  const before = course.fits.get(event.fit).get(event.epoch);
  course.fits.get(event.fit).set(event.epoch, { loss: event.loss, validation: event.validation ?? before?.validation ?? null });
  course.newest = event.fit;
}

/** The pair that a fit is of: the first word of its label. */
export const pairOf = (fit) => fit.split(" ")[0];

/** A fit's label; those of the run's own pair do without its name. */
export const labelOf = (fit, pair) => (pairOf(fit) === pair ? fit.slice(pair.length + 1) : fit);

/** The newest fit of a pair, or of any where that told none yet. */
export function newestOf(course, pair) {
  return [...course.fits.keys()].filter((fit) => pairOf(fit) === pair).at(-1) ?? course.newest;
}

/** A fit's curve as js/charts.js draws it, with the fits of the same pair before it faint behind it; null for a fit that told no epoch. */
export function curve(course, fit) {
  const points = course.fits.get(fit);
  if (!points) return null;
  const fits = [...course.fits.keys()];
  const before = fits.slice(0, fits.indexOf(fit)).filter((other) => pairOf(other) === pairOf(fit)).slice(-OLDER);
  const epochs = [...new Set([...before, fit].flatMap((name) => [...course.fits.get(name).keys()]))].sort((one, other) => one - other);
  const values = (name, figure) => epochs.map((epoch) => course.fits.get(name).get(epoch)?.[figure] ?? null);
  const series = [{ label: "training loss", tone: "accent", points: true, join: true, values: values(fit, "loss") }];
  const validation = values(fit, "validation");
  const validated = validation.some((value) => value !== null);
  if (validated) series.push({ label: "validation loss", tone: "warn", points: true, join: true, values: validation });
  for (const name of before) {
    const label = `${validated ? "validation" : "training"}, ${labelOf(name, pairOf(name))}`;
    series.push({ label, tone: "strong", join: true, values: values(name, validated ? "validation" : "loss") });
  }
  return { x: epochs, x_label: "epoch", whole: true, series };
}

/** A curve in words, for those who do not see it. */
export function described(fit, data) {
  const newest = data.series.filter((series) => series.points).map((series) => {
    const values = series.values.filter((value) => value !== null);
    return `${series.label} from ${figure(values[0])} to ${figure(values.at(-1))}`;
  });
  return `${fit}: ${newest.join(", ")}, after epoch ${data.x.at(-1)}`;
}

/** Seconds to the end by the pace so far, null while it is too early to tell. */
export function secondsLeft(course) {
  if (ENDED.has(course.state) || course.began === null || (course.percentage ?? 0) < 1) return null;
  return (((course.at - course.began) / 1000) * (100 - course.percentage)) / course.percentage;
}

/** A line of the list of events, or null for what it does not show. */
export function line(event) {
  const tone = event.kind === "message" || event.change === "failed" || event.state === "failed" ? "bad" : "";
  switch (event.kind) {
    case "state":
      return { mark: "■", text: event.message ? `${event.state}: ${event.message}` : event.state, tone };
    case "step":
      return { mark: MARKS[event.change], text: `${event.step} ${CHANGES[event.change]}${event.message ? `: ${event.message}` : ""}`, tone: event.change === "failed" ? "bad" : "" };
    case "check":
      return { mark: event.passed ? "✓" : "✗", text: `check ${event.message} ${event.passed ? "passed" : "did not pass"}`, tone: event.passed ? "good" : "warn" };
    case "message":
      return { mark: "!", text: event.message, tone: "warn" };
    default:
      return null;
  }
}

/** What is worth saying aloud, with what was said: each state, and each tenth of the way. */
export function news(said, course) {
  const tenth = Math.floor((course.percentage ?? 0) / 10);
  if (course.state !== said.state) return { text: `The run is ${course.state}`, said: { state: course.state, tenth } };
  if (tenth > said.tenth) return { text: `${tenth * 10} percent`, said: { ...said, tenth } };
  return { text: null, said };
}

/** A number with four significant digits, as the server writes it. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude >= 7 || magnitude < -5) return value.toExponential(3);
  const digits = Math.max(3 - magnitude, 0);
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A duration in the two largest of its units. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  for (const [size, unit, smaller, name] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole >= size) return `${Math.floor(whole / size)} ${unit} ${Math.floor((whole % size) / smaller)} ${name}`;
  }
  return `${whole} s`;
}
