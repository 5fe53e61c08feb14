/** What was found: a verdict with every piece of its evidence, and the picture that shows it. */

import { signal, type Signal } from "@preact/signals";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useApp, type App } from "../app";
import { CurveLine } from "../drawn";
import { Screen, Trouble } from "../frame";
import type { Frame } from "../frames";
import { counted, num, prose, quoted } from "../numbers";
import { costInPython, placeInPython, useOne, type OneParameter } from "../one";
import { Axes, Handle, MARGINS, Picture, scale, usePanZoom } from "../plane";
import { Above, Under, usePlane, type Plane } from "./landscape";
import { Zoom } from "./slope";

// Parameters whose values are shown.
const TOLD = 6;

interface Evidence { name: string; measured: number | null; limit: number | null; holds: boolean; how: string }

export function FoundScreen() {
  const app = useApp();
  return (app.described.value ?? app.last.value)?.n === 1 ? <FoundOne /> : app.last.value ? <FoundTwo /> : null;
}

function useFound(app: App): Signal<Frame | null> {
  const [found] = useState(() => signal<Frame | null>(null));
  const place = app.place.value.join();
  const about = JSON.stringify(app.about.value);
  const ready = app.described.value !== null;
  useEffect(() => {
    if (!ready) return;
    app.ask("found", { ask: "found", of: app.about.peek(), x: app.place.peek() }, (frame) => {
      if (!app.trouble("found", frame.header)) found.value = frame;
    });
  }, [place, about, ready]);
  return found;
}

function useBasins(app: App, question: () => Record<string, unknown> | null, key: string): [Signal<Frame | null>, () => void] {
  const [basins] = useState(() => signal<Frame | null>(null));
  useEffect(() => void (basins.value = null), [key]);
  const go = () => {
    const extra = question();
    if (!extra) return;
    app.ask("basins", { ask: "basins", of: app.about.peek(), x: app.place.peek(), ...extra }, (frame) => {
      if (!frame.header.error) basins.value = frame;
    });
  };
  return [basins, go];
}

function FoundOne() {
  const app = useApp();
  const one = useOne("found");
  const found = useFound(app);
  const [shown] = useState(() => signal(""));
  const [basins, goBasins] = useBasins(app, () => ({ low: one.domain.peek()[0], high: one.domain.peek()[1] }), JSON.stringify([app.about.value, one.domain.value]));
  return (
    <Screen
      name="found" title="What was found" say={() => sayIt(app)}
      picture={<>
        <Picture label="the walk and where it ended" class="tall">{(size) => <CurveFound one={one} found={found.value} basins={basins.value} shown={shown.value} {...size} />}</Picture>
        <Zoom one={one} />
      </>}
      panel={<Card app={app} found={found.value} shown={shown} basins={basins.value} goBasins={goBasins} />}
    />
  );
}

function FoundTwo() {
  const app = useApp();
  const plane = usePlane("found");
  const found = useFound(app);
  const [shown] = useState(() => signal(""));
  const [basins, goBasins] = useBasins(app, () => (plane.window ? { window: plane.window, axes: plane.axes, count: 10 } : null), JSON.stringify([app.about.value, plane.window]));
  return (
    <Screen
      name="found" title="What was found" say={() => sayIt(app)}
      picture={<Picture label="the walk and where it ended" class="tall" under={(size) => <Under plane={plane} {...size} />}>
        {(size) => <PlaneFound plane={plane} found={found.value} basins={basins.value} shown={shown.value} {...size} />}
      </Picture>}
      panel={<Card app={app} found={found.value} shown={shown} basins={basins.value} goBasins={goBasins} />}
    />
  );
}

function sayIt(app: App): string {
  const { before, cost } = costInPython(app);
  const place = placeInPython(app, app.place.value);
  return `${place.startsWith("np.") ? "import numpy as np\n" : ""}${before}print(st.minimize(${cost}, ${place}))`;
}

