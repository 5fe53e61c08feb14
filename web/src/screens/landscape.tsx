/** Landscape: two parameters seen from above, and the ways that different methods take down from one start. */

import { effect, signal, useComputed, type Signal } from "@preact/signals";
import { useEffect, useId, useState } from "preact/hooks";
import { useApp, type App } from "../app";
import { Contours, heightsOf, type Heights } from "../contour";
import { Badge, Screen, Trouble } from "../frame";
import type { Frame } from "../frames";
import { num, power, round } from "../numbers";
import { costInPython, placeInPython, pyNumber } from "../one";
import { Convergence, PathLine, Swatch, type Drawn } from "../paths";
import { Axes, Handle, Picture, scale, usePanZoom, type Margins, type Scale } from "../plane";
import { RateStrip } from "../strip";
import { Surface } from "../surface";
import type { Walks } from "../walks";
import { useWalks } from "./walk";

export const PLANE: Margins = { left: 52, right: 14, top: 12, bottom: 26 };
/** Steps of the methods with a rate that are drawn. */
const DRAWN = 200;
const SHOWN_FIRST = "descent,heavy,adam,BFGS,Newton";

export type Window4 = [number, number, number, number];

/** Window and heights of the plane of two parameters. */
export class Plane {
  readonly heights: Signal<Heights | null> = signal(null);
  readonly auto: Signal<Window4 | null> = signal(null);
  constructor(readonly app: App, readonly lane: string) {}

  get axes(): [number, number] {
    const given = (this.app.param("axes") ?? "0,1").split(",").map(Number);
    const n = this.app.described.value?.n ?? 2;
    return given.length === 2 && given.every((k) => k >= 0 && k < n) && given[0] !== given[1] ? [given[0], given[1]] : [0, 1];
  }

  get window(): Window4 | null {
    const given = (this.app.param("window") ?? "").split(",").map(Number);
    if (given.length === 4 && given[0] < given[1] && given[2] < given[3]) return given as Window4;
    return this.auto.value;
  }

  look(): void {
    const { app } = this;
    if (!app.described.value || app.described.value.n < 2) return;
    app.ask(`${this.lane} window`, { ask: "window", of: app.about.peek(), x: app.place.peek(), axes: this.axes }, ({ header }) => {
      if (!app.trouble(`${this.lane} window`, header)) this.auto.value = header.window;
    });
  }

  grid(): void {
    const { app, window } = this;
    if (!window || !app.described.value) return;
    app.ask(`${this.lane} grid`, { ask: "grid", of: app.about.peek(), x: app.place.peek(), axes: this.axes, window, size: [161, 161] }, (frame) => {
      if (!app.trouble(`${this.lane} grid`, frame.header)) this.heights.value = heightsOf(frame);
    });
  }

  view(window: Window4): void {
    this.app.set({ window: window.map((v) => Number(v.toPrecision(6))).join(",") });
  }
}

export function usePlane(lane: string): Plane {
  const app = useApp();
  const [plane] = useState(() => new Plane(app, lane));
  const d = app.described.value;
  const about = JSON.stringify(app.about.value);
  useEffect(() => {
    plane.auto.value = null;
    plane.heights.value = null;
    plane.look();
  }, [about, d, app.param("axes")]);
  const others = useComputed(() => app.place.value.filter((_, k) => !plane.axes.includes(k)).join());
  useEffect(() => plane.grid(), [plane.window?.join(), others.value, d]);
  return plane;
}

