/** Walk down: a ball goes by the slope under it; a rate too small creeps, one too large leaps out of the valley. */

import { effect, signal, type Signal } from "@preact/signals";
import { useEffect, useId, useState } from "preact/hooks";
import { useApp, type App } from "../app";
import { CurveLine, Tangent } from "../drawn";
import { Big, Screen, Trouble } from "../frame";
import { wordOf } from "../look";
import { num } from "../numbers";
import { costInPython, placeInPython, pyNumber, useOne, type OneParameter } from "../one";
import { Axes, Handle, MARGINS, Picture, scale, usePanZoom, type Scale } from "../plane";
import { RateStrip } from "../strip";
import { Walks } from "../walks";
import { Zoom } from "./slope";

/** Steps whose tangent and jump are drawn; older ones leave a dot. */
const SHOWN = 14;
const EVERY = 160;

export function useWalks(app: App, lane: string): Signal<Walks | null> {
  const [walks] = useState(() => signal<Walks | null>(null));
  // Not read while drawing: a start that is dragged asks for new walks, and redraws what shows them when they come.
  useEffect(() => {
    let asked = "";
    return effect(() => {
      const key = JSON.stringify([app.about.value, app.place.value]);
      if (!app.described.value || key === asked) return;
      asked = key;
      app.ask(`${lane} walks`, { ask: "walks", of: app.about.peek(), x: app.place.peek() }, (frame) => {
        if (!app.trouble(`${lane} walks`, frame.header)) walks.value = new Walks(frame);
      });
    });
  }, []);
  return walks;
}

export function WalkScreen() {
  const app = useApp();
  const one = useOne("walk");
  const walks = useWalks(app, "walk");
  const [step] = useState(() => signal(0));
  const [playing] = useState(() => signal(false));
  const [flag] = useState(() => signal<number | null>(null));
  const [planting] = useState(() => signal(false));
  const w = walks.value;
  const method = Math.max(0, w?.methods.findIndex(({ key }) => key === (app.param("method") ?? "descent")) ?? 0);
  const rate = w ? (app.param("rate") !== undefined ? w.nearest(Number(app.param("rate"))) : w.nearest(0.2 / w.curvature)) : 0;
  const end = w ? w.ended(method, rate) : 0;
  useEffect(() => effect(() => {
    void [app.place.value, app.about.value];
    step.value = 0;
    playing.value = false;
  }), []);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!playing.value) return;
      if (step.value >= end || step.value >= 60) playing.value = false;
      else step.value++;
    }, EVERY);
    return () => clearInterval(timer);
  }, [end]);
  const d = app.described.value;
  if (d && d.n > 1) return <Several n={d.n} />;
  const toggle = () => {
    if (!playing.value && step.value >= Math.min(end, 60)) step.value = 0;
    playing.value = !playing.value;
  };
  const go = (k: number) => {
    playing.value = false;
    step.value = Math.min(Math.max(k, 0), end);
    if (w) app.announce(`step ${step.value}, ${one.name.value} ${num(w.place(method, rate, step.value)[0])}, cost ${num(w.cost(method, rate, step.value))}`);
  };
  return (
    <Screen
      name="walk"
      title="Walk down by the slope alone"
      say={() => sayIt(one, w, method, rate)}
      picture={<>
        <Picture label="the walk on the curve" class="tall">{(size) => <Ball one={one} walks={w} method={method} rate={rate} step={step} flag={flag} planting={planting} {...size} />}</Picture>
        {w && <RateStrip walks={w} method={method} rate={rate} choose={(k) => app.set({ rate: String(w.rates[k]) })} />}
        <Zoom one={one} />
      </>}
      panel={w ? <>
        <div class="row play" onKeyDown={(e) => { if (e.key === "Escape") playing.value = false; }}>
          <button aria-label="one step back" onClick={() => go(step.value - 1)} disabled={step.value === 0}>⟲</button>
          <button class="primary" onClick={toggle}>{playing.value ? "pause" : "play"}</button>
          <button onClick={() => go(step.value + 1)} disabled={step.value >= end}>step</button>
          <button class="quiet" onClick={() => go(end)}>to the end</button>
        </div>
        <Numbers one={one} walks={w} method={method} rate={rate} step={step} />
        <p class="sentence"><b class={`fate-word ${w.fate(method, rate)}`}>{w.fate(method, rate)}</b>: {w.fateSentence(method, rate)}</p>
        <label class="field">method
          <select value={w.methods[method].key} onChange={(e) => app.set({ method: e.currentTarget.value })}>
            {w.methods.map((m) => <option value={m.key}>{m.name}{m.momentum ? ` ${m.momentum}` : ""}</option>)}
          </select>
        </label>
        <p class="soft">{w.methods[method].line}. Beyond 2/L (L is the largest curvature on the way, here {num(w.curvature, 3)}) each plain step overshoots by more than it gains.</p>
        <Predict one={one} walks={w} method={method} rate={rate} step={step} flag={flag} planting={planting} />
        <Trouble />
        {!app.still && <p class="next"><button class="link" onClick={() => app.look("(1-x)**2 + 100*(y-x**2)**2", "landscape", { x: "-1.2,1" })}>Two parameters: a landscape →</button><button class="link" onClick={() => app.go("found")}>What was found? →</button></p>}
      </> : <><p class="soft">computing 61 × 5 walks …</p><Trouble /></>}
    />
  );
}

