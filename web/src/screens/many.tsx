/** Many parameters: honest lines first, then a plane through the path, its price named before it is paid. */

import { signal, type Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { useApp, type App } from "../app";
import { Contours, heightsOf, type Heights } from "../contour";
import { spread } from "../curve";
import { Screen, Trouble } from "../frame";
import type { Frame } from "../frames";
import { PATHS } from "../look";
import { seconds } from "../numbers";
import { Axes, Picture, scale } from "../plane";
import { PLANE } from "./landscape";

const KINDS = [
  ["path", "start, end and the widest bend between"],
  ["principal", "where the path extends most"],
  ["curvature", "the two sharpest directions"],
  ["parameters", "two parameters by name"],
] as const;

export function ManyScreen() {
  const app = useApp();
  const [frame] = useState(() => signal<Frame | null>(null));
  const [lines] = useState(() => signal<Frame | null>(null));
  const [busy] = useState(() => signal(false));
  const kind = app.param("kind") ?? "path";
  const finest = Number(app.param("finest") ?? 21);
  const axes = (app.param("axes") ?? "0,1").split(",").map(Number);
  const run = app.hello.value.run;
  useEffect(() => {
    if (!run) return;
    app.ask("lines", { ask: "run lines" }, (answer) => {
      if (!app.trouble("lines", answer.header)) lines.value = answer;
    });
  }, [run]);
  useEffect(() => {
    if (!run) return;
    busy.value = true;
    app.ask("plane", { ask: "run plane", kind, finest, axes }, (answer) => {
      busy.value = !answer.header.finished && !answer.header.error;
      if (!app.trouble("plane", answer.header)) frame.value = answer;
    });
  }, [run, kind, finest, axes.join()]);
  if (!run) return <Screen name="many" title="Many parameters" say={() => ""} picture={<p class="empty">Planes are laid through a saved run: steepest explore run.jsonl</p>} panel={<p class="soft">minimize(…, record="run.jsonl") writes one.</p>} />;
  const h = frame.value?.header;
  return (
    <Screen
      name="many" title="Many parameters"
      say={() => `from steepest.runs import read_run\nrun = read_run(${JSON.stringify(run.name)})\nprint(run.points.shape, run.column("value").min())`}
      picture={<>
        {h && <p class="headline">This plane holds <b>{Math.floor(100 * h.share)}%</b> of the path. {h.size > 0 ? `${h.size} × ${h.size} places` : `${h.evaluations} evaluations, about ${seconds(h.seconds)}; coarse 5 × 5 first, ${seconds(h.coarse_seconds)}`}</p>}
        <Picture label="a plane through the path" class="tall" under={(size) => frame.value?.arrays.f && <Contours heights={flat(frame.value)} view={frame.value.header.window} margins={PLANE} {...size} />}>
          {(size) => frame.value && <Plane app={app} frame={frame.value} {...size} />}
        </Picture>
        {frame.value && <Along frame={frame.value} />}
        {lines.value && <Lines frame={lines.value} />}
      </>}
      panel={<>
        <fieldset class="choice column">
          <legend>plane through</legend>
          {KINDS.map(([key, name]) => <label><input type="radio" name="kind" checked={kind === key} onChange={() => app.set({ kind: key })} /> {name}</label>)}
        </fieldset>
        {kind === "parameters" && h && <Pair app={app} names={h.names} axes={axes} />}
        <label class="field">finest <select value={String(finest)} onChange={(e) => app.set({ finest: e.currentTarget.value })}>{[5, 11, 21, 41].map((k) => <option value={String(k)}>{k} × {k}</option>)}</select></label>
        <Stop app={app} busy={busy} />
        {h && <p class="soft">{h.label}: {h.n.toLocaleString("en-US")} parameters. A dot lies where its iterate falls on the plane; its stem reaches to the true cost, the line below shows both.</p>}
        <Trouble />
      </>}
    />
  );
}

function Stop({ app, busy }: { app: App; busy: Signal<boolean> }) {
  return busy.value ? <button onClick={() => { app.link.stop(); busy.value = false; }}>stop refining</button> : null;
}

const flat = (frame: Frame): Heights => heightsOf(frame);

function Pair({ app, names, axes }: { app: App; names: string[]; axes: number[] }) {
  return (
    <div class="row">
      {[0, 1].map((which) => (
        <label class="field">{which ? "up" : "across"} <select value={String(axes[which])} onChange={(e) => { const next = [...axes]; next[which] = Number(e.currentTarget.value); if (next[0] !== next[1]) app.set({ axes: next.join(",") }); }}>
          {names.map((name, k) => <option value={String(k)}>{name}</option>)}
        </select></label>
      ))}
    </div>
  );
}

function Plane({ app, frame, width, height }: { app: App; frame: Frame; width: number; height: number }) {
  const w = frame.header.window as number[];
  const named = frame.header.kind === "parameters";
  const sx = scale([w[0], w[1]], PLANE.left, width - PLANE.right);
  const sy = scale([w[2], w[3]], height - PLANE.bottom, PLANE.top);
  const { path, true: truth, under } = frame.arrays as any;
  const count = truth.length;
  const gaps = Array.from({ length: count }, (_, k) => truth[k] - under[k]);
  const most = Math.max(...gaps.map(Math.abs).filter(Number.isFinite), 1e-300);
  const at = (k: number) => [sx(path[2 * k]), sy(path[2 * k + 1])];
  const dark = app.dark.value;
  const colour = PATHS[1][dark ? "dark" : "light"];
  const [ex, ey] = at(count - 1);
  const [bx, by] = at(0);
  return (
    <>
      <Axes sx={sx} sy={sy} width={width} height={height} x={named ? "distance from the end" : "along the first direction"} margins={PLANE} grid={false} />
      <g aria-hidden="true" class="path">
        <path class="halo" d={Array.from({ length: count }, (_, k) => `${k ? "L" : "M"}${at(k).map((v) => v.toFixed(1)).join(",")}`).join("")} />
        <path stroke={colour} d={Array.from({ length: count }, (_, k) => `${k ? "L" : "M"}${at(k).map((v) => v.toFixed(1)).join(",")}`).join("")} />
        {gaps.map((gap, k) => {
          if (!(Math.abs(gap) > 1e-3 * most)) return null;
          const [px, py] = at(k);
          const tall = (70 * gap) / most;
          return <g><line class="stem-true" x1={px} x2={px} y1={py} y2={py - tall} /><circle class="pin hollow" cx={px} cy={py - tall} r={3} /></g>;
        })}
        <circle class="pin" cx={bx} cy={by} r={5} /><text class="mark-label" x={bx + 10} y={by}>start</text>
        <circle class="end-dot" cx={ex} cy={ey} r={6} fill={colour} /><text class="mark-label" x={ex + 10} y={ey}>end</text>
      </g>
    </>
  );
}

/** The cost along the path: what the plane shows, and what it was. */
function Along({ frame }: { frame: Frame }) {
  const { steps, true: truth, under } = frame.arrays as any;
  const all = [...truth, ...under].filter((v: number) => Number.isFinite(v));
  const low = Math.min(...all);
  const shift = low > 0 ? 0 : low;
  const positive = all.map((v) => v - shift).filter((v) => v > 0);
  const floor = Math.max(Math.min(...positive), Math.max(...positive) * 1e-14);
  return (
    <Picture label="true cost and height of the plane along the path" class="low">
      {({ width, height }) => {
        const m = { left: 62, right: 14, top: 16, bottom: 24 };
        const sx = scale([steps[0], Math.max(steps[steps.length - 1], steps[0] + 1)], m.left, width - m.right);
        const sy = scale([floor, Math.max(...positive, floor * 10)], height - m.bottom, m.top, true);
        const line = (v: number[]) => Array.from(v, (f, k) => `${k ? "L" : "M"}${sx(steps[k]).toFixed(1)},${sy(Math.max(f - shift, floor)).toFixed(1)}`).join("");
        return (
          <>
            <Axes sx={sx} sy={sy} width={width} height={height} x="step" y={shift ? "cost above the lowest" : "cost"} margins={m} />
            <g aria-hidden="true">
              <path class="curve thin dashed" d={line(under)} />
              <path class="curve" d={line(truth)} />
              <text class="mark-label" x={width - m.right - 8} y={m.top + 10} text-anchor="end">— true · ┄ on the plane</text>
            </g>
          </>
        );
      }}
    </Picture>
  );
}

/** The cost along single lines through the end: an honest view before any plane. */
function Lines({ frame }: { frame: Frame }) {
  const names = frame.header.lines as string[];
  const t = frame.arrays.t;
  return (
    <div class="lines">
      {names.map((name, k) => (
        <Picture label={`cost ${name}`} class="line" minimum={90}>
          {({ width, height }) => {
            const f = frame.arrays[`f${k}`];
            const range = spread(Array.from(f).filter(Number.isFinite));
            const m = { left: 48, right: 8, top: 26, bottom: 20 };
            const sx = scale([t[0], t[t.length - 1]], m.left, width - m.right);
            const sy = scale([range[0] - 0.05 * (range[1] - range[0]), range[1]], height - m.bottom, m.top);
            const at = Math.floor(t.length / 2);
            return (
              <>
                <Axes sx={sx} sy={sy} width={width} height={height} margins={m} />
                <text class="mark-label" x={8} y={14}>{name}</text>
                <path class="curve thin" aria-hidden="true" d={Array.from(f, (v, i) => (Number.isFinite(v) ? `${i ? "L" : "M"}${sx(t[i]).toFixed(1)},${Math.min(Math.max(sy(v), -999), 9999).toFixed(1)}` : "")).join("")} />
                <circle class="pin" aria-hidden="true" cx={sx(t[at])} cy={sy(f[at])} r={4} />
              </>
            );
          }}
        </Picture>
      ))}
    </div>
  );
}
