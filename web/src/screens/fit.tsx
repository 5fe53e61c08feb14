/** Fit data: points and curve left, the landscape of two parameters right; drag either and both move. */

import { signal, type Signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useApp, type App } from "../app";
import { spread } from "../curve";
import { Badge, Screen, Trouble } from "../frame";
import type { Frame } from "../frames";
import { known, num, prose } from "../numbers";
import { pyNumber } from "../one";
import type { Drawn } from "../paths";
import { Axes, Handle, MARGINS, Picture, scale, type Scale } from "../plane";
import { Above, PlaneAxes, Under, usePlane, type Plane } from "./landscape";

interface CurveAnswer { p: number[]; value: number; xs: number[]; curve: number[]; slopes: Float64Array; pulls: Float64Array | null; n: number }

export function FitScreen() {
  const app = useApp();
  const plane = usePlane("fit");
  const [data] = useState(() => signal<Frame | null>(null));
  const [curve] = useState(() => signal<CurveAnswer | null>(null));
  const [point] = useState(() => signal<number | null>(null));
  const [handleAt] = useState(() => signal<number | null>(null));
  const [over] = useState(() => signal(false));
  const fit = JSON.stringify(app.fit.value);
  const p = app.place.value;
  const d = app.described.value;
  useEffect(() => {
    data.value = null;
    point.value = null;
    app.ask("fit data", { ask: "fit data", fit: app.fit.peek() }, (frame) => {
      if (!app.trouble("fit data", frame.header)) data.value = frame;
    });
  }, [fit]);
  useEffect(() => {
    if (!d) return;
    app.ask("fit curve", { ask: "fit curve", fit: app.fit.peek(), p }, (frame) => {
      if (app.trouble("fit curve", frame.header)) return;
      const { xs, curve: c, slopes, pulls } = frame.arrays;
      curve.value = { p: frame.header.p, value: frame.header.value ?? NaN, xs: [...xs], curve: [...c], slopes: slopes as Float64Array, pulls: (pulls as Float64Array) ?? null, n: p.length };
    });
  }, [p.join(), d, fit]);
  const h = data.value?.header;
  const now = curve.value;
  const exact = !!now && now.p.join() === p.join();
  const path: Drawn[] = data.value ? [{ key: "walk", name: "walk", line: "", style: 5, note: "", evaluations: [], f: Array.from(data.value.arrays.f), x: Array.from(data.value.arrays.f).map((_, k) => { const n = data.value!.shapes.path[1]; return [data.value!.arrays.path[k * n + plane.axes[0]], data.value!.arrays.path[k * n + plane.axes[1]]]; }) }] : [];
  return (
    <Screen
      name="fit" title="Fit a curve to data" say={() => sayIt(app, h)}
      picture={
        <div class={over.value ? "two drop-here" : "two"} onDragOver={(e) => { e.preventDefault(); over.value = true; }} onDragLeave={() => (over.value = false)}
          onDrop={(e) => { e.preventDefault(); over.value = false; const file = e.dataTransfer?.files[0]; if (file) take(app, file); }}>
          <Picture label="data and curve" class="tall">{(size) => data.value && <Data app={app} plane={plane} data={data.value} now={now} point={point} handleAt={handleAt} {...size} />}</Picture>
          {(d?.n ?? 0) >= 2 && <Picture label="the squares over two parameters" class="tall" under={(size) => <Under plane={plane} {...size} />}>
            {(size) => <Above plane={plane} paths={path} {...size}>{(sx, sy) => <Pull now={now} point={point.value} p={p} axes={plane.axes} sx={sx} sy={sy} />}</Above>}
          </Picture>}
        </div>
      }
      panel={<>
        <dl class="bigs pair">
          {d?.names.slice(0, 8).map((name, k) => (
            <div class="big"><dt>{name}</dt><dd><span class="number">{num(p[k])}</span>{h && <span class="unit">best {known(h.x[k], h.errors?.[k])}{h.errors && <> ± {num(h.errors[k], 2)}</>}</span>}</dd></div>
          ))}
          <div class="big"><dt>sum of squares</dt><dd><span class="number">{now ? num(guess(now, p, data.value)) : "…"}</span><Badge exact={exact} /></dd></div>
        </dl>
        {h && <div class="row">
          <button class="primary" onClick={() => app.set({ x: h.x.join(",") }, true)}>to the best</button>
          <button onClick={() => app.set({ x: h.start.join(",") }, true)}>to the start</button>
        </div>}
        {h && <section class={h.is_minimum ? "verdict yes" : "verdict"} aria-label="verdict"><h2><span aria-hidden="true">{h.is_minimum ? "✓" : "◌"}</span> {h.verdict}</h2><p>{prose(h.sentence)}</p></section>}
        {point.value !== null && data.value && <p class="soft">Point {point.value + 1}: {h!.variable} {num(data.value.arrays.x[point.value])}, measured {num(data.value.arrays.y[point.value])}. The arrow on the landscape is its pull.</p>}
        {d && d.n > 2 && <PlaneAxes app={app} />}
        {d && d.n > 2 && <p class="soft">The landscape holds {d.names.map((name, k) => (plane.axes.includes(k) ? "" : `${name} at ${num(p[k])}`)).filter(Boolean).join(", ")}.</p>}
        <label class="field file">your points <input type="file" accept=".csv,.txt,.tsv,text/csv" onChange={(e) => { const file = e.currentTarget.files?.[0]; if (file) take(app, file); }} /></label>
        <p class="soft">or drop a CSV of up to 20,000 points anywhere on the picture; it stays on this machine. Drag the curve, or the cross on the landscape.</p>
        <Trouble />
      </>}
    />
  );
}

