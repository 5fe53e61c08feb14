/** A plane to draw on: two scales, their ticks, and a handle that pointer and keys can move. */

import { signal, type Signal } from "@preact/signals";
import { ticks } from "d3-array";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { clamp, decimal, labels } from "./numbers";

export interface Scale {
  (value: number): number;
  back(pixel: number): number;
  domain: [number, number];
  log: boolean;
}

export function scale(domain: [number, number], from: number, to: number, log = false): Scale {
  const shape = log ? Math.log10 : (v: number) => v;
  const [a, b] = [shape(domain[0]), shape(domain[1])];
  const made = ((value: number) => from + ((shape(value) - a) / (b - a)) * (to - from)) as Scale;
  made.back = (pixel) => {
    const at = a + ((pixel - from) / (to - from)) * (b - a);
    return log ? 10 ** at : at;
  };
  made.domain = domain;
  made.log = log;
  return made;
}

export function ticksOf(s: Scale, count: number): number[] {
  if (!s.log) return ticks(s.domain[0], s.domain[1], count);
  const [low, high] = s.domain.map(Math.log10);
  const step = Math.max(1, Math.ceil((high - low) / count));
  const out: number[] = [];
  for (let p = Math.ceil(low - 1e-9); p <= high + 1e-9; p += step) out.push(10 ** p);
  return out.length > 1 ? out : ticks(s.domain[0], s.domain[1], count);
}