export function LandscapeScreen() {
  const app = useApp();
  const plane = usePlane("landscape");
  const walks = useWalks(app, "landscape");
  const own = useOwn(app);
  const [by] = useState(() => signal<"steps" | "evaluations">("steps"));
  const [looked] = useState(() => signal<{ key: string; step: number } | null>(null));
  const d = app.described.value;
  const w = walks.value;
  if (d && d.n < 2) return <OneOnly />;
  const on = new Set((app.param("on") ?? SHOWN_FIRST).split(","));
  const rate = w ? (app.param("rate") !== undefined ? w.nearest(Number(app.param("rate"))) : w.nearest(1 / w.curvature)) : 0;
  const all = drawnPaths(w, rate, own.value, plane.axes);
  const shown = all.filter(({ key }) => on.has(key));
  const first = shown.find(({ key }) => key === app.param("method")) ?? shown[0];
  const dark = app.dark.value;
  return (
    <Screen
      name="landscape"
      title="A landscape of two parameters"
      say={() => sayIt(app, first, w, rate)}
      picture={<>
        <Picture label="the cost over two parameters" class="tall" under={(size) => <Under plane={plane} {...size} />}>
          {(size) => <Above plane={plane} paths={shown} looked={looked} {...size} />}
        </Picture>
        {app.param("surface") === "1" && plane.heights.value && <Surface heights={plane.heights.value} paths={shown} />}
        <Convergence paths={shown} by={by.value} dark={dark} />
        {w && <RateStrip walks={w} method={0} rate={rate} choose={(k) => app.set({ rate: String(w.rates[k]) })} />}
      </>}
      panel={<>
        <Place app={app} plane={plane} />
        <fieldset class="methods">
          <legend>methods</legend>
          {all.map((path) => (
            <label title={path.line}>
              <input type="checkbox" checked={on.has(path.key)} onChange={() => {
                on.has(path.key) ? on.delete(path.key) : on.add(path.key);
                app.set({ on: [...on].join(",") });
              }} />
              <Swatch style={path.style} dark={dark} />
              <span>{path.name}<small>{path.line}</small></span>
            </label>
          ))}
        </fieldset>
        {shown.some(({ note }) => note) && <ul class="notes">{shown.filter(({ note }) => note).map(({ name, note }) => <li><b>{name}</b>: {note}</li>)}</ul>}
        <Looked app={app} paths={shown} looked={looked} />
        <div class="row">
          <button aria-pressed={by.value === "evaluations"} onClick={() => (by.value = by.value === "steps" ? "evaluations" : "steps")}>against {by.value === "steps" ? "evaluations" : "steps"}</button>
          <button aria-pressed={app.param("surface") === "1"} onClick={() => app.set({ surface: app.param("surface") === "1" ? undefined : "1" })}>surface</button>
          <button class="quiet" onClick={() => { app.set({ window: undefined }); plane.look(); }}>whole window</button>
        </div>
        {d && d.n > 2 && <PlaneAxes app={app} />}
        <Trouble />
        {!app.still && <p class="next"><button class="link" onClick={() => app.go("found")}>What was found? →</button></p>}
      </>}
    />
  );
}

function OneOnly() {
  const app = useApp();
  return (
    <Screen name="landscape" title="Landscape" say={() => ""} picture={<p class="empty">This cost has one parameter: its landscape is a curve.</p>}
      panel={<>
        <button class="primary" onClick={() => app.go("slope")}>to the curve</button>
        <button onClick={() => app.look("(1-x)**2 + 100*(y-x**2)**2", "landscape", { x: "-1.2,1" })}>a cost of two: Rosenbrock’s valley</button>
      </>} />
  );
}

export function PlaneAxes({ app }: { app: App }) {
  const d = app.described.value!;
  const axes = (app.param("axes") ?? "0,1").split(",").map(Number);
  const choose = (which: number, k: number) => {
    const next = [...axes];
    next[which] = k;
    if (next[0] !== next[1]) app.set({ axes: next.join(","), window: undefined });
  };
  return (
    <div class="row">
      {[0, 1].map((which) => (
        <label class="field">{which ? "up" : "across"}
          <select value={String(axes[which])} onChange={(e) => choose(which, Number(e.currentTarget.value))}>
            {d.names.map((name, k) => <option value={String(k)} disabled={axes[1 - which] === k}>{name}</option>)}
          </select>
        </label>
      ))}
    </div>
  );
}


/** The heights, on a canvas under the picture. */
export function Under({ plane, width, height }: { plane: Plane; width: number; height: number }) {
  const view = plane.window;
  if (!view || !plane.heights.value) return null;
  return <Contours heights={plane.heights.value} view={view} width={width} height={height} margins={PLANE} />;
}

