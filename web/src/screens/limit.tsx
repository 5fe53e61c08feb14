/** Where the slope comes from: two points drawn together until the line through them is the tangent. */

import { signal } from "@preact/signals";
import { useEffect, useId, useState } from "preact/hooks";
import { useApp, type App } from "../app";
import { CurveLine, Tangent } from "../drawn";
import { Badge, Big, Screen, Trouble } from "../frame";
import { clamp, num } from "../numbers";
import { costInPython, pyNumber, useOne, type OneParameter } from "../one";
import { Axes, Handle, MARGINS, Picture, scale, usePanZoom } from "../plane";
import { Several } from "./walk";
import { Zoom } from "./slope";

interface Table {
  x: number;
  slope: number | null;
  h: number[];
  right: number[];
}

export function LimitScreen() {
  const app = useApp();
  const one = useOne("limit");
  const [table] = useState(() => signal<Table | null>(null));
  const [playing] = useState(() => signal(false));
  const d = app.described.value;
  const x = one.x.value;
  // h stands in the fragment; on the picture it is what the second point is dragged to.
  const h = Number(app.param("h") ?? 1) || 1;
  const setH = (value: number) => app.set({ h: String(Number(value.toPrecision(6))) });
  useEffect(() => {
    if (!d || d.n !== 1) return;
    app.ask("limit secants", { ask: "secants", of: app.about.peek(), x: [x] }, (frame) => {
      if (frame.header.error) return;
      table.value = { x, slope: frame.header.slope[0], h: [...frame.arrays.h], right: [...frame.arrays.right] };
    });
  }, [x, d, JSON.stringify(app.about.value)]);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!playing.value) return;
      const now = Number(app.params.peek().h ?? 1);
      if (Math.abs(now) <= 1.2e-15) playing.value = false;
      else setH(now * (Math.abs(now) > 1e-3 ? 0.94 : 0.7));
    }, 40);
    return () => clearInterval(timer);
  }, []);
  if (d && d.n > 1) return <Several n={d.n} />;
  const t = table.value?.x === x ? table.value : table.value;
  return (
    <Screen
      name="limit"
      title="Where the slope comes from"
      say={() => sayIt(app, x)}
      picture={<>
        <Picture label="a secant that becomes the tangent" class="tall">{(size) => <Secant one={one} h={h} setH={setH} {...size} />}</Picture>
        {t && <Errors table={t} h={h} setH={setH} />}
        <Zoom one={one} />
      </>}
      panel={<>
        <div class="row">
          <button class="primary" onClick={() => { if (!playing.value && Math.abs(h) <= 1.2e-15) setH(1); playing.value = !playing.value; }}>{playing.value ? "pause" : "h → 0"}</button>
          <button onClick={() => { playing.value = false; setH(1); }}>h = 1</button>
          <button onClick={() => one.zoom(0.1)}>zoom ×10</button>
        </div>
        <Quotient one={one} h={h} />
        {t && <Rows table={t} h={h} setH={(v) => { playing.value = false; setH(v); }} />}
        <Trouble />
      </>}
    />
  );
}

function sayIt(app: App, x: number): string {
  const { before, cost } = costInPython(app);
  return `${before}print(st.slope(${cost}, at=${pyNumber(x)}, limit=True))`;
}

function Secant({ one, h, setH, width, height }: { one: OneParameter; h: number; setH(h: number): void; width: number; height: number }) {
  const clip = useId();
  const sx = scale(one.domain.value, MARGINS.left, width - MARGINS.right);
  const sy = scale(one.y.value, height - MARGINS.bottom - 6, MARGINS.top);
  const curve = one.curve.value;
  const pan = usePanZoom(() => ({ x: one.domain.peek(), y: one.y.peek() }), () => sx, () => sy, (x, y) => one.view(x, y));
  const x = one.x.value;
  const here = one.at(x);
  const [low, high] = one.domain.value;
  const other = curve?.at(x + h);
  const drawn = here && other && Number.isFinite(here.f) && other.smooth;
  const secant = drawn ? (other.f - here.f) / h : NaN;
  const tiny = Math.abs(sx(x + h) - sx(x)) < 3;
  return (
    <>
      <rect class="ground" width={width} height={height} {...pan} />
      <Axes sx={sx} sy={sy} width={width} height={height} x={one.name.value} y="cost" />
      <clipPath id={clip}><rect x={MARGINS.left} y={0} width={width - MARGINS.left - MARGINS.right} height={height - MARGINS.bottom + 2} /></clipPath>
      <g clip-path={`url(#${clip})`}>
        {curve && <CurveLine d={curve.path(sx, sy)} />}
        {here && Number.isFinite(here.slope) && <Tangent here={here} sx={sx} sy={sy} below={(curve?.bend(x) ?? 1) >= 0} faint label={tiny} reach={170} />}
        {drawn && !tiny && (
          <g aria-hidden="true">
            <line class="secant" x1={sx(low)} x2={sx(high)} y1={sy(here.f + secant * (low - x))} y2={sy(here.f + secant * (high - x))} />
            <path class="rise" d={`M${sx(x)},${sy(here.f)}H${sx(x + h)}V${sy(other.f)}`} />
            <text class="mark-label" x={(sx(x) + sx(x + h)) / 2} y={sy(here.f) + (other.f < here.f ? -8 : 18)} text-anchor="middle">h = {num(h, 3)}</text>
          </g>
        )}
      </g>
      {here && Number.isFinite(here.f) && (
        <Handle
          label={`anchor, ${one.name.value}`} cx={sx(x)} cy={sy(here.f)} value={x} low={low} high={high}
          text={`anchor at ${one.name.value} ${num(x)}, slope ${num(here.slope)}`}
          onPixel={(px) => one.move(sx.back(px))}
          onStep={(right, up) => one.move(x + (right || up) * one.stride, one.stride / 50)}
          onEnd={(which) => one.move(which === "low" ? low : high)}
        />
      )}
      {drawn && !tiny && (
        <Handle
          label="second point" hollow cx={sx(x + h)} cy={sy(other.f)} value={x + h} low={low} high={high}
          text={`h ${num(h, 3)}, secant slope ${num(secant)}`}
          onPixel={(px) => setH(clamp(sx.back(px), low, high) - x || 1e-9)}
          onStep={(right, up) => setH(h * (right || up) < 0 ? h / 1.25 : h * 1.25)}
        />
      )}
    </>
  );
}