function sayIt(app: App, h: Record<string, any> | undefined): string {
  if (!h) return "import steepest as st";
  const start = `{${h.names.map((name: string, k: number) => `${JSON.stringify(name)}: ${pyNumber(h.start[k])}`).join(", ")}}`;
  const file = app.hello.value.fit?.name;
  const table = app.param("table") ? "your points.csv" : file;
  const before = table ? "import steepest as st\n" : "import steepest as st\nfrom steepest.explorer.fitting import EXAMPLE\n";
  const data = table ? JSON.stringify(table) : "EXAMPLE";
  return `${before}print(st.fit(${JSON.stringify(h.model)}, ${JSON.stringify(h.column)}, ${JSON.stringify(h.measured)}, ${start}, data=${data}))`;
}

/** The sum of squares at p, from the curve's own first order between two answers. */
function guess(now: CurveAnswer, p: number[], data: Frame | null): number {
  if (now.p.join() === p.join() || !data) return now.value;
  let sum = 0;
  for (let k = 0; k < data.arrays.x.length; k++) {
    const at = heightAt(now, p, data.arrays.x[k]);
    sum += (data.arrays.y[k] - at) ** 2;
  }
  return sum;
}

/** The curve at p: its values, and to first order how it moved since Python drew it. */
function moved(now: CurveAnswer, p: number[]): number[] {
  if (now.p.join() === p.join() || now.n !== p.length) return now.curve;
  return now.curve.map((v, i) => p.reduce((sum, value, k) => sum + now.slopes[i * now.n + k] * (value - now.p[k]), v));
}

function heightAt(now: CurveAnswer, p: number[], x: number): number {
  const { xs } = now;
  const u = ((x - xs[0]) / (xs[xs.length - 1] - xs[0])) * (xs.length - 1);
  const i = Math.min(Math.max(Math.floor(u), 0), xs.length - 2);
  const c = moved(now, p);
  return c[i] + (u - i) * (c[i + 1] - c[i]);
}

