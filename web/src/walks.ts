/** Walks that Python computed for a whole scale of rates; the slider only chooses among them. */

import type { Frame, Numbers } from "./frames";

export interface MethodInfo {
  key: string;
  name: string;
  momentum: number;
  line: string;
}

export class Walks {
  readonly methods: MethodInfo[];
  readonly rates: number[];
  readonly steps: number;
  readonly n: number;
  readonly curvature: number;
  readonly fateWords: string[];
  private readonly x: Numbers;
  private readonly f: Numbers;
  private readonly ends: Numbers;
  private readonly fateOf: Numbers;

  constructor(frame: Frame) {
    const { header, arrays, shapes } = frame;
    this.methods = header.methods;
    this.rates = [...arrays.rates];
    this.steps = header.steps;
    this.n = shapes.x[3];
    this.curvature = header.curvature;
    this.fateWords = header.fate_words;
    [this.x, this.f, this.ends, this.fateOf] = [arrays.x, arrays.f, arrays.ended, arrays.fates];
  }

  private run(method: number, rate: number): number {
    return method * this.rates.length + rate;
  }

  /** The last step with a finite cost. */
  ended(method: number, rate: number): number {
    return this.ends[this.run(method, rate)];
  }

  fate(method: number, rate: number): string {
    return this.fateWords[this.fateOf[this.run(method, rate)]];
  }

  cost(method: number, rate: number, step: number): number {
    return this.f[this.run(method, rate) * (this.steps + 1) + step];
  }

  place(method: number, rate: number, step: number): number[] {
    const at = (this.run(method, rate) * (this.steps + 1) + step) * this.n;
    return Array.from(this.x.slice(at, at + this.n));
  }

  /** The cost after the last step; NaN where the run did not stay finite. */
  final(method: number, rate: number): number {
    return this.ended(method, rate) < this.steps ? NaN : this.cost(method, rate, this.steps);
  }

  /** The stop nearest to a rate, in powers of ten. */
  nearest(rate: number): number {
    let best = 0;
    this.rates.forEach((r, k) => {
      if (Math.abs(Math.log(r / rate)) < Math.abs(Math.log(this.rates[best] / rate))) best = k;
    });
    return best;
  }

  fateSentence(method: number, rate: number): string {
    const fate = this.fate(method, rate);
    const first = this.cost(method, rate, 0);
    const end = this.ended(method, rate);
    if (fate === "diverging") {
      if (end < this.steps) return `each step overshoots by more than it gains: from step ${end + 1} on the cost is no longer finite.`;
      return `each step overshoots by more than it gains: the cost has grown past a million times its start.`;
    }
    if (fate === "bouncing") return "it leaps from side to side and still comes lower.";
    if (fate === "creeping") {
      let lowest = Infinity;
      for (let m = 0; m < this.methods.length; m++) for (let k = 0; k < this.rates.length; k++) lowest = Math.min(lowest, this.final(m, k) || Infinity);
      const share = (first - this.final(method, rate)) / (first - lowest || 1);
      return `${this.steps} steps cover ${Math.max(0, Math.round(100 * share))}% of the fall that the best run makes.`;
    }
    return "it arrives.";
  }
}