export function Several({ n }: { n: number }) {
  const app = useApp();
  return (
    <Screen name="walk" title="Walk down" say={() => ""} picture={<p class="empty">This cost has {n} parameters. Walks over two of them are drawn as a landscape.</p>}
      panel={<button class="primary" onClick={() => app.go("landscape")}>to the landscape</button>} />
  );
}

function sayIt(one: OneParameter, w: Walks | null, method: number, rate: number): string {
  const { before, cost } = costInPython(one.app);
  if (!w) return before;
  const m = w.methods[method];
  const momentum = m.momentum && m.key !== "nesterov" && m.momentum !== 0.9 ? `, "momentum": ${m.momentum}` : "";
  return `${before}st.plots.descent(st.minimize(${cost}, ${placeInPython(one.app, one.app.place.value)}, method=${JSON.stringify(m.name)}, options={"rate": ${pyNumber(w.rates[rate])}${momentum}, "maxiter": ${w.steps}}))`;
}

interface BallProps {
  one: OneParameter;
  walks: Walks | null;
  method: number;
  rate: number;
  step: Signal<number>;
  flag: Signal<number | null>;
  planting: Signal<boolean>;
}

function Ball({ one, walks, method, rate, step, flag, planting, width, height }: BallProps & { width: number; height: number }) {
  const clip = useId();
  const sx = scale(one.domain.value, MARGINS.left, width - MARGINS.right);
  const sy = scale(one.y.value, height - MARGINS.bottom - 6, MARGINS.top);
  const curve = one.curve.value;
  const pan = usePanZoom(() => ({ x: one.domain.peek(), y: one.y.peek() }), () => sx, () => sy, (x, y) => one.view(x, y));
  return (
    <>
      <rect class={planting.value ? "ground planting" : "ground"} width={width} height={height} {...pan} onClick={(e) => {
        if (!planting.value) return;
        flag.value = sx.back(e.offsetX);
        planting.value = false;
      }} />
      <Axes sx={sx} sy={sy} width={width} height={height} x={one.name.value} y="cost" />
      <clipPath id={clip}><rect x={MARGINS.left} y={0} width={width - MARGINS.left - MARGINS.right} height={height - MARGINS.bottom + 2} /></clipPath>
      <g clip-path={`url(#${clip})`}>{curve && <CurveLine d={curve.path(sx, sy)} />}</g>
      {walks && <Steps one={one} walks={walks} method={method} rate={rate} step={step.value} sx={sx} sy={sy} height={height} />}
      {flag.value !== null && <g class="flag" aria-hidden="true"><path d={`M${sx(flag.value)},${height - MARGINS.bottom}v-44l20,9l-20,9`} /></g>}
      <StartHandle one={one} sx={sx} sy={sy} />
    </>
  );
}

function StartHandle({ one, sx, sy }: { one: OneParameter; sx: Scale; sy: Scale }) {
  const x = one.x.value;
  const here = one.at(x);
  const [low, high] = one.domain.value;
  if (!here || !Number.isFinite(here.f)) return null;
  return (
    <Handle
      label={`start, ${one.name.value}`} cx={sx(x)} cy={sy(here.f)} value={x} low={low} high={high}
      text={`start at ${one.name.value} ${num(x)}, cost ${num(here.f)}`}
      onPixel={(px) => one.move(sx.back(px))}
      onStep={(right, up) => one.move(x + (right || up) * one.stride, one.stride / 50)}
      onEnd={(which) => one.move(which === "low" ? low : high)}
    />
  );
}