function Data({ app, plane, data, now, point, handleAt, width, height }: {
  app: App; plane: Plane; data: Frame; now: CurveAnswer | null; point: Signal<number | null>; handleAt: Signal<number | null>; width: number; height: number;
}) {
  const clip = useId();
  const { x, y } = data.arrays;
  const p = app.place.value;
  const xs = Array.from(x);
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  const pad = 0.04 * (high - low || 1);
  const c = now && moved(now, p);
  const range = spread(Array.from(y));
  // The curve as it was first drawn is in the picture, as long as that leaves the points a third of it; dragged, it moves
  // and the picture does not.
  const begun = useRef<{ of: Frame; ends: [number, number] } | null>(null);
  if (c && begun.current?.of !== data) {
    const seen = c.filter(Number.isFinite);
    begun.current = { of: data, ends: seen.length ? [Math.min(...seen), Math.max(...seen)] : range };
  }
  const extent = range[1] - range[0];
  const ends = begun.current?.ends ?? range;
  range[0] = Math.min(range[0], Math.max(ends[0], range[0] - extent));
  range[1] = Math.max(range[1], Math.min(ends[1], range[1] + extent));
  const room = 0.12 * (range[1] - range[0]);
  const sx = scale([low - pad, high + pad], MARGINS.left, width - MARGINS.right);
  const sy = scale([range[0] - room, range[1] + room], height - MARGINS.bottom, MARGINS.top);
  const at = handleAt.value ?? low + 0.3 * (high - low);
  const top = now ? heightAt(now, p, at) : NaN;
  const pull = (to: number) => {
    const size = app.described.peek()?.n ?? 0;
    app.ask("fit pull", { ask: "fit pull", fit: app.fit.peek(), p: app.place.peek(), at, to, ...(size > 1 ? { axes: plane.axes } : {}) }, ({ header }) => {
      if (!header.error) app.set({ x: header.p.map((v: number) => Number(v.toPrecision(6))).join(",") });
    });
  };
  const few = x.length <= 400;
  return (
    <>
      <Axes sx={sx} sy={sy} width={width} height={height} x={data.header.variable} y="measured" />
      <clipPath id={clip}><rect x={MARGINS.left} y={0} width={width - MARGINS.left - MARGINS.right} height={height - MARGINS.bottom} /></clipPath>
      <g clip-path={`url(#${clip})`}>
        {c && few && xs.map((v, k) => <line class="residual" aria-hidden="true" x1={sx(v)} x2={sx(v)} y1={sy(y[k])} y2={sy(heightAt(now!, p, v))} />)}
        {c && <path class="curve" aria-hidden="true" d={c.map((v, k) => (Number.isFinite(v) ? `${k && Number.isFinite(c[k - 1]) ? "L" : "M"}${sx(now!.xs[k]).toFixed(1)},${Math.min(Math.max(sy(v), -9999), 9999).toFixed(1)}` : "")).join("")} />}
        {xs.map((v, k) => <circle class={point.value === k ? "datum chosen" : "datum"} cx={sx(v)} cy={sy(y[k])} r={few ? 4 : 2} onClick={() => (point.value = point.value === k ? null : k)} aria-hidden="true" />)}
      </g>
      {Number.isFinite(top) && (
        <Handle
          label="the curve: up and down bend it, left and right move along it" cx={sx(at)} cy={Math.min(Math.max(sy(top), 4), height - MARGINS.bottom)}
          value={top} low={sy.domain[0]} high={sy.domain[1]} text={`curve at ${data.header.variable} ${num(at, 3)}: ${num(top)}, squares ${num(guess(now!, p, data), 3)}`}
          onPixel={(px, py) => { if (Math.abs(px - sx(at)) > 60) handleAt.value = Math.min(Math.max(sx.back(px), low), high); else pull(sy.back(py)); }}
          onStep={(right, up) => { if (right) handleAt.value = Math.min(Math.max(at + (right * (high - low)) / 50, low), high); else pull(top + (up * (sy.domain[1] - sy.domain[0])) / 100); }}
        />
      )}
      {few && x.length > 0 && (
        <foreignObject x={width - 190} y={6} width={180} height={36}>
          <label class="field">point <input type="number" aria-label="point whose pull is shown" min={1} max={x.length} value={point.value === null ? "" : point.value + 1} onInput={(e) => { const k = Number(e.currentTarget.value) - 1; point.value = k >= 0 && k < x.length ? k : null; }} /></label>
        </foreignObject>
      )}
    </>
  );
}