function useOwn(app: App): Signal<Frame | null> {
  const [own] = useState(() => signal<Frame | null>(null));
  useEffect(() => {
    let asked = "";
    return effect(() => {
      const key = JSON.stringify([app.about.value, app.place.value]);
      if ((app.described.value?.n ?? 0) < 2 || key === asked) return;
      asked = key;
      app.ask("landscape paths", { ask: "paths", of: app.about.peek(), x: app.place.peek() }, (frame) => {
        if (!frame.header.error) own.value = frame;
      });
    });
  }, []);
  return own;
}

function drawnPaths(w: Walks | null, rate: number, own: Frame | null, axes: [number, number]): Drawn[] {
  const out: Drawn[] = [];
  w?.methods.forEach((m, k) => {
    const end = Math.min(w.ended(k, rate), DRAWN);
    const x: [number, number][] = [];
    const f: number[] = [];
    for (let s = 0; s <= end; s++) {
      const place = w.place(k, rate, s);
      x.push([place[axes[0]], place[axes[1]]]);
      f.push(w.cost(k, rate, s));
    }
    const fate = w.fate(k, rate);
    const note = fate === "diverging" ? (w.ended(k, rate) < w.steps ? `diverged: the cost is not finite from step ${w.ended(k, rate) + 1} on` : "diverged: the cost grew past a million times its start") : "";
    out.push({ key: m.key, name: `${m.name}${m.momentum ? ` ${m.momentum}` : ""}`, line: m.line, style: k, x, f, evaluations: f.map((_, s) => s + 1), note });
  });
  own?.header.paths.forEach((info: { method: string; line: string }, k: number) => {
    const n = own.shapes[`x${k}`][1];
    const [xs, fs, es] = [own.arrays[`x${k}`], own.arrays[`f${k}`], own.arrays[`evaluations${k}`]];
    const f = Array.from(fs);
    out.push({ key: info.method, name: info.method, line: info.line, style: 5 + k, x: f.map((_, s) => [xs[s * n + axes[0]], xs[s * n + axes[1]]]), f, evaluations: Array.from(es), note: "" });
  });
  return out;
}

function sayIt(app: App, first: Drawn | undefined, w: Walks | null, rate: number): string {
  const { before, cost } = costInPython(app);
  const place = placeInPython(app, app.place.value);
  const head = place.startsWith("np.") ? `import numpy as np\n${before}` : before;
  if (!first || !w) return `${head}st.plots.descent(st.minimize(${cost}, ${place}))`;
  const m = w.methods.find(({ key }) => key === first.key);
  if (!m) return `${head}st.plots.descent(st.minimize(${cost}, ${place}, method=${JSON.stringify(first.name.toLowerCase())}))`;
  const momentum = m.key === "light" ? `, "momentum": ${m.momentum}` : "";
  return `${head}st.plots.descent(st.minimize(${cost}, ${place}, method=${JSON.stringify(m.name)}, options={"rate": ${pyNumber(w.rates[rate])}${momentum}, "maxiter": ${w.steps}}))`;
}

export function Above({ plane, paths, looked, width, height, children }: {
  plane: Plane; paths: Drawn[]; looked?: Signal<{ key: string; step: number } | null>; width: number; height: number; children?: (sx: Scale, sy: Scale) => any;
}) {
  const clip = useId();
  const app = useApp();
  const view = plane.window;
  if (!view) return <text x={width / 2} y={height / 2} text-anchor="middle" class="mark-label">looking …</text>;
  const sx = scale([view[0], view[1]], PLANE.left, width - PLANE.right);
  const sy = scale([view[2], view[3]], height - PLANE.bottom, PLANE.top);
  const names = app.described.value?.names ?? ["x", "y"];
  const pan = usePanZoomOf(plane, sx, sy);
  return (
    <>
      <rect class="ground" x={PLANE.left} y={PLANE.top} width={width - PLANE.left - PLANE.right} height={height - PLANE.top - PLANE.bottom} {...pan} />
      <Axes sx={sx} sy={sy} width={width} height={height} x={names[plane.axes[0]]} margins={PLANE} grid={false} />
      <text class="axes-name" x={PLANE.left + 8} y={PLANE.top + 18}>{names[plane.axes[1]]}</text>
      <clipPath id={clip}><rect x={PLANE.left} y={PLANE.top} width={width - PLANE.left - PLANE.right} height={height - PLANE.top - PLANE.bottom} /></clipPath>
      <g clip-path={`url(#${clip})`}>{paths.map((path, k) => <PathLine key={path.key} row={k} path={path} sx={sx} sy={sy} dark={app.dark.value} margins={PLANE} width={width} height={height} />)}</g>
      {looked && <Arrows looked={looked} paths={paths} sx={sx} sy={sy} axes={plane.axes} />}
      {children?.(sx, sy)}
      <PlaneHandle plane={plane} sx={sx} sy={sy} />
    </>
  );
}