function Quotient({ one, h }: { one: OneParameter; h: number }) {
  const x = one.x.value;
  const here = one.at(x);
  const other = one.curve.value?.at(x + h);
  if (!here || !other) return <p class="soft">looking …</p>;
  const secant = other.smooth ? (other.f - here.f) / h : NaN;
  const [low, high] = one.domain.value;
  const visible = Math.abs(h) > 1e-6 && x + h >= low && x + h <= high;
  return (
    <dl class="bigs">
      <Big name={`(cost at ${one.name.value} + h − cost at ${one.name.value}) / h`} value={visible ? num(secant, 5) : "see the table"}>{visible && <Badge exact={false} />}</Big>
      <Big name={`slope at ${one.name.value} = ${num(x)}`} value={num(here.slope, 5)}><Badge exact={here.exact} /></Big>
    </dl>
  );
}

function Rows({ table, h, setH }: { table: Table; h: number; setH(h: number): void }) {
  const nearest = table.h.reduce((best, v, k) => (Math.abs(Math.log(v / Math.abs(h))) < Math.abs(Math.log(table.h[best] / Math.abs(h))) ? k : best), 0);
  return (
    <div class="rows" tabindex={0} role="region" aria-label="secant slopes for shrinking h">
      <table>
        <thead><tr><th scope="col">h</th><th scope="col">secant slope</th></tr></thead>
        <tbody>
          {table.h.map((v, k) => (
            <tr class={k === nearest ? "now" : ""} onClick={() => setH(v)}><td>{num(v, 3)}</td><td>{num(table.right[k], 12)}</td></tr>
          ))}
          <tr class="exact"><td>exact</td><td>{num(table.slope, 12)}</td></tr>
        </tbody>
      </table>
    </div>
  );
}

/** The error of the quotient against h: down with h until rounding takes over, then up again. */
function Errors({ table, h, setH }: { table: Table; h: number; setH(h: number): void }) {
  const truth = table.slope ?? NaN;
  const errors = table.right.map((v) => Math.abs(v - truth));
  const seen = errors.filter((e) => e > 0 && Number.isFinite(e));
  const floor = Math.min(1e-16 * Math.max(Math.abs(truth), 1), ...seen);
  const top = Math.max(...seen, floor * 100);
  return (
    <Picture label="error of the difference quotient against h" class="low">
      {({ width, height }) => {
        const m = { left: 62, right: 14, top: 30, bottom: 24 };
        const sx = scale([2e-16, 2], m.left, width - m.right, true);
        const sy = scale([floor / 3, top * 3], height - m.bottom, m.top, true);
        const at = clamp(Math.abs(h), 2e-16, 2);
        return (
          <>
            <rect class="ground" width={width} height={height} onClick={(e) => setH(clamp(sx.back(e.offsetX), 1e-15, 1))} />
            <Axes sx={sx} sy={sy} width={width} height={height} x="h" margins={m} />
            <text class="axis-up" aria-hidden="true" x={m.left + 6} y={18}>{width < 480 ? "error" : "error of the quotient"}</text>
            <g aria-hidden="true">
              <path class="curve thin" d={errors.map((e, k) => `${k ? "L" : "M"}${sx(table.h[k])},${sy(Math.max(e, floor))}`).join("")} />
              {errors.map((e, k) => <circle class={e > 0 ? "pin" : "pin hollow"} cx={sx(table.h[k])} cy={sy(Math.max(e, floor))} r={3.5} />)}
              <line class="drop" x1={sx(at)} x2={sx(at)} y1={m.top} y2={height - m.bottom} />
              <text class="mark-label" x={width - m.right} y={18} text-anchor="end">← rounding · h too long →</text>
            </g>
          </>
        );
      }}
    </Picture>
  );
}
