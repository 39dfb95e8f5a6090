// A run as its events tell it: events in, figures, curves and lines out. No document and no clock, so that it can be tried anywhere.

export const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const CHANGES = { started: "began", succeeded: "is done", failed: "failed", skipped: "was left out", retried: "failed and is tried again" };
const MARKS = { started: "·", succeeded: "✓", failed: "✗", skipped: "–", retried: "↻" };

/** A run before its first event. */
export function begin() {
  return {
    last: 0, state: null, percentage: null, step: null, fit: null, epoch: null, epochs: null, loss: null, validation: null,
    began: null, at: null, fits: new Map(), newest: null,
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

/** A fit's curve as js/charts.js draws it; null for a fit that told no epoch. */
export function curve(course, fit = course.newest) {
  const points = course.fits.get(fit);
  if (!points) return null;
  const epochs = [...points.keys()].sort((one, other) => one - other);
  const series = [{ label: "training loss", tone: "accent", points: true, values: epochs.map((epoch) => points.get(epoch).loss) }];
  const validation = epochs.map((epoch) => points.get(epoch).validation);
  if (validation.some((value) => value !== null)) series.push({ label: "validation loss", tone: "warn", points: true, join: true, values: validation });
  return { x: epochs, x_label: "epoch", series };
}

/** A curve in words, for those who do not see it. */
export function described(fit, data) {
  const newest = data.series.map((series) => {
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

/** A number with four significant digits. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e7 || size < 1e-5 ? value.toExponential(3) : Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 9 });
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
