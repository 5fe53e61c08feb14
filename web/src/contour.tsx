/** Heights as contours on a canvas of their own: drawn once, while everything above them moves. */

import { contours } from "d3-contour";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "./app";
import type { Frame, Numbers } from "./frames";
import { heightColour } from "./look";
import type { Margins } from "./plane";

const LEVELS = 16;
/** Heights that span more than this get levels evenly spaced in powers. */
const WORTH_A_LOG = 300;

export interface Heights {
  f: Numbers;
  columns: number;
  rows: number;
  window: [number, number, number, number];
}

export function heightsOf(frame: Frame): Heights {
  const [rows, columns] = frame.shapes.f;
  return { f: frame.arrays.f, columns, rows, window: frame.header.window };
}

export function levelsOf(f: Numbers): number[] {
  let [low, high] = [Infinity, -Infinity];
  for (const v of f) if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
  if (!(high > low)) return [];
  const out: number[] = [];
  const positive = low > 0 && high > WORTH_A_LOG * low;
  for (let k = 1; k < LEVELS; k++) {
    const share = k / LEVELS;
    out.push(positive ? low * (high / low) ** share : low + (high - low) * share ** 2.6);
  }
  return out;
}

export function Contours({ heights, view, width, height, margins }: {
  heights: Heights; view: [number, number, number, number]; width: number; height: number; margins: Margins;
}) {
  const app = useApp();
  const ref = useRef<HTMLCanvasElement>(null);
  const dark = app.dark.value;
  useEffect(() => {
    const canvas = ref.current!;
    const dpr = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * dpr);
    canvas.height = Math.round(height * dpr);
    const pen = canvas.getContext("2d")!;
    pen.setTransform(dpr, 0, 0, dpr, 0, 0);
    draw(pen, heights, view, width, height, margins, dark);
  }, [heights, view.join(), width, height, dark]);
  return <canvas ref={ref} style={{ width: `${width}px`, height: `${height}px` }} aria-hidden="true" />;
}

function draw(pen: CanvasRenderingContext2D, h: Heights, view: number[], width: number, height: number, m: Margins, dark: boolean): void {
  const levels = levelsOf(h.f);
  const [left, right, bottom, top] = view;
  const px = (x: number) => m.left + ((x - left) / (right - left)) * (width - m.left - m.right);
  const py = (y: number) => height - m.bottom - ((y - bottom) / (top - bottom)) * (height - m.top - m.bottom);
  const [wl, wr, wb, wt] = h.window;
  // d3-contour counts in cells, with values in the middle of each.
  const toX = (c: number) => px(wl + ((c - 0.5) / (h.columns - 1)) * (wr - wl));
  const toY = (r: number) => py(wb + ((r - 0.5) / (h.rows - 1)) * (wt - wb));
  pen.save();
  pen.beginPath();
  pen.rect(m.left, m.top, width - m.left - m.right, height - m.top - m.bottom);
  pen.clip();
  pen.fillStyle = heightColour(0.06, dark);
  pen.fillRect(toX(0.5), toY(h.rows - 0.5), toX(h.columns - 0.5) - toX(0.5), toY(0.5) - toY(h.rows - 0.5));
  const shapes = contours().size([h.columns, h.rows]).smooth(true).thresholds(levels)(Array.from(h.f, (v) => (Number.isFinite(v) ? v : NaN)));
  shapes.forEach((shape, k) => {
    pen.beginPath();
    for (const polygon of shape.coordinates) {
      for (const ring of polygon) {
        ring.forEach(([c, r], i) => (i ? pen.lineTo(toX(c), toY(r)) : pen.moveTo(toX(c), toY(r))));
        pen.closePath();
      }
    }
    pen.fillStyle = heightColour(0.06 + (0.86 * (k + 1)) / LEVELS, dark);
    pen.fill();
    pen.strokeStyle = dark ? "#ffffff1c" : "#0000001c";
    pen.lineWidth = 0.8;
    pen.stroke();
  });
  // Where there is no height there is paper.
  pen.fillStyle = dark ? "#1a1f28" : "#ffffff";
  const [cw, ch] = [Math.abs(toX(1) - toX(0)) + 0.6, Math.abs(toY(1) - toY(0)) + 0.6];
  for (let r = 0; r < h.rows; r++) {
    for (let c = 0; c < h.columns; c++) {
      if (Number.isNaN(h.f[r * h.columns + c])) pen.fillRect(toX(c), toY(r + 1), cw, ch);
    }
  }
  pen.restore();
}
