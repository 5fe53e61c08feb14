/** Walks over a plane and their costs: colour, dash and end mark together, a halo so that they stand out anywhere. */

import { endMark, PATHS } from "./look";
import { num } from "./numbers";
import { Axes, Picture, scale, type Margins, type Scale } from "./plane";

export interface Drawn {
  key: string;
  name: string;
  line: string;
  style: number;
  x: [number, number][];
  f: number[];
  evaluations: number[];
  /** What ended it, where that is to be said. */
  note: string;
}

export function PathLine({ path, sx, sy, dark, margins, width, height, row = 0 }: {
  path: Drawn; sx: Scale; sy: Scale; dark: boolean; margins: Margins; width: number; height: number;
  /** Lines by which the note at the edge is moved, so that those of several walks stand under each other. */
  row?: number;
}) {
  const style = PATHS[path.style % PATHS.length];
  const colour = style[dark ? "dark" : "light"];
  const far = (v: number) => Math.min(Math.max(v, -4000), 6000).toFixed(1);
  const points = path.x.filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
  if (!points.length) return null;
  const d = points.map(([a, b], k) => `${k ? "L" : "M"}${far(sx(a))},${far(sy(b))}`).join("");
  const [ex, ey] = points[points.length - 1];
  const [px, py] = [sx(ex), sy(ey)];
  const inside = px >= margins.left && px <= width - margins.right && py >= margins.top && py <= height - margins.bottom;
  return (
    <g aria-hidden="true" class="path">
      <path class="halo" d={d} />
      <path d={d} stroke={colour} stroke-dasharray={style.dash || undefined} />
      {points.length <= 60 && points.map(([a, b]) => <circle cx={far(sx(a))} cy={far(sy(b))} r={2} fill={colour} />)}
      {inside ? (
        <path class="end" d={endMark(style.end, px, py, 6)} fill={style.end === "ring" ? "var(--card)" : colour} stroke={style.end === "ring" ? colour : "var(--card)"} />
      ) : (
        <EdgeNote row={row} x={px} y={py} width={width} height={height} m={margins} colour={colour} text={width < 460 ? path.name : `${path.name} at ${num(ex, 3)}, ${num(ey, 3)}`} />
      )}
    </g>
  );
}

/** A walk that left the window: an arrow at the edge, and where it is. */
function EdgeNote({ row, x, y, width, height, m, colour, text }: { row: number; x: number; y: number; width: number; height: number; m: Margins; colour: string; text: string }) {
  const [cx, cy] = [(m.left + width - m.right) / 2, (m.top + height - m.bottom) / 2];
  const [dx, dy] = [x - cx, y - cy];
  const shrink = Math.min((width - m.left - m.right - 24) / 2 / Math.abs(dx || 1), (height - m.top - m.bottom - 24) / 2 / Math.abs(dy || 1));
  const [px, py] = [cx + dx * shrink, cy + dy * shrink];
  const angle = (Math.atan2(dy, dx) * 180) / Math.PI;
  const right = px > cx;
  return (
    <g>
      <path class="edge" d="M9,0L-5,-6L-5,6Z" fill={colour} stroke="var(--card)" transform={`translate(${px},${py}) rotate(${angle})`} />
      <text class="mark-label" x={px + (right ? -12 : 12)} y={py} dy={`${py < cy ? 1.2 + 1.3 * row : -0.5 - 1.3 * row}em`} text-anchor={right ? "end" : "start"}>{text}</text>
    </g>
  );
}

export function Swatch({ style, dark }: { style: number; dark: boolean }) {
  const look = PATHS[style % PATHS.length];
  const colour = look[dark ? "dark" : "light"];
  return (
    <svg class="swatch" width="36" height="16" aria-hidden="true">
      <path d="M2 8H34" stroke={colour} stroke-width="2.4" stroke-dasharray={look.dash || undefined} fill="none" />
      <path d={endMark(look.end, 28, 8, 5)} fill={look.end === "ring" ? "var(--card)" : colour} stroke={look.end === "ring" ? colour : "none"} stroke-width="1.6" />
    </svg>
  );
}

/** Cost above the lowest that any walk saw, on an axis that is one of powers, against steps or evaluations. */
export function Convergence({ paths, by, dark }: { paths: Drawn[]; by: "steps" | "evaluations"; dark: boolean }) {
  const all = paths.flatMap((path) => path.f.filter(Number.isFinite));
  const lowest = Math.min(...all);
  // A walk that climbs out of sight leaves the picture; the others must stay readable.
  const highest = Math.max(...paths.map((path) => (path.f[0] - lowest) * 10), 1e-300);
  const floor = Math.max(highest * 1e-14, 1e-16 * Math.abs(lowest), 1e-300);
  const longest = Math.max(5, ...paths.map((path) => (by === "steps" ? path.f.length - 1 : path.evaluations[path.evaluations.length - 1] ?? 0)));
  return (
    <Picture label={`cost against ${by}`} class="low">
      {({ width, height }) => {
        const m = { left: 58, right: 14, top: 28, bottom: 24 };
        const sx = scale([0, Math.min(longest, 200)], m.left, width - m.right);
        const sy = scale([floor, highest], height - m.bottom, m.top, true);
        return (
          <>
            <Axes sx={sx} sy={sy} width={width} height={height} x={by} margins={m} />
            <text class="axis-up" aria-hidden="true" x={m.left + 6} y={17}>cost above the lowest seen</text>
            {paths.map((path) => {
              const style = PATHS[path.style % PATHS.length];
              const at = (k: number) => (by === "steps" ? k : path.evaluations[k]);
              const d = path.f.map((f, k) => (Number.isFinite(f) && at(k) <= 200 ? `${k ? "L" : "M"}${sx(at(k)).toFixed(1)},${sy(Math.min(Math.max(f - lowest, floor), highest)).toFixed(1)}` : "")).join("");
              return <path aria-hidden="true" class="convergence" d={d} stroke={style[dark ? "dark" : "light"]} stroke-dasharray={style.dash || undefined} />;
            })}
          </>
        );
      }}
    </Picture>
  );
}