function Card({ app, found, shown, basins, goBasins }: { app: App; found: Frame | null; shown: Signal<string>; basins: Frame | null; goBasins(): void }) {
  if (!found) return <><p class="soft">walking down …</p><Trouble /></>;
  const h = found.header;
  const names = app.described.value?.names ?? [];
  const digits = h.digits as number[] | null;
  const isNumber = Number.isFinite(h.value);  // else nothing is lower than it, nor exact
  return (
    <>
      <section class={h.is_minimum ? "verdict yes" : "verdict"} aria-label="verdict">
        <h2><span aria-hidden="true">{h.is_minimum ? "✓" : "◌"}</span> {h.verdict}</h2>
        <p>{prose(h.sentence)}</p>
        {h.next_step && <p class="soft">{prose(h.next_step)}</p>}
      </section>
      <dl class="bigs">
        {(h.x as number[]).slice(0, TOLD).map((v, k) => (
          <div class="big"><dt>{names[k]}</dt><dd><span class="number">{num(v, 7)}</span>{digits && <> <span class="unit whole">{trusted(digits[k])}</span></>}</dd></div>
        ))}
        <div class="big"><dt>cost</dt><dd><span class="number">{num(h.value, 6)}</span>{isNumber && <span class="badge exact">exact</span>}</dd></div>
      </dl>
      {h.x.length > TOLD && <p class="soft">and {counted(h.x.length - TOLD, "more parameter")}</p>}
      <p class="soft">{counted(h.steps, "step")}, {counted(h.evaluations, "evaluation")}, {h.method}</p>
      <div class="evidence">
        <h3>why</h3>
        {(h.evidence as Evidence[]).map((item) => (
          <button class={item.holds ? "piece holds" : "piece"} aria-pressed={shown.value === item.name} title={item.how} onClick={() => (shown.value = shown.value === item.name ? "" : item.name)}>
            <span class="tick" aria-hidden="true">{item.holds ? "✓" : "✕"}</span>
            <span><b>{item.name}</b>{item.measured !== null && <> {num(item.measured, 3)}{item.limit !== null && <small> limit {num(item.limit, 3)}</small>}</>}<small class="how">{shown.value === item.name ? prose(item.how) : ""}</small></span>
            <span class="hidden">{item.holds ? "holds" : "fails"}</span>
          </button>
        ))}
        {isNumber && <button class={h.lowest_nearby < 0 ? "piece" : "piece holds"} aria-pressed={shown.value === "tries"} onClick={() => (shown.value = shown.value === "tries" ? "" : "tries")}>
          <span class="tick" aria-hidden="true">{h.lowest_nearby < 0 ? "✕" : "✓"}</span>
          <span>{h.lowest_nearby < 0 ? <><b>lower nearby</b> by {num(-h.lowest_nearby, 3)} among {h.tries.toLocaleString("en-US")} tries</> : <>lower than everything tried nearby <small>({h.tries.toLocaleString("en-US")} tries)</small></>}</span>
        </button>}
      </div>
      <button onClick={goBasins}>{basins ? `${basins.shapes.values[0]} starts` : "walk from 100 starts"}</button>
      {basins && <Ends basins={basins} value={h.value} />}
      <Trouble />
    </>
  );
}

/** Ends that differ by more than rounding, the lowest first. */
function distinct(basins: Frame): { place: number[]; value: number; count: number; members: number[] }[] {
  const width = basins.shapes.ends[1];
  const [ends, values] = [basins.arrays.ends, basins.arrays.values];
  const reach = Math.max(...Array.from(basins.arrays.starts, Math.abs), 1);
  const out: { place: number[]; value: number; count: number; members: number[] }[] = [];
  for (let k = 0; k < values.length; k++) {
    const place = Array.from(ends.slice(k * width, (k + 1) * width));
    const same = out.find((o) => o.place.every((v, i) => Math.abs(v - place[i]) <= 2e-3 * reach));
    if (same) {
      same.count++;
      same.members.push(k);
      same.value = Math.min(same.value, values[k]);
    } else out.push({ place, value: values[k], count: 1, members: [k] });
  }
  return out.sort((a, b) => (Number.isFinite(a.value) ? a.value : Infinity) - (Number.isFinite(b.value) ? b.value : Infinity));
}

const MARKS = ["A", "B", "C", "D", "E", "F", "G", "H"];

function Ends({ basins, value }: { basins: Frame; value: number }) {
  // The panel may be longer than the window: what was asked for is brought into sight.
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.scrollIntoView({ block: "nearest" }), [basins.header.finished]);
  const groups = distinct(basins);
  const lowest = groups[0]?.value;
  const lower = Number.isFinite(lowest) && lowest < value - 1e-9 * Math.max(1, Math.abs(value));
  return (
    <div class="ends" ref={list}>
      {lower && <p class="warn">Not the lowest: start A ended {num(value - lowest, 3)} lower.</p>}
      {!lower && basins.header.finished && <p class="soft">No start ended lower.</p>}
      <ul>{groups.slice(0, 6).map((g, k) => <li><b>{MARKS[k]}</b> {counted(g.count, "start")} {g.count === 1 ? "ends" : "end"} at {g.place.map((v) => num(v, 3)).join(", ")}: cost {num(g.value, 4)}</li>)}</ul>
    </div>
  );
}

