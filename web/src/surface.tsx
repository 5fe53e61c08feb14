/** The landscape seen from the side: a small surface by the painter's algorithm, turned by dragging or by keys. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { useApp } from "./app";
import type { Heights } from "./contour";
import { heightColour, PATHS } from "./look";
import type { Drawn } from "./paths";
import { valueAt } from "./screens/landscape";

const MESH = 60;

export function Surface({ heights, paths }: { heights: Heights; paths: Drawn[] }) {
  const app = useApp();
  const ref = useRef<HTMLCanvasElement>(null);
  const [turn] = useState(() => signal({ around: -0.7, up: 0.62 }));
  const held = useRef<{ x: number; y: number } | null>(null);
  const { around, up } = turn.value;
  const dark = app.dark.value;
  useEffect(() => {
    const canvas = ref.current!;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const dpr = window.devicePixelRatio || 1;
    canvas.width = width * dpr;
    canvas.height = height * dpr;
    const pen = canvas.getContext("2d")!;
    pen.setTransform(dpr, 0, 0, dpr, 0, 0);
    paint(pen, width, height, heights, paths, around, up, dark);
  });
  const move = (da: number, du: number) => (turn.value = { around: around + da, up: Math.min(Math.max(up + du, 0.15), 1.4) });
  return (
    <canvas
      class="surface" ref={ref} role="img" tabindex={0}
      aria-label="the landscape seen from the side; arrow keys turn it"
      onKeyDown={(e) => {
        const turns: Record<string, [number, number]> = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.06], ArrowDown: [0, -0.06] };
        if (turns[e.key]) { move(...turns[e.key]); e.preventDefault(); }
      }}
      onPointerDown={(e) => { held.current = { x: e.clientX, y: e.clientY }; e.currentTarget.setPointerCapture(e.pointerId); }}
      onPointerMove={(e) => {
        if (!held.current) return;
        move((e.clientX - held.current.x) / 150, (e.clientY - held.current.y) / 200);
        held.current = { x: e.clientX, y: e.clientY };
      }}
      onPointerUp={() => (held.current = null)}
    />
  );
}

function paint(pen: CanvasRenderingContext2D, width: number, height: number, h: Heights, paths: Drawn[], around: number, up: number, dark: boolean): void {
  let [low, high] = [Infinity, -Infinity];
  for (const v of h.f) if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
  // Heights stand by a root, so that a steep wall does not flatten the valley.
  const rank = (f: number) => (Number.isFinite(f) ? Math.min(Math.max((f - low) / (high - low || 1), 0), 1) ** 0.45 : 1);
  const [sin, cos, tilt, rise] = [Math.sin(around), Math.cos(around), Math.sin(up), Math.cos(up)];
  const size = Math.min(width * 0.62, height * 0.95);
  const project = (u: number, v: number, z: number): [number, number, number] => {
    const [x, y] = [u - 0.5, v - 0.5];
    const [a, b] = [x * cos - y * sin, x * sin + y * cos];
    return [width / 2 + a * size, height * 0.62 - b * size * tilt * 0.62 - (z - 0.35) * size * rise * 0.62, b];
  };
  const [l, r, b, t] = h.window;
  // A node stands at the mean of four places around it: a valley narrower than the mesh would look like a saw.
  const at = (i: number, k: number) => {
    const look = (di: number, dk: number) => valueAt(h, l + (Math.min(Math.max(i + di, 0), MESH) / MESH) * (r - l), b + (Math.min(Math.max(k + dk, 0), MESH) / MESH) * (t - b));
    return rank((look(-0.5, -0.5) + look(0.5, -0.5) + look(-0.5, 0.5) + look(0.5, 0.5)) / 4);
  };
  const z: number[][] = [];
  for (let i = 0; i <= MESH; i++) z.push(Array.from({ length: MESH + 1 }, (_, k) => at(i, k)));
  const faces: { depth: number; points: [number, number][]; share: number }[] = [];
  for (let i = 0; i < MESH; i++) {
    for (let k = 0; k < MESH; k++) {
      const corners = [[i, k], [i + 1, k], [i + 1, k + 1], [i, k + 1]].map(([p, q]) => project(p / MESH, q / MESH, z[p][q]));
      const share = (z[i][k] + z[i + 1][k] + z[i + 1][k + 1] + z[i][k + 1]) / 4;
      faces.push({ depth: corners.reduce((s, c) => s + c[2], 0), points: corners.map(([px, py]) => [px, py]), share });
    }
  }
  faces.sort((p, q) => q.depth - p.depth);
  pen.clearRect(0, 0, width, height);
  pen.lineWidth = 0.6;
  for (const { points, share } of faces) {
    pen.beginPath();
    points.forEach(([px, py], i) => (i ? pen.lineTo(px, py) : pen.moveTo(px, py)));
    pen.closePath();
    pen.fillStyle = pen.strokeStyle = heightColour(0.06 + 0.86 * share, dark);
    pen.fill();
    pen.stroke();
  }
  for (const path of paths) {
    const style = PATHS[path.style % PATHS.length];
    pen.beginPath();
    let open = false;
    path.x.forEach(([x, y], k) => {
      const [u, v] = [(x - l) / (r - l), (y - b) / (t - b)];
      if (!(u >= 0 && u <= 1 && v >= 0 && v <= 1)) return void (open = false);
      const [px, py] = project(u, v, rank(path.f[k]) + 0.012);
      open ? pen.lineTo(px, py) : pen.moveTo(px, py);
      open = true;
    });
    pen.setLineDash(style.dash ? style.dash.split(" ").map(Number) : []);
    pen.strokeStyle = style[dark ? "dark" : "light"];
    pen.lineWidth = 2;
    pen.stroke();
  }
  pen.setLineDash([]);
}