/** The size of an element, followed. */
export function useSize(minimum = 120): [{ current: HTMLDivElement | null }, Signal<{ width: number; height: number }>] {
  const ref = useRef<HTMLDivElement>(null);
  const [size] = useState(() => signal({ width: 0, height: 0 }));
  useEffect(() => {
    const element = ref.current!;
    const look = () => {
      const [width, height] = [Math.max(element.clientWidth, minimum), Math.max(element.clientHeight, minimum)];
      if (width !== size.value.width || height !== size.value.height) size.value = { width, height };
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}

export interface Margins {
  left: number;
  right: number;
  top: number;
  bottom: number;
}
export const MARGINS: Margins = { left: 52, right: 14, top: 14, bottom: 26 };

/** About how many pixels a number takes beside an axis. */
const wide = (text: string) => 7.6 * text.length - (text.includes(".") ? 4 : 0);

/** Ticks whose numbers do not run into each other. */
function apart(s: Scale, count: number): number[] {
  for (; ; count--) {
    const values = ticksOf(s, count);
    const gap = values.length > 1 ? Math.min(...values.slice(1).map((v, k) => Math.abs(s(v) - s(values[k])))) : Infinity;
    if (count <= 2 || Math.max(...labels(values).map(wide)) + 6 <= gap) return values;
  }
}

export function Axes({ sx, sy, width, height, x, y, margins = MARGINS, grid = true, feet = true, lift = 7 }: {
  sx: Scale; sy: Scale; width: number; height: number; x?: string; y?: string; margins?: Margins; grid?: boolean; feet?: boolean;
  /** How far above the foot the name of x stands. */
  lift?: number;
}) {
  const bottom = height - margins.bottom;
  const right = width - margins.right;
  const across = apart(sx, Math.max(2, Math.floor((right - margins.left) / 80)));
  const beside = margins.left - 8;
  const up = ticksOf(sy, Math.max(2, Math.floor((bottom - margins.top) / 44)));
  return (
    <g class="axes" aria-hidden="true">
      {grid && up.map((v) => <line class="grid" x1={margins.left} x2={right} y1={sy(v)} y2={sy(v)} />)}
      {grid && across.map((v) => <line class="grid" x1={sx(v)} x2={sx(v)} y1={margins.top} y2={bottom} />)}
      {labels(up).map((text, k) => <text x={beside} y={sy(up[k])} dy="0.32em" text-anchor="end" {...(wide(text) > beside ? { textLength: beside, lengthAdjust: "spacingAndGlyphs" } : {})}>{text}</text>)}
      {feet && labels(across).map((text, k) => <text x={Math.min(sx(across[k]), width - wide(text) / 2)} y={bottom + 16} text-anchor="middle">{text}</text>)}
      {x && <text class="name" x={right - 4} y={bottom - lift} text-anchor="end">{x}</text>}
      {y && <text class="name" x={margins.left + 6} y={margins.top + 8}>{y}</text>}
    </g>
  );
}

export interface HandleProps {
  label: string;
  /** Where it stands, in pixels. */
  cx: number;
  cy: number;
  value: number;
  low: number;
  high: number;
  text: string;
  /** Moved by the pointer to a pixel of the picture. */
  onPixel(px: number, py: number): void;
  /** Moved by keys: steps right and up; a step is a hundredth of the window. */
  onStep(right: number, up: number): void;
  onEnd?(which: "low" | "high"): void;
  onPin?(): void;
  onRest?(): void;
  hollow?: boolean;
  colour?: string;
  crosshair?: boolean;
}

/** What is dragged: at least 44 px to hit, a slider to those who listen, arrows for those who type. */
export function Handle(p: HandleProps) {
  const held = useRef(false);
  const pixel = (event: PointerEvent) => {
    const box = (event.currentTarget as SVGElement).ownerSVGElement!.getBoundingClientRect();
    p.onPixel(event.clientX - box.left, event.clientY - box.top);
  };
  const step = (event: KeyboardEvent) => {
    const size = event.shiftKey ? 10 : event.altKey ? 0.2 : 1;
    const moves: Record<string, [number, number]> = {
      ArrowRight: [size, 0], ArrowLeft: [-size, 0], ArrowUp: [0, size], ArrowDown: [0, -size],
      PageUp: [0, 10 * size], PageDown: [0, -10 * size],
    };
    if (moves[event.key]) p.onStep(...moves[event.key]);
    else if (event.key === "Home") p.onEnd?.("low");
    else if (event.key === "End") p.onEnd?.("high");
    else if (event.key === "p" || event.key === "Enter") p.onPin?.();
    else return;
    event.preventDefault();
    p.onRest?.();
  };
  return (
    <g
      class="handle"
      role="slider"
      tabindex={0}
      aria-label={p.label}
      aria-valuenow={decimal(p.value) as unknown as number}
      aria-valuemin={decimal(p.low) as unknown as number}
      aria-valuemax={decimal(p.high) as unknown as number}
      aria-valuetext={p.text}
      onPointerDown={(event: PointerEvent) => {
        held.current = true;
        (event.currentTarget as SVGElement).setPointerCapture(event.pointerId);
        (event.currentTarget as SVGElement).focus({ preventScroll: true });
        event.preventDefault();
        event.stopPropagation();
      }}
      onPointerMove={(event: PointerEvent) => held.current && pixel(event)}
      onPointerUp={() => {
        held.current = false;
        p.onRest?.();
      }}
      onPointerCancel={() => (held.current = false)}
      onDblClick={() => p.onPin?.()}
      onKeyDown={step}
    >
      {p.crosshair && <path class="crosshair" d={`M${p.cx - 16},${p.cy}h32M${p.cx},${p.cy - 16}v32`} />}
      <circle class="hit" cx={p.cx} cy={p.cy} r={24} />
      <circle class="ring" cx={p.cx} cy={p.cy} r={13} />
      <circle class={p.hollow ? "dot hollow" : "dot"} cx={p.cx} cy={p.cy} r={7} style={p.colour ? { fill: p.colour } : undefined} />
    </g>
  );
}

/** Dragging the background moves the window, the wheel zooms about the pointer. */
export function usePanZoom(
  domain: () => { x: [number, number]; y?: [number, number] },
  sx: () => Scale,
  sy: () => Scale | null,
  change: (x: [number, number], y?: [number, number]) => void,
) {
  const start = useRef<{ px: number; py: number; x: [number, number]; y?: [number, number] } | null>(null);
  const frame = useRef(0);
  return {
    onPointerDown(event: PointerEvent) {
      if (event.button !== 0) return;
      start.current = { px: event.clientX, py: event.clientY, ...domain() };
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
    },
    onPointerMove(event: PointerEvent) {
      const from = start.current;
      if (!from) return;
      const x = sx();
      const dx = x.back(0) - x.back(event.clientX - from.px);
      const y = sy();
      const dy = y && from.y ? y.back(0) - y.back(event.clientY - from.py) : 0;
      cancelAnimationFrame(frame.current);
      frame.current = requestAnimationFrame(() =>
        change([from.x[0] + dx, from.x[1] + dx], from.y && [from.y[0] + dy, from.y[1] + dy]),
      );
    },
    onPointerUp() {
      start.current = null;
    },
    onWheel(event: WheelEvent) {
      event.preventDefault();
      const box = (event.currentTarget as Element).getBoundingClientRect();
      const factor = clamp(1.0015 ** event.deltaY, 0.5, 2);
      const at = sx().back(event.clientX - box.left);
      const { x, y } = domain();
      const up = sy()?.back(event.clientY - box.top);
      const zoomed = (d: [number, number], about: number): [number, number] => [about + (d[0] - about) * factor, about + (d[1] - about) * factor];
      cancelAnimationFrame(frame.current);
      frame.current = requestAnimationFrame(() => change(zoomed(x, at), y && up !== undefined ? zoomed(y, up) : undefined));
    },
  };
}

/** A picture that fills its box. */
export function Picture({ label, children, under, class: name = "", minimum }: {
  label: string; class?: string; minimum?: number; under?(size: { width: number; height: number }): ComponentChildren;
  children(size: { width: number; height: number }): ComponentChildren;
}) {
  const [ref, size] = useSize(minimum);
  return (
    <div class={`picture ${name}`} ref={ref}>
      {size.value.width > 0 && under?.(size.value)}
      {size.value.width > 0 && (
        <svg width={size.value.width} height={size.value.height} role="group" aria-label={label}>
          {children(size.value)}
        </svg>
      )}
    </div>
  );
}