function CurveFound({ one, found, basins, shown, width, height }: { one: OneParameter; found: Frame | null; basins: Frame | null; shown: string; width: number; height: number }) {
  const clip = useId();
  const app = useApp();
  const sx = scale(one.domain.value, MARGINS.left, width - MARGINS.right);
  const sy = scale(one.y.value, height - MARGINS.bottom - 22, MARGINS.top);
  const pan = usePanZoom(() => ({ x: one.domain.peek(), y: one.y.peek() }), () => sx, () => sy, (x, y) => one.view(x, y));
  const curve = one.curve.value;
  const x = one.x.value;
  const here = one.at(x);
  const [low, high] = one.domain.value;
  const h = found?.header;
  const groups = basins ? distinct(basins) : [];
  return (
    <>
      <rect class="ground" width={width} height={height} {...pan} />
      <Axes sx={sx} sy={sy} width={width} height={height} x={one.name.value} y="cost" lift={28} />
      <clipPath id={clip}><rect x={MARGINS.left} y={0} width={width - MARGINS.left - MARGINS.right} height={height - MARGINS.bottom + 2} /></clipPath>
      <g clip-path={`url(#${clip})`} aria-hidden="true">
        {h && shown === "tries" && <rect class="tried" x={sx(h.x[0] - h.radius[0])} width={sx(h.x[0] + h.radius[0]) - sx(h.x[0] - h.radius[0])} y={MARGINS.top} height={height - MARGINS.bottom - MARGINS.top} />}
        {curve && <CurveLine d={curve.path(sx, sy)} />}
        {found && Array.from(found.arrays.x).map((v, k) => Number.isFinite(found.arrays.f[k]) && <circle class="trail" cx={sx(v)} cy={sy(found.arrays.f[k])} r={3.5} />)}
        {h && Number.isFinite(h.value) && <g class="end-point"><line x1={sx(h.x[0]) - 60} x2={sx(h.x[0]) + 60} y1={sy(h.value)} y2={sy(h.value)} /><circle cx={sx(h.x[0])} cy={sy(h.value)} r={8} /></g>}
        {groups.slice(0, 8).map((g, k) => g.members.map((m) => <text class="basin" x={sx(basins!.arrays.starts[m])} y={height - MARGINS.bottom - 8} text-anchor="middle" data-group={k}>{MARKS[k]}</text>))}
      </g>
      {here && Number.isFinite(here.f) && (
        <Handle
          label={`start, ${one.name.value}`} cx={sx(x)} cy={sy(here.f)} value={x} low={low} high={high} text={`start at ${one.name.value} ${num(x)}, cost ${num(here.f)}`}
          onPixel={(px) => one.move(sx.back(px))}
          onStep={(right, up) => one.move(x + (right || up) * one.stride, one.stride / 50)}
          onEnd={(which) => one.move(which === "low" ? low : high)}
        />
      )}
      <title>{quoted(app.described.value?.label ?? "")}</title>
    </>
  );
}

function PlaneFound({ plane, found, basins, shown, width, height }: { plane: Plane; found: Frame | null; basins: Frame | null; shown: string; width: number; height: number }) {
  const [a, b] = plane.axes;
  const h = found?.header;
  const path = found && {
    key: "found", name: "walk", line: "", style: 5, note: "", evaluations: [],
    x: Array.from(found.arrays.f).map((_, k) => { const n = found.shapes.x[1]; return [found.arrays.x[k * n + a], found.arrays.x[k * n + b]] as [number, number]; }),
    f: Array.from(found.arrays.f),
  };
  const groups = basins ? distinct(basins) : [];
  return (
    <Above plane={plane} paths={path ? [path] : []} width={width} height={height}>
      {(sx, sy) => (
        <g aria-hidden="true">
          {groups.slice(0, 8).map((g, k) => g.members.map((m) => <text class="basin" x={sx(basins!.arrays.starts[2 * m])} y={sy(basins!.arrays.starts[2 * m + 1])} dy="0.35em" text-anchor="middle">{MARKS[k]}</text>))}
          {h && shown === "tries" && <rect class="tried" x={sx(h.x[a] - h.radius[a])} width={sx(h.x[a] + h.radius[a]) - sx(h.x[a] - h.radius[a])} y={sy(h.x[b] + h.radius[b])} height={sy(h.x[b] - h.radius[b]) - sy(h.x[b] + h.radius[b])} />}
          {h && <g class="end-point"><circle cx={sx(h.x[a])} cy={sy(h.x[b])} r={8} /></g>}
        </g>
      )}
    </Above>
  );
}

/** How many digits can be trusted, in words. */
function trusted(digits: number): string {
  const whole = Math.floor(digits);
  return whole > 0 ? `${counted(whole, "digit")} to trust` : "no digit to trust";
}
