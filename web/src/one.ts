/** What the screens of one parameter share: the curve in its window, and exact answers as they come. */

import { batch, computed, effect, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { list, useApp, type App } from "./app";
import { Curve } from "./curve";
import { wordOf, type Word } from "./look";
import { power, round } from "./numbers";

export interface Exact {
  x: number;
  value: number;
  slope: number | null;
  left: number | null;
  right: number | null;
  /** The cost just beside, where it jumps. */
  before: number | null;
  after: number | null;
}

export interface Here {
  x: number;
  f: number;
  slope: number;
  exact: boolean;
  word: Word;
  left: number | null;
  right: number | null;
  before: number | null;
  after: number | null;
}

export class OneParameter {
  readonly curve: Signal<Curve | null> = signal(null);
  readonly exact: Signal<Map<number, Exact>> = signal(new Map());
  readonly yRange: Signal<[number, number] | null> = signal(null);
  readonly axis: ReadonlySignal<number>;
  readonly name: ReadonlySignal<string>;
  readonly x: ReadonlySignal<number>;
  readonly domain: ReadonlySignal<[number, number]>;
  readonly y: ReadonlySignal<[number, number]>;
  readonly slopes: ReadonlySignal<[number, number]>;
  readonly ends: (() => void)[] = [];

  constructor(readonly app: App, readonly lane: string) {
    this.axis = computed(() => {
      const n = app.described.value?.n ?? 1;
      const asked = Number(app.param("axis") ?? 0);
      return asked >= 0 && asked < n ? asked : 0;
    });
    this.name = computed(() => app.described.value?.names[this.axis.value] ?? "x");
    this.x = computed(() => app.place.value[this.axis.value] ?? 0);
    this.domain = computed(() => {
      const [from, to] = [app.param("low"), app.param("high")];
      const [low, high] = [Number(from), Number(to)];
      if (from !== undefined && to !== undefined && low < high) return [low, high];
      const begun = windowAbout(app.described.value?.start[this.axis.value] ?? 0);
      // A place that was asked for is looked at, wherever the cost itself would begin.
      const here = app.place.peek()[this.axis.value] ?? begun[0];
      return here >= begun[0] && here <= begun[1] ? begun : windowAbout(here);
    });
    this.y = computed(() => {
      if (this.yRange.value) return this.yRange.value;
      const range = this.curve.value?.range() ?? [0, 1];
      const pad = 0.12 * (range[1] - range[0]);
      return [range[0] - pad, range[1] + pad];
    });
    this.slopes = computed(() => {
      const range = this.curve.value?.range("slope") ?? [-1, 1];
      const pad = 0.15 * (range[1] - range[0]);
      return [Math.min(range[0] - pad, 0 - pad / 2), Math.max(range[1] + pad, pad / 2)];
    });
    // The curve belongs to the cost, its window, and the other parameters.
    let asked = "";
    this.ends.push(
      effect(() => {
        const d = app.described.value;
        const [low, high] = this.domain.value;
        if (!d) return;
        const others = app.place.value.map((v, k) => (k === this.axis.value ? 0 : v));
        const key = JSON.stringify([app.about.value, low, high, this.axis.value, others]);
        if (key === asked) return;
        const moved = asked.split(",\"")[0] !== key.split(",\"")[0];
        asked = key;
        const question = { ask: "curve", of: app.about.value, low, high, ...(d.n > 1 ? { axis: this.axis.value, x: app.place.value } : {}) };
        if (moved) this.exact.value = new Map();
        app.ask(`${lane} curve`, question, (frame) => {
          if (!app.trouble(`${lane} curve`, frame.header)) this.curve.value = new Curve(frame);
        });
      }),
    );
    // At every move Python is asked for the exact number; one question is under way, the newest waits.
    this.ends.push(
      effect(() => {
        const d = app.described.value;
        const place = app.place.value;
        if (!d || place.length !== d.n) return;
        this.confirm("point", place);
        for (const [k, pin] of this.pins().entries()) {
          if (!this.exact.value.has(pin)) this.confirm(`pin ${k}`, place.map((v, i) => (i === this.axis.value ? pin : v)));
        }
      }),
    );
  }

  private confirm(lane: string, place: number[]): void {
    const axis = this.axis.peek();
    this.app.ask(`${this.lane} ${lane}`, { ask: "point", of: this.app.about.peek(), x: place }, ({ header }) => {
      if (header.error) return;
      const found: Exact = {
        x: place[axis], value: header.value ?? NaN, slope: header.slope[axis],
        left: header.left?.[axis] ?? null, right: header.right?.[axis] ?? null,
        before: header.left_value?.[axis] ?? null, after: header.right_value?.[axis] ?? null,
      };
      const next = new Map(this.exact.peek());
      next.delete(place[axis]);
      next.set(place[axis], found);
      if (next.size > 500) next.delete(next.keys().next().value!);
      this.exact.value = next;
    });
  }

  pins(): number[] {
    return list(this.app.param("pins"));
  }

  /** What is known at x: exact where Python has answered, else between samples. */
  at(x: number): Here | null {
    const curve = this.curve.value;
    const exact = this.exact.value.get(x);
    const [low, high] = this.domain.value;
    const [bottom, top] = this.y.value;
    if (exact) {
      const slope = exact.slope ?? NaN;
      const word = exact.slope === null ? "no slope here" : wordOf(slope, high - low, top - bottom);
      return { x, f: exact.value, slope, exact: true, word, left: exact.left, right: exact.right, before: exact.before, after: exact.after };
    }
    if (!curve) return null;
    const reading = curve.at(x);
    if (!reading.smooth) return { x, f: NaN, slope: NaN, exact: false, word: "no slope here", left: null, right: null, before: null, after: null };
    return { x, f: reading.f, slope: reading.slope, exact: false, word: wordOf(reading.slope, high - low, top - bottom), left: null, right: null, before: null, after: null };
  }

  /** Move the point; numbers are rounded to what a pixel can tell. */
  move(x: number, step?: number): void {
    const [low, high] = this.domain.peek();
    const grain = step ?? power((high - low) / 400);
    const place = [...this.app.place.peek()];
    place[this.axis.peek()] = Math.min(Math.max(round(x, grain), low), high);
    this.app.set({ x: place.join(",") });
  }

  /** A key's step: a hundredth of the window as a round number. */
  get stride(): number {
    const [low, high] = this.domain.peek();
    return power((high - low) / 60);
  }

  view(x: [number, number], y?: [number, number]): void {
    const tidy = (v: number) => String(Number(v.toPrecision(6)));
    batch(() => {
      this.app.set({ low: tidy(x[0]), high: tidy(x[1]) });
      if (y) this.yRange.value = y;
    });
  }

  zoom(factor: number, about = this.x.peek()): void {
    const [low, high] = this.domain.peek();
    this.yRange.value = null;
    this.view([about + (low - about) * factor, about + (high - about) * factor]);
  }

  close(): void {
    for (const end of this.ends) end();
  }
}

function windowAbout(place: number): [number, number] {
  const reach = Math.max(4, 1.5 * Math.abs(place));
  return Math.abs(place) <= 2 ? [-reach, reach] : [place - reach, place + reach];
}

export function useOne(lane: string): OneParameter {
  const app = useApp();
  const [one] = useState(() => new OneParameter(app, lane));
  useEffect(() => () => one.close(), []);
  return one;
}

/** The expression, or the function's name, as a Python call writes it; a function needs its import. */
export function costInPython(app: App): { before: string; cost: string } {
  const d = app.described.value;
  if (!d) return { before: "import steepest as st\n", cost: "cost" };
  if (d.text !== null) return { before: "import steepest as st\n", cost: JSON.stringify(d.text) };
  return { before: `import steepest as st\nfrom ${d.code.split(":")[0]} import ${d.code.split(":")[1] ?? "cost"}\n`, cost: d.code.split(":")[1] ?? "cost" };
}

/** A place as a Python call takes it. */
export function placeInPython(app: App, place: number[]): string {
  const d = app.described.value;
  if (!d || d.n === 1) return pyNumber(place[0]);
  if (d.text === null && d.names.every((name) => name.includes("["))) return `np.array([${place.map(pyNumber).join(", ")}])`;
  return `{${d.names.map((name, k) => `${JSON.stringify(name)}: ${pyNumber(place[k])}`).join(", ")}}`;
}

export function pyNumber(value: number): string {
  const text = String(value);
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}