/** Which way one point would move the parameters, and how hard beside the others. */
function Pull({ now, point, p, axes, sx, sy }: { now: CurveAnswer | null; point: number | null; p: number[]; axes: [number, number]; sx: Scale; sy: Scale }) {
  if (!now?.pulls || point === null) return null;
  const n = now.n;
  // On the map a pull is a direction in units of the window, as the eye sees it.
  const pixel = (k: number): [number, number] => {
    const gx = now.pulls![k * n + axes[0]];
    const gy = now.pulls![k * n + axes[1]];
    const [wx, wy] = [sx.domain[1] - sx.domain[0], sy.domain[1] - sy.domain[0]];
    return [gx * wx, -gy * wy];
  };
  let most = 0;
  for (let k = 0; k * n < now.pulls.length; k++) most = Math.max(most, Math.hypot(...pixel(k)));
  const [vx, vy] = pixel(point);
  const size = (Math.hypot(vx, vy) / (most || 1)) * 110;
  if (!(size > 2)) return null;
  const angle = Math.atan2(vy, vx);
  const [x, y] = [sx(p[axes[0]]), sy(p[axes[1]])];
  const [ex, ey] = [x + Math.cos(angle) * size, y + Math.sin(angle) * size];
  return (
    <g class="arrows" aria-hidden="true">
      <line x1={x} y1={y} x2={ex} y2={ey} />
      <path d="M2,0L-9,-5L-9,5Z" transform={`translate(${ex},${ey}) rotate(${(angle * 180) / Math.PI})`} />
    </g>
  );
}

/** A dropped table: numbers separated by commas, semicolons, tabs or blanks, with or without a heading. */
async function take(app: App, file: File): Promise<void> {
  const refuse = (message: string) => app.trouble("file", { error: { message, kind: "file" } });
  if (file.size > 2_000_000) return void refuse(`${file.name} is too large for a page: name it on the command line, steepest explore --fit MODEL ${file.name}`);
  const rows = (await file.text()).split(/\r?\n/).filter((line) => line.trim() && !line.startsWith("#")).map((line) => line.trim().split(/[,;\t]+|\s+/));
  const heading = rows[0]?.some((cell) => Number.isNaN(Number(cell)));
  const names = heading ? rows.shift()!.map((name) => name.replace(/^"|"$/g, "")) : rows[0]?.map((_, k) => (["x", "y"][k] ?? `column${k + 1}`));
  if (!names || rows.length > 20_000) return void refuse(`${file.name} has ${rows.length} rows; a page takes up to 20,000`);
  const columns: Record<string, number[]> = {};
  names.forEach((name, k) => {
    const values = rows.map((row) => Number(row[k]));
    if (values.every(Number.isFinite)) columns[name] = values;
  });
  const kept = Object.fromEntries(Object.entries(columns).slice(0, 20));
  if (Object.keys(kept).length < 2) return void refuse(`${file.name} has fewer than two columns of numbers`);
  app.ask("table", { ask: "table", points: kept }, ({ header }) => {
    if (app.trouble("file", header)) return;
    const variable = Object.keys(kept)[0];
    const model = app.params.peek().m ?? app.hello.peek().fit?.model ?? "a*exp(-b*t) + c";
    const fits = new RegExp(`\\b${variable.replace(/[^A-Za-z0-9_]/g, "")}\\b`).test(model);
    app.set({ table: header.key, m: fits ? model : `a*${variable} + b`, x: undefined, axes: undefined, window: undefined }, true);
  });
}
