/** The strip of learning rates: what every rate leads to, and a slider whose stops are the runs that were computed. */

import { num } from "./numbers";
import { Handle, Picture, scale, ticksOf } from "./plane";
import type { Walks } from "./walks";

export function RateStrip({ walks, method, rate, choose }: {
  walks: Walks; method: number; rate: number; choose(rate: number): void;
}) {
  return (
    <Picture label="final cost for every learning rate" class="strip" minimum={80}>
      {({ width, height }) => {
        const m = { left: 52, right: 14, top: 20, bottom: 26 };
        const rates = walks.rates;
        const half = Math.sqrt(rates[1] / rates[0]);
        const sx = scale([rates[0] / half, rates[rates.length - 1] * half], m.left, width - m.right, true);
        const finals = rates.map((_, k) => walks.final(method, k));
        const first = walks.cost(method, 0, 0);
        const finite = finals.filter(Number.isFinite);
        const low = Math.min(...finite, first);
        const high = first;
        const floor = height - m.bottom - 6;
        // The square root spreads what came low; whoever ended above the start stands at the top.
        const sy = (f: number) => (Number.isFinite(f) ? floor - (floor - m.top - 4) * Math.sqrt(Math.min(Math.max((f - low) / (high - low || 1), 0), 1)) : m.top + 2);
        const bands: { fate: string; from: number; to: number }[] = [];
        rates.forEach((r, k) => {
          const fate = walks.fate(method, k);
          const last = bands[bands.length - 1];
          if (last?.fate === fate) last.to = r * half;
          else bands.push({ fate, from: r / half, to: r * half });
        });
        const critical = 2 / walks.curvature;
        const at = sx(rates[rate]);
        const plain = walks.methods[method].key === "descent";
        return (
          <>
            <defs>
              <pattern id="dots" width="7" height="7" patternUnits="userSpaceOnUse"><circle class="speck" cx="2" cy="2" r="0.9" /></pattern>
              <pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="speck-line" x1="0" x2="0" y2="8" /></pattern>
              <pattern id="cross" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="speck-line" d="M0 0H6M0 0V6" /></pattern>
            </defs>
            <g aria-hidden="true">
              {bands.map(({ fate, from, to }) => (
                <g class={`fate ${fate}`}>
                  <rect x={sx(from)} width={Math.max(sx(to) - sx(from), 0)} y={m.top - 4} height={floor - m.top + 8} />
                  {sx(to) - sx(from) > 62 && <text x={(sx(from) + sx(to)) / 2} y={m.top - 8} text-anchor="middle">{fate}</text>}
                </g>
              ))}
              {finals.map((f, k) => <circle class={Number.isFinite(f) ? "stop" : "stop gone"} cx={sx(rates[k])} cy={sy(f)} r={2.4} />)}
              {plain && critical > rates[0] && critical < rates[rates.length - 1] && (
                <g class="critical">
                  <line x1={sx(critical)} x2={sx(critical)} y1={m.top - 4} y2={height - m.bottom} />
                  <text x={sx(critical) - 5} y={m.top + 12} text-anchor="end">2/L = {num(critical, 3)}</text>
                </g>
              )}
              {ticksOf(sx, Math.max(3, Math.floor(width / 110))).map((v) => <text class="tick" x={sx(v)} y={height - 9} text-anchor="middle">{num(v, 3)}</text>)}
              <text class="tick" x={4} y={height - 9}>rate</text>
              <line class="drop" x1={at} x2={at} y1={m.top} y2={height - m.bottom} />
            </g>
            <Handle
              label="learning rate" cx={at} cy={sy(finals[rate])} value={rates[rate]} low={rates[0]} high={rates[rates.length - 1]}
              text={`rate ${num(rates[rate], 3)}, ${walks.fate(method, rate)}, ${Number.isFinite(finals[rate]) ? `final cost ${num(finals[rate])}` : `not finite after step ${walks.ended(method, rate)}`}`}
              onPixel={(px) => choose(walks.nearest(sx.back(px)))}
              onStep={(right, up) => choose(Math.min(Math.max(rate + Math.sign(right || up) * (Math.abs(right || up) >= 10 ? 10 : 1), 0), rates.length - 1))}
              onEnd={(which) => choose(which === "low" ? 0 : rates.length - 1)}
            />
          </>
        );
      }}
    </Picture>
  );
}