function usePanZoomOf(plane: Plane, sx: Scale, sy: Scale) {
  return usePanZoom(
    () => { const w = plane.window!; return { x: [w[0], w[1]], y: [w[2], w[3]] }; },
    () => sx, () => sy,
    (x, y) => plane.view([x[0], x[1], y![0], y![1]]),
  );
}

function PlaneHandle({ plane, sx, sy }: { plane: Plane; sx: Scale; sy: Scale }) {
  const app = useApp();
  const [a, b] = plane.axes;
  const place = app.place.value;
  const names = app.described.value?.names ?? ["x", "y"];
  const [w0, w1, w2, w3] = plane.window!;
  const grain: [number, number] = [power((w1 - w0) / 400), power((w3 - w2) / 400)];
  const put = (x: number, y: number) => {
    const next = [...app.place.peek()];
    next[a] = round(Math.min(Math.max(x, w0), w1), grain[0]);
    next[b] = round(Math.min(Math.max(y, w2), w3), grain[1]);
    app.set({ x: next.join(",") });
  };
  const value = valueAt(plane.heights.value, place[a], place[b]);
  return (
    <Handle
      crosshair label={`start: ${names[a]} with left and right, ${names[b]} with up and down`} cx={sx(place[a])} cy={sy(place[b])}
      value={place[a]} low={Math.min(w0, place[a])} high={Math.max(w1, place[a])}
      text={`${names[a]} ${num(place[a])}, ${names[b]} ${num(place[b])}, cost about ${num(value, 3)}`}
      onPixel={(px, py) => put(sx.back(px), sy.back(py))}
      onStep={(right, up) => put(place[a] + right * power((w1 - w0) / 60), place[b] + up * power((w3 - w2) / 60))}
      onEnd={(which) => put(which === "low" ? w0 : w1, place[b])}
    />
  );
}

/** Height between the samples of the grid, bilinear. */
export function valueAt(h: Heights | null, x: number, y: number): number {
  if (!h) return NaN;
  const [l, r, b, t] = h.window;
  const c = ((x - l) / (r - l)) * (h.columns - 1);
  const w = ((y - b) / (t - b)) * (h.rows - 1);
  const [c0, r0] = [Math.min(Math.max(Math.floor(c), 0), h.columns - 2), Math.min(Math.max(Math.floor(w), 0), h.rows - 2)];
  const at = (i: number, k: number) => h.f[k * h.columns + i];
  const [u, v] = [c - c0, w - r0];
  return at(c0, r0) * (1 - u) * (1 - v) + at(c0 + 1, r0) * u * (1 - v) + at(c0, r0 + 1) * (1 - u) * v + at(c0 + 1, r0 + 1) * u * v;
}

function Place({ app, plane }: { app: App; plane: Plane }) {
  const [exact] = useState(() => signal<{ key: string; value: number; slope: number[] } | null>(null));
  const place = app.place.value;
  const key = JSON.stringify([app.about.value, place]);
  useEffect(() => {
    if (!app.described.value) return;
    app.ask("landscape point", { ask: "point", of: app.about.peek(), x: place }, ({ header }) => {
      if (!header.error) exact.value = { key, value: header.value ?? NaN, slope: header.slope };
    });
  }, [key, app.described.value]);
  const e = exact.value?.key === key ? exact.value : null;
  const names = app.described.value?.names ?? [];
  const heights = plane.heights.value;
  const [a, b] = plane.axes;
  // Of more than two parameters the samples are of one plane, which the place may have left.
  const [x, y] = [place[a], place[b]];
  const [left, right, bottom, top] = heights?.window ?? [NaN, NaN, NaN, NaN];
  const inside = !e && place.length === 2 && x >= left && x <= right && y >= bottom && y <= top;
  const between = inside ? valueAt(heights, x, y) : NaN;
  return (
    <dl class="bigs pair">
      {place.slice(0, 6).map((v, k) => (
        <div class="big"><dt>{names[k] ?? ""}</dt><dd><span class="number">{num(v)}</span>{e && <span class="unit"> slope {num(e.slope[k] ?? NaN, 3)}</span>}</dd></div>
      ))}
      <div class="big"><dt>cost at the start</dt><dd><span class="number">{e ? num(e.value) : inside ? num(between, 3) : "…"}</span>{(e || inside) && <Badge exact={!!e} />}</dd></div>
    </dl>
  );
}

