/** Marks and colours, from the one table that Python, pictures and terminal use too. */

import shared from "./shared.json";

export type Word = "falling" | "flat" | "rising" | "no slope here";
const MARKS = shared.marks as Record<Word, { arrow: string; dash: number[] | null; light: string; dark: string }>;

/** Flat is said where the curve rises or falls by less than this share of the picture's height across its width. */
export const FLAT_SHARE = 0.005;

export function wordOf(slope: number, width: number, height: number): Word {
  if (!Number.isFinite(slope)) return "no slope here";
  if (Math.abs(slope) * width <= FLAT_SHARE * height) return "flat";
  return slope < 0 ? "falling" : "rising";
}

export const arrowOf = (word: Word) => MARKS[word].arrow;
export const colourOf = (word: Word, dark: boolean) => MARKS[word][dark ? "dark" : "light"];
export function dashOf(word: Word, width: number): string | undefined {
  const dash = MARKS[word].dash;
  return dash?.length ? dash.map((part) => part * width).join(" ") : undefined;
}

/** Methods: colour (Okabe & Ito 2008, and ink), dash and end mark together; colour never alone. */
export const PATHS = [
  { light: "#0072B2", dark: "#56B4E9", dash: "", end: "circle" },
  { light: "#D55E00", dark: "#F08A3C", dash: "7 3", end: "square" },
  { light: "#8A3A75", dark: "#DB93C0", dash: "2 3", end: "diamond" },
  { light: "#00795A", dark: "#2FC39A", dash: "9 3 2 3", end: "triangle" },
  { light: "#7A5B00", dark: "#E5B93C", dash: "4 2", end: "cross" },
  { light: "#1A1D21", dark: "#E8EAED", dash: "", end: "ring" },
  { light: "#4B4FA8", dark: "#A3A7F2", dash: "12 4", end: "star" },
  { light: "#5A5A5A", dark: "#B5B5B5", dash: "1 4", end: "bar" },
] as const;

export function endMark(kind: string, x: number, y: number, r: number): string {
  const p = (...points: [number, number][]) => points.map(([a, b], i) => `${i ? "L" : "M"}${(x + a * r).toFixed(1)},${(y + b * r).toFixed(1)}`).join("") + "Z";
  switch (kind) {
    case "square": return p([-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]);
    case "diamond": return p([0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]);
    case "triangle": return p([0, -1.2], [1.1, 0.85], [-1.1, 0.85]);
    case "star": return p([0, -1.3], [0.35, -0.35], [1.3, 0], [0.35, 0.35], [0, 1.3], [-0.35, 0.35], [-1.3, 0], [-0.35, -0.35]);
    case "bar": return p([-0.4, -1.2], [0.4, -1.2], [0.4, 1.2], [-0.4, 1.2]);
    case "cross": return p([-0.35, -1.1], [0.35, -1.1], [0.35, -0.35], [1.1, -0.35], [1.1, 0.35], [0.35, 0.35], [0.35, 1.1], [-0.35, 1.1], [-0.35, 0.35], [-1.1, 0.35], [-1.1, -0.35], [-0.35, -0.35]);
    default: return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
  }
}

/** Heights: viridis (van der Walt & Smith 2015) at eleven places, even to the eye and to those who see no red. */
const VIRIDIS = ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725"];
const PAPER = { light: [255, 255, 255], dark: [26, 31, 40] };
/** Share of paper mixed in, so that paths and points stand out. */
const CALM = { light: 0.45, dark: 0.42 };

export function heightColour(share: number, dark: boolean): string {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mix = (i: number) => {
    const [a, b] = [VIRIDIS[k], VIRIDIS[k + 1]].map((hex) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
    const pure = a + (b - a) * (at - k);
    const theme = dark ? "dark" : "light";
    return Math.round(pure + (PAPER[theme][i] - pure) * CALM[theme]);
  };
  return `rgb(${mix(0)},${mix(1)},${mix(2)})`;
}
