/** Exact samples of a cost and its slope, and the cubic Hermite interpolant between them. */

import type { Frame, Numbers } from "./frames";

export interface Reading {
  f: number;
  slope: number;
  /** Whether the two samples around may be joined; where not, only Python knows. */
  smooth: boolean;
}

export class Curve {
  readonly x: Numbers;
  readonly f: Numbers;
  readonly slope: Numbers;
  readonly smooth: Numbers;
  readonly finished: boolean;

  constructor(frame: Frame) {
    ({ x: this.x, f: this.f, slope: this.slope, smooth: this.smooth } = frame.arrays);
    this.finished = frame.header.finished;
  }

  get low(): number {
    return this.x[0];
  }

  get high(): number {
    return this.x[this.x.length - 1];
  }

  /** Index of the stretch that holds x. */
  private stretch(x: number): number {
    let low = 0;
    let high = this.x.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.x[middle] <= x) low = middle;
      else high = middle;
    }
    return low;
  }

  at(x: number): Reading {
    const k = this.stretch(x);
    const h = this.x[k + 1] - this.x[k];
    const t = (x - this.x[k]) / h;
    const [f0, f1, g0, g1] = [this.f[k], this.f[k + 1], this.slope[k] * h, this.slope[k + 1] * h];
    const smooth = !!this.smooth[k] && t >= 0 && t <= 1;
    const t2 = t * t;
    const t3 = t2 * t;
    return {
      f: (2 * t3 - 3 * t2 + 1) * f0 + (t3 - 2 * t2 + t) * g0 + (3 * t2 - 2 * t3) * f1 + (t3 - t2) * g1,
      slope: ((6 * t2 - 6 * t) * (f0 - f1) + (3 * t2 - 4 * t + 1) * g0 + (3 * t2 - 2 * t) * g1) / h,
      smooth,
    };
  }

  /** Bend of the interpolant: on which side of a tangent the curve lies. */
  bend(x: number): number {
    const k = this.stretch(x);
    return this.slope[k + 1] - this.slope[k];
  }

  /** The interpolant as an SVG path, exactly: a Hermite cubic is a Bézier cubic. Broken where it is not smooth. */
  path(sx: (x: number) => number, sy: (y: number) => number, part: "f" | "slope" = "f"): string {
    const out: string[] = [];
    let open = false;
    const safe = (y: number) => Math.min(Math.max(sy(y), -1e5), 1e5).toFixed(2);
    const v = part === "f" ? this.f : this.slope;
    for (let k = 0; k + 1 < this.x.length; k++) {
      if (!this.smooth[k] || !Number.isFinite(v[k]) || !Number.isFinite(v[k + 1])) {
        open = false;
        continue;
      }
      const [x0, x1] = [this.x[k], this.x[k + 1]];
      const third = (x1 - x0) / 3;
      if (!open) out.push(`M${sx(x0).toFixed(2)},${safe(v[k])}`);
      if (part === "f") {
        const [a, b] = [v[k] + this.slope[k] * third, v[k + 1] - this.slope[k + 1] * third];
        out.push(`C${sx(x0 + third).toFixed(2)},${safe(a)} ${sx(x1 - third).toFixed(2)},${safe(b)} ${sx(x1).toFixed(2)},${safe(v[k + 1])}`);
      } else {
        out.push(`L${sx(x1).toFixed(2)},${safe(v[k + 1])}`);
      }
      open = true;
    }
    return out.join("");
  }

  /** Range to show: everything, unless a few places run far away from the rest. */
  range(part: "f" | "slope" = "f"): [number, number] {
    const seen: number[] = [];
    const count = 240;
    for (let i = 0; i <= count; i++) {
      const reading = this.at(this.low + ((this.high - this.low) * i) / count);
      const value = part === "f" ? reading.f : reading.slope;
      if (reading.smooth && Number.isFinite(value)) seen.push(value);
    }
    return spread(seen);
  }
}

export function spread(seen: number[]): [number, number] {
  if (!seen.length) return [-1, 1];
  seen.sort((a, b) => a - b);
  const at = (share: number) => seen[Math.round(share * (seen.length - 1))];
  let [low, high] = [seen[0], seen[seen.length - 1]];
  const [q1, q3] = [at(0.06), at(0.94)];
  const middle = q3 - q1 || Math.abs(q3) || 1;
  if (high > q3 + 3 * middle) high = q3 + 0.6 * middle;
  if (low < q1 - 3 * middle) low = q1 - 0.6 * middle;
  if (high === low) return [low - (Math.abs(low) || 1), high + (Math.abs(high) || 1)];
  return [low, high];
}