interface ArrowsAnswer { x: number[]; value: number; gradient: number[]; newton: number[] | null; curvatures: number[] }
const arrows = signal<{ key: string; answer: ArrowsAnswer } | null>(null);

/** Step by step along one walk, with its arrows: for keys as for pointers. */
function Looked({ app, paths, looked }: { app: App; paths: Drawn[]; looked: Signal<{ key: string; step: number } | null> }) {
  const now = looked.value;
  const path = paths.find(({ key }) => key === now?.key) ?? paths[0];
  const step = Math.min(now?.step ?? 0, (path?.f.length ?? 1) - 1);
  useEffect(() => {
    if (!path || !now || (app.described.value?.n ?? 0) !== 2) return;
    const x = path.x[step];
    app.ask("landscape arrows", { ask: "arrows", of: app.about.peek(), x }, ({ header }) => {
      if (!header.error) arrows.value = { key: `${path.key} ${step}`, answer: header as unknown as ArrowsAnswer };
    });
  }, [path?.key, step, now !== null, app.param("x")]);
  if (!path) return null;
  return (
    <div class="looked">
      <div class="row">
        <label class="field">along
          <select value={path.key} onChange={(e) => (looked.value = { key: e.currentTarget.value, step: 0 })}>{paths.map(({ key, name }) => <option value={key}>{name}</option>)}</select>
        </label>
        <label class="field grow">step {step}
          <input type="range" min={0} max={path.f.length - 1} value={step} onInput={(e) => (looked.value = { key: path.key, step: Number(e.currentTarget.value) })} />
        </label>
      </div>
      {now && <p class="soft">cost {num(path.f[step])}, {path.evaluations[step]} evaluations. Arrows: <b>→</b> against the slope, <b>⇢</b> last step, <b>⇒</b> Newton’s step.</p>}
    </div>
  );
}

function Arrows({ looked, paths, sx, sy, axes }: { looked: Signal<{ key: string; step: number } | null>; paths: Drawn[]; sx: Scale; sy: Scale; axes: [number, number] }) {
  const now = looked.value;
  const path = paths.find(({ key }) => key === now?.key);
  if (!now || !path) return null;
  const step = Math.min(now.step, path.f.length - 1);
  const [x, y] = path.x[step];
  const answer = arrows.value?.key === `${path.key} ${step}` ? arrows.value.answer : null;
  const arrow = (dx: number, dy: number, name: string, length?: number) => {
    let [vx, vy] = [sx(x + dx) - sx(x), sy(y + dy) - sy(y)];
    const size = Math.hypot(vx, vy);
    if (!(size > 0.5)) return null;
    const shown = length ?? Math.min(size, 260);
    [vx, vy] = [(vx / size) * shown, (vy / size) * shown];
    const [ex, ey] = [sx(x) + vx, sy(y) + vy];
    const angle = (Math.atan2(vy, vx) * 180) / Math.PI;
    return <g class={`arrow-${name}`}><line x1={sx(x)} y1={sy(y)} x2={ex} y2={ey} /><path d="M2,0L-9,-5L-9,5Z" transform={`translate(${ex},${ey}) rotate(${angle})`} /></g>;
  };
  return (
    <g class="arrows" aria-hidden="true">
      {answer && arrow(-answer.gradient[axes[0]], -answer.gradient[axes[1]], "gradient", 54)}
      {step > 0 && arrow(x - path.x[step - 1][0], y - path.x[step - 1][1], "last")}
      {answer?.newton && arrow(answer.newton[axes[0]], answer.newton[axes[1]], "newton")}
      <circle cx={sx(x)} cy={sy(y)} r={5} class="pin" />
    </g>
  );
}
