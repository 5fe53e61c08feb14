/** Open: eight small live pictures; whatever is touched moves, and a click goes in. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { useApp } from "../app";
import { Contours, heightsOf, type Heights } from "../contour";
import { Curve } from "../curve";
import { CurveLine } from "../drawn";
import { arrowOf, colourOf, dashOf, wordOf } from "../look";
import { num } from "../numbers";
import { Picture, scale } from "../plane";

interface Card {
  name: string;
  text: string;
  screen: string;
  low?: number;
  high?: number;
  window?: [number, number, number, number];
  state?: Record<string, string>;
}

const CARDS: Card[] = [
  { name: "A parabola", text: "x**2 - 2*x + 3", screen: "slope", low: -2, high: 4, state: { x: "1.2", pins: "-1,1,3" } },
  { name: "Two valleys", text: "x**4/4 - x**2 + x/4", screen: "walk", low: -2.2, high: 2.2, state: { x: "1.8" } },
  { name: "A wiggle", text: "sin(5*x)/2 + (x-1)**2/4", screen: "slope", low: -3, high: 5, state: { x: "2" } },
  { name: "A kink", text: "abs(x - 1) + x**2/4", screen: "slope", low: -3, high: 4, state: { x: "1" } },
  { name: "A cliff", text: "where(x < 0.5, 2 - x, x**2/3)", screen: "slope", low: -2, high: 4, state: { x: "0" } },
  { name: "A bent valley", text: "(1-x)**2 + 100*(y-x**2)**2", screen: "landscape", window: [-1.8, 1.8, -0.8, 2.2], state: { x: "-1.2,1" } },
  { name: "Six hollows", text: "(4 - 2.1*x**2 + x**4/3)*x**2 + x*y + (4*y**2 - 4)*y**2", screen: "found", window: [-2, 2, -1.2, 1.2], state: { x: "1.5,0.9" } },
  { name: "A small net", text: "(tanh(a) - 0.8)**2 + (tanh(a + b) - 0.2)**2 + (tanh(a - b) + 0.5)**2", screen: "landscape", window: [-2, 3, -3, 3], state: { x: "-1.5,-2" } },
];

export function OpenScreen() {
  return (
    <article class="screen open" data-screen="open" aria-label="open">
      <h1 class="hidden">Pick a landscape, or type your own above</h1>
      <div class="cards">{CARDS.map((card, k) => <CardPicture key={card.name} card={card} k={k} />)}</div>
      <p class="soft center">or type a formula above: letters are parameters, and every picture is live</p>
    </article>
  );
}

function CardPicture({ card, k }: { card: Card; k: number }) {
  const app = useApp();
  const [curve] = useState(() => signal<Curve | null>(null));
  const [heights] = useState(() => signal<Heights | null>(null));
  const [x] = useState(() => signal((card.low ?? 0) + 0.3 * ((card.high ?? 1) - (card.low ?? 0))));
  useEffect(() => {
    const of = { text: card.text };
    if (card.window) {
      const at = card.state!.x.split(",").map(Number);
      app.ask(`card ${k}`, { ask: "grid", of, x: at, window: card.window, size: [71, 71] }, (frame) => {
        if (!frame.header.error) heights.value = heightsOf(frame);
      });
    } else {
      app.ask(`card ${k}`, { ask: "curve", of, low: card.low, high: card.high }, (frame) => {
        if (!frame.header.error) curve.value = new Curve(frame);
      });
    }
  }, []);
  const state = card.window ? { ...card.state, window: card.window.join(",") } : { ...card.state, low: String(card.low), high: String(card.high) };
  const target = { f: card.text, ...state };
  return (
    <a class="card" href={app.fragment(card.screen, target)} onClick={(e) => { if (e.ctrlKey || e.metaKey) return; e.preventDefault(); app.look(card.text, card.screen, state); }}
      onPointerMove={(e) => {
        const box = e.currentTarget.getBoundingClientRect();
        if (card.low !== undefined) x.value = card.low + ((e.clientX - box.left) / box.width) * (card.high! - card.low);
      }}>
      <Picture label={card.name} class="thumb" minimum={60} under={({ width, height }) => heights.value && <Contours heights={heights.value} view={card.window!} width={width} height={height} margins={{ left: 0, right: 0, top: 0, bottom: 0 }} />}>
        {({ width, height }) => {
          const c = curve.value;
          if (!c) return heights.value ? null : <text class="coming" x={width / 2} y={height / 2} text-anchor="middle" aria-hidden="true">…</text>;
          const range = c.range();
          const sx = scale([card.low!, card.high!], 0, width);
          const sy = scale([range[0], range[1]], height - 12, 14);
          const reading = c.at(x.value);
          const word = wordOf(reading.slope, card.high! - card.low!, range[1] - range[0]);
          const tilt = (sy(reading.slope) - sy(0)) / (sx(1) - sx(0));
          const reach = 46 / Math.hypot(1, tilt);
          const [px, py] = [sx(x.value), sy(reading.f)];
          return (
            <g aria-hidden="true">
              <CurveLine d={c.path(sx, sy)} />
              {reading.smooth && <>
                <line class="tangent" x1={px - reach} x2={px + reach} y1={py - reach * tilt} y2={py + reach * tilt} stroke={colourOf(word, app.dark.value)} stroke-dasharray={dashOf(word, 3)} />
                <circle class="ball" cx={px} cy={py} r={5} />
                <text class="mark-label" x={10} y={18}>{num(reading.slope, 2)} {arrowOf(word)}</text>
              </>}
            </g>
          );
        }}
      </Picture>
      <span class="caption"><b>{card.name}</b><code>{card.text}</code></span>
    </a>
  );
}
