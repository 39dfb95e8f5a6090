// Charts by uPlot. `<figure class="chart">` holds `<div class="plot">` and its data as JSON:
// {"x": […], "time": true, "unit": "ms", "log": false, "range": [0, 100], "series": [{"label": "p50", "values": […], "tone": "accent", "points": false, "dash": false}],
//  "bands": [{"low": 1, "high": 2, "tone": "accent"}], "marks": [{"at": 3.2, "label": "promoted"}]}.
// "stack": true puts each series on top of those before it, "days": true says that times are dates, "whole": true that x counts, as epochs do.
// "shades": [{"from": 1, "to": 2, "tone": "bad"}] colours the ground behind a part of the time.
// Times are seconds since 1970; null is a gap. Tones are names of the stylesheet's colours.

const HEIGHT = 220;
const STACKED = 0.55;
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000];
const drawn = new Map();

/** The data that a plot shows now. */
function of(plot) {
  return [...drawn.values()].find((one) => one.plot === plot).data;
}

function colour(tone, alpha = 1) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${tone})`;
  document.body.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g);
  probe.remove();
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

function short(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(2) : Number(value.toPrecision(4)).toLocaleString("en");
}

/** The values that are drawn: as they are, or each on top of the series before it. */
function heights(data) {
  const below = data.x.map(() => 0);
  return data.series.map(({ values }) => (data.stack ? values.map((value, i) => (below[i] += value ?? 0)) : values));
}

function options(data, width) {
  const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "12px system-ui" };
  const unit = data.unit ? ` ${data.unit}` : "";
  return {
    width,
    height: data.height ?? HEIGHT,
    // A date is the same day everywhere.
    ...(data.days && { tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC") }),
    scales: { x: { time: data.time ?? false }, y: { distr: data.log ? 3 : 1, ...(data.range && { range: data.range }) } },
    axes: [data.whole ? { ...axis, incrs: WHOLE } : axis, { ...axis, size: 64, values: (_plot, splits) => splits.map((value) => (value === null ? "" : short(value))) }],
    series: [
      { label: data.x_label ?? (data.days ? "date" : data.time ? "time" : "x"), ...(data.days && { value: "{YYYY}-{MM}-{DD}" }) },
      ...data.series.map((series, number) => ({
        label: series.label,
        stroke: series.points === "only" ? undefined : colour(series.tone ?? "accent"),
        width: 1.5,
        dash: series.dash ? [5, 4] : undefined,
        points: { show: Boolean(series.points), size: 6, stroke: colour(series.tone ?? "accent"), fill: colour(series.tone ?? "accent") },
        spanGaps: series.join ?? false,
        fill: data.stack && number === 0 ? colour(series.tone ?? "accent", STACKED) : undefined,
        value: (plot, value, _series, at) => {
          const told = data.stack && (at ?? null) !== null ? of(plot).series[number].values[at] : value;
          return short(told) + ((told ?? null) === null ? "" : unit);
        },
      })),
    ],
    bands: data.stack
      ? data.series.slice(1).map((series, i) => ({ series: [i + 2, i + 1], fill: colour(series.tone ?? "accent", STACKED) }))
      : (data.bands ?? []).map((band) => ({ series: [band.high, band.low], fill: colour(band.tone ?? "accent", 0.15) })),
    hooks: { drawClear: [(plot) => drawShades(plot, data.shades ?? [])], draw: [(plot) => drawMarks(plot, data.marks ?? [])] },
    cursor: { focus: { prox: 24 } },
  };
}

function drawShades(plot, shades) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const shade of shades) {
    const [from, to] = [plot.valToPos(shade.from, "x", true), plot.valToPos(shade.to, "x", true)];
    ctx.fillStyle = colour(shade.tone, 0.18);
    ctx.fillRect(from, bbox.top, Math.max(to - from, 1), bbox.height);
  }
  ctx.restore();
}

function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("warn");
  ctx.font = `${11 * devicePixelRatio}px system-ui`;
  for (const mark of marks) {
    const at = plot.valToPos(mark.at, "x", true);
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(mark.label, at + 4, bbox.top + 12 * devicePixelRatio);
  }
  ctx.restore();
}

const textOf = (figure) => figure.querySelector('script[type="application/json"]')?.textContent;

/** Draw a figure, or draw it again with other data. */
export function draw(figure, data = JSON.parse(textOf(figure))) {
  const box = figure.querySelector(".plot");
  const columns = [data.x, ...heights(data)];
  const before = drawn.get(figure);
  const shape = JSON.stringify({ ...data, x: null, series: data.series.map((series) => ({ ...series, values: null })) });
  if (before?.shape === shape) {
    before.data = data;
    before.text = textOf(figure);
    before.plot.setData(columns);
    return;
  }
  before?.plot.destroy();
  box.replaceChildren();
  const plot = new uPlot(options(data, box.clientWidth || 600), columns, box);
  drawn.set(figure, { plot, data, shape, text: textOf(figure) });
}

/** Draw every figure of a part of the page that carries its data. */
export function drawAll(root = document) {
  for (const figure of root.querySelectorAll("figure.chart:has(script)")) draw(figure);
}

function again() {
  // A copy: what is drawn again joins the map, and would be visited without end.
  for (const [figure, { plot, data }] of [...drawn]) {
    plot.destroy();
    drawn.delete(figure);
    if (figure.isConnected) draw(figure, data);
  }
}

let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) again();
  width = innerWidth;
});
document.addEventListener("finml:theme", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
document.addEventListener("htmx:after:swap", () => {
  for (const [figure, { plot }] of drawn) {
    if (figure.isConnected) continue;
    plot.destroy();
    drawn.delete(figure);
  }
  for (const figure of document.querySelectorAll("figure.chart:has(script)")) if (drawn.get(figure)?.text !== textOf(figure)) draw(figure);
});
drawAll();
