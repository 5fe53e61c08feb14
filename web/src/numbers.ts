/** Numbers as people read them: a true minus, as many digits as say something, powers of ten written as such. */

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export function num(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "undefined";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const [mantissa, exponent] = size.toExponential(Math.max(digits - 2, 0)).split("e");
    const power = Number(exponent);
    const raised = (power < 0 ? "⁻" : "") + [...String(Math.abs(power))].map((d) => RAISED[Number(d)]).join("");
    const front = mantissa.replace(/\.?0+$/, "");
    return `${value < 0 ? "−" : ""}${front === "1" ? "" : `${front} × `}10${raised}`;
  }
  const text = size >= 10 ** digits ? Math.round(size).toLocaleString("en-US") : String(Number(size.toPrecision(digits)));
  return (value < 0 ? "−" : "") + text;
}

/** How many digits tell numbers of this size apart that differ by `step`; four at least, no more than a label has room for. */
function digitsFor(size: number, step: number): number {
  if (!(step > 0) || !(size > 0)) return 4;
  // Powers of ten are written with one digit fewer than the others.
  const digits = Math.floor(Math.log10(size)) - Math.floor(Math.log10(step) + 1e-9) + 1 + Number(size >= 1e6 || size < 1e-4);
  return clamp(digits, 4, 9);
}

/** Numbers beside an axis, each with as many digits as tell it from the next. */
export function labels(values: number[]): string[] {
  const size = Math.max(...values.map(Math.abs));
  const digits = digitsFor(size, values.length > 1 ? Math.abs(values[1] - values[0]) : 0);
  return values.map((v) => num(v, digits));
}

/** A number with as many digits as its error leaves it: down to the second one of the error. */
export function known(value: number, error: number | undefined): string {
  if (!(error! > 0) || !Number.isFinite(error) || value === 0) return num(value, 5);
  const digits = Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(error!)) + 2;
  return num(value, clamp(digits, 1, 12));
}

/** A sentence of Python's with its numbers as the page writes them. */
export function prose(text: string): string {
  return text
    .replace(/<=/g, "≤")
    .replace(/>=/g, "≥")
    .replace(/(^|[\s(])(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?=$|[\s),;:]|\.(?:\s|$))/g, (whole, before, number) =>
      /[-e]/.test(number) ? before + num(Number(number), number.replace(/e.*|\D/g, "").length + Number(/e/.test(number))) : whole,
    );
}

/** A number as Python writes it, all digits kept. */
export function py(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "float('nan')" : value > 0 ? "float('inf')" : "-float('inf')";
  const text = String(value);
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}

/** Text as a Python string literal. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => c);
}

export function round(value: number, step: number): number {
  if (!(step > 0)) return value;
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return Number((Math.round(value / step) * step).toFixed(Math.min(places, 15)));
}

/** The power of ten at or below `size`: what a pixel is rounded to. */
export function power(size: number): number {
  return 10 ** Math.floor(Math.log10(size) + 1e-9);
}

export function seconds(value: number): string {
  if (value < 0.95) return `${num(value, 1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${num(value / 3600, 2)} h`;
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** A number without a power of ten, as attributes of accessibility want it. */
export function decimal(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(20).replace(/\.?0+$/, "") : text;
}

/** How many there are of what, in the number that belongs to it. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