/** Each step along its tangent, then down or up to the curve; who leaves the window is told at its edge. */
function Steps({ one, walks, method, rate, step, sx, sy, height }: { one: OneParameter; walks: Walks; method: number; rate: number; step: number; sx: Scale; sy: Scale; height: number }) {
  const last = Math.min(step, walks.ended(method, rate));
  const curve = one.curve.value;
  const [low, high] = one.domain.value;
  const seen: number[] = [];
  for (let k = Math.max(0, last - SHOWN); k <= last; k++) seen.push(k);
  const at = (k: number) => walks.place(method, rate, k)[0];
  const f = (k: number) => walks.cost(method, rate, k);
  const here = at(last);
  const ball = { x: here, f: f(last) };
  const inside = here >= low && here <= high;
  const slope = curve?.at(here).slope ?? NaN;
  const pixel = (y: number) => (Number.isNaN(y) ? -40 : Math.min(Math.max(sy(y), -40), height + 40));
  return (
    <g aria-hidden="true" class="steps">
      {seen.map((k) => k < last && (
        <g opacity={0.25 + 0.75 * ((k - seen[0] + 1) / seen.length)}>
          {k >= last - 4 && curve && at(k) >= low && at(k) <= high && <line class="along" x1={sx(at(k))} y1={sy(f(k))} x2={sx(at(k + 1))} y2={pixel(f(k) + curve.at(at(k)).slope * (at(k + 1) - at(k)))} />}
          {k >= last - 4 && curve && <line class="fall" x1={sx(at(k + 1))} x2={sx(at(k + 1))} y1={pixel(f(k) + curve.at(at(k)).slope * (at(k + 1) - at(k)))} y2={pixel(f(k + 1))} />}
          <circle class="trail" cx={sx(at(k))} cy={sy(f(k))} r={3} />
        </g>
      ))}
      {inside && Number.isFinite(slope) && last < walks.steps && (
        <Tangent here={{ x: here, f: ball.f, slope, exact: true, word: wordOf(slope, high - low, one.y.value[1] - one.y.value[0]), left: null, right: null, before: null, after: null }} sx={sx} sy={sy} below={(curve?.bend(here) ?? 1) >= 0} label={false} reach={70} />
      )}
      {inside ? <circle class="ball" cx={sx(here)} cy={Math.max(sy(ball.f), 6)} r={8} /> : (
        <text class="mark-label" x={here < low ? MARGINS.left + 6 : sx(high) - 6} y={66} text-anchor={here < low ? "start" : "end"}>
          {here < low ? "← " : ""}{one.name.value} {num(here)}{here > high ? " →" : ""}
        </text>
      )}
    </g>
  );
}

function Numbers({ one, walks, method, rate, step }: { one: OneParameter; walks: Walks; method: number; rate: number; step: Signal<number> }) {
  const k = Math.min(step.value, walks.ended(method, rate));
  return (
    <dl class="bigs">
      <Big name="rate" value={num(walks.rates[rate], 3)} />
      <Big name="step" value={String(k)} unit={`of ${walks.steps}`} />
      <Big name={one.name.value} value={num(walks.place(method, rate, k)[0])} />
      <Big name="cost" value={num(walks.cost(method, rate, k))}><span class="badge exact">exact</span></Big>
    </dl>
  );
}

function Predict({ one, walks, method, rate, step, flag, planting }: BallProps & { walks: Walks }) {
  const done = step.value >= Math.min(walks.ended(method, rate), 60);
  const truth = walks.place(method, rate, Math.min(walks.ended(method, rate), walks.steps))[0];
  return (
    <div class="row">
      <button onClick={() => { if (flag.value !== null) flag.value = null; else planting.value = !planting.value; }} aria-pressed={planting.value}>
        {flag.value !== null ? "take the flag away" : planting.value ? "click where it ends …" : "guess where it ends"}
      </button>
      {flag.value !== null && <span class="soft">{done ? `It ended at ${num(truth)}, your flag stands at ${num(flag.value)}.` : `flag at ${one.name.value} ${num(flag.value)}; now play`}</span>}
    </div>
  );
}
