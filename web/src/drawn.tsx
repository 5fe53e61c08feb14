/** Pieces of a picture of one parameter: the curve in ink, the bands under it, tangents with dash, arrow and word. */

import { memo } from "preact/compat";
import type { Curve } from "./curve";
import { useApp } from "./app";
import { arrowOf, colourOf, dashOf, wordOf, type Word } from "./look";
import { clamp, num } from "./numbers";
import type { Here } from "./one";
import type { Scale } from "./plane";

export const CurveLine = memo(function CurveLine({ d, class: name = "curve" }: { d: string; class?: string }) {
  return <path class={name} d={d} />;
});

/** Stretches of falling, flat and rising along the foot of the picture, told by pattern and arrow. */
export const Bands = memo(function Bands({ curve, sx, y, height, dark, span }: {
  curve: Curve; sx: Scale; y: number; height: number; dark: boolean; span: [number, number];
}) {
  const parts: { word: Word; from: number; to: number }[] = [];
  const [low, high] = sx.domain;
  const count = 300;
  for (let i = 0; i < count; i++) {
    const x = low + ((i + 0.5) / count) * (high - low);
    const reading = curve.at(x);
    const word = reading.smooth ? wordOf(reading.slope, high - low, span[1] - span[0]) : "no slope here";
    const last = parts[parts.length - 1];
    const to = low + ((i + 1) / count) * (high - low);
    if (last && last.word === word) last.to = to;
    else parts.push({ word, from: last ? last.to : low, to });
  }
  return (
    <g class="bands" aria-hidden="true">
      {parts.map(({ word, from, to }) => {
        const [a, b] = [sx(from), sx(to)];
        if (word === "no slope here") return null;
        return (
          <g>
            <line x1={a} x2={b} y1={y} y2={y} stroke={colourOf(word, dark)} stroke-width={height} stroke-dasharray={dashOf(word, height)} />
            {b - a > 60 && <text x={(a + b) / 2} y={y - 8} text-anchor="middle">{arrowOf(word)} {word}</text>}
          </g>
        );
      })}
    </g>
  );
});

/** A tangent as long as a quarter of the picture, with its slope; two half-tangents at a kink. */
export function Tangent({ here, sx, sy, below, faint, label = true, reach = 110 }: {
  here: Here; sx: Scale; sy: Scale; below: boolean; faint?: boolean; label?: boolean; reach?: number;
}) {
  const app = useApp();
  const dark = app.dark.value;
  const [px, py] = [sx(here.x), sy(here.f)];
  if (!Number.isFinite(py)) return null;
  const unit = sx(1) - sx(0);
  const steep = (slope: number) => (sy(slope) - sy(0)) / unit;
  const line = (slope: number, from: number, to: number, word: Word, py = sy(here.f)) => {
    const tilt = steep(slope);
    // On a narrow picture tangents of the full length would cross each other.
    const length = Math.min(reach, 0.26 * Math.abs(sx(sx.domain[1]) - sx(sx.domain[0]))) / Math.hypot(1, tilt);
    return (
      <line
        class={faint ? "tangent faint" : "tangent"}
        x1={px + from * length} y1={py + from * length * tilt} x2={px + to * length} y2={py + to * length * tilt}
        stroke={colourOf(word, dark)} stroke-dasharray={dashOf(word, 2.4)}
      />
    );
  };
  if (here.word === "no slope here" && here.left !== null && here.right !== null) {
    const side = (slope: number): Word => (slope < 0 ? "falling" : slope > 0 ? "rising" : "flat");
    const jumps = here.before !== null && here.after !== null && Math.abs(sy(here.before) - sy(here.after)) > 3;
    // At a jump each half lies along its own piece of the curve.
    const drawn = (slope: number, from: number, to: number, beside: number | null) => Number.isFinite(slope) && line(slope, from, to, side(slope), jumps ? sy(beside!) : py);
    return (
      <g aria-hidden="true">
        {drawn(here.left, -1, 0, here.before)}
        {drawn(here.right, 0, 1, here.after)}
        {label && <text class="mark-label" x={px} y={py + 30} text-anchor="middle">{jumps ? "a jump: no slope here" : "no single slope here"}</text>}
      </g>
    );
  }
  if (!Number.isFinite(here.slope)) return null;
  // The label stands beyond the tangent, away from the curve, so that the two never collide.
  const tilt = steep(here.slope);
  const norm = Math.hypot(1, tilt);
  const away = below ? 1 : -1;
  const [nx, ny] = [(-tilt / norm) * away, (1 / norm) * away];
  // On a narrow picture the arrow says it alone, and no label leaves the picture.
  const narrow = sx(sx.domain[1]) - sx(sx.domain[0]) < 460;
  const room = narrow ? 34 : 64;
  const [lx, ly] = [clamp(px + nx * 24, sx(sx.domain[0]) + (nx > 0.35 ? 0 : room), sx(sx.domain[1]) - (nx < -0.35 ? 0 : room)), py + ny * 24];
  return (
    <g aria-hidden="true">
      {line(here.slope, -1, 1, here.word)}
      {label && (
        <text class="mark-label" x={lx} y={ly} dy="0.32em" text-anchor={nx > 0.35 ? "start" : nx < -0.35 ? "end" : "middle"}>
          {num(here.slope)} {arrowOf(here.word)}{narrow ? "" : ` ${here.word}`}
        </text>
      )}
    </g>
  );
}

/** The slope as a triangle: one across, the slope up. */
export function Triangle({ here, sx, sy }: { here: Here; sx: Scale; sy: Scale }) {
  if (!Number.isFinite(here.slope) || !Number.isFinite(here.f)) return null;
  const width = sx.domain[1] - sx.domain[0];
  let run = 1;
  while (run > width / 6) run /= 10;
  while (run < width / 60) run *= 10;
  const ahead = here.x + run > sx.domain[1] ? -run : run;
  const [x0, y0, x1, y1] = [sx(here.x), sy(here.f), sx(here.x + ahead), sy(here.f + here.slope * ahead)];
  // So steep that its third side is a line straight up, and its numbers beyond those a path can hold.
  if (Math.abs(x1 - x0) < 14 || !(Math.abs(y1 - y0) < 1e5)) return null;
  return (
    <g class="triangle" aria-hidden="true">
      <path d={`M${x0},${y0}L${x1},${y0}L${x1},${y1}Z`} />
      <text x={(x0 + x1) / 2} y={y0 + (y1 < y0 ? 15 : -7)} text-anchor="middle">{num(ahead)}</text>
      {Math.abs(y1 - y0) > 16 && (
        <text x={x1 + (ahead > 0 ? 6 : -6)} y={(y0 + y1) / 2} dy="0.32em" text-anchor={ahead > 0 ? "start" : "end"}>{num(here.slope * ahead)}</text>
      )}
    </g>
  );
}

/** Where an x stands on the other axis, for whoever is not shown a number. */
export function Drop({ x, from, to }: { x: number; from: number; to: number }) {
  return <line class="drop" x1={x} x2={x} y1={from} y2={to} aria-hidden="true" />;
}
