/** Slope: drag the point and feel the curve rise and fall; its slope is drawn below as a curve of its own. */

import { useId } from "preact/hooks";
import { useApp } from "../app";
import { Bands, CurveLine, Drop, Tangent, Triangle } from "../drawn";
import { Badge, Big, Direction, Screen, Trouble } from "../frame";
import { FLAT_SHARE } from "../look";
import { num } from "../numbers";
import { costInPython, placeInPython, pyNumber, useOne, type OneParameter } from "../one";
import { Axes, Handle, MARGINS, Picture, scale, usePanZoom, type Scale } from "../plane";

export function SlopeScreen() {
  const app = useApp();
  const one = useOne("slope");
  return (
    <Screen
      name="slope"
      title="The slope under your feet"
      say={() => sayIt(one)}
      picture={<>
        <Picture label="the cost and its tangents" class="tall">{(size) => <CostPicture one={one} {...size} />}</Picture>
        <Picture label="the slope of the cost" class="low">{(size) => <SlopePicture one={one} {...size} />}</Picture>
        <Zoom one={one} />
      </>}
      panel={<>
        <Numbers one={one} />
        <AxisChoice one={one} />
        <Pins one={one} />
        <Trouble />
        {!app.still && <Next one={one} />}
      </>}
    />
  );
}

export function sayIt(one: OneParameter): string {
  const { app } = one;
  const { before, cost } = costInPython(app);
  const n = app.described.value?.n ?? 1;
  const places = n === 1 ? [...new Set([...one.pins(), one.x.value])] : [];
  const at = n === 1 ? (places.length === 1 ? pyNumber(places[0]) : `[${places.map(pyNumber).join(", ")}]`) : placeInPython(app, app.place.value);
  return n === 1 ? `${before}st.plots.slope(st.slope(${cost}, at=${at}))` : `${before}st.slope(${cost}, at=${at})`;
}

function CostPicture({ one, width, height }: { one: OneParameter; width: number; height: number }) {
  const clip = useId();
  const { app } = one;
  const sx = scale(one.domain.value, MARGINS.left, width - MARGINS.right);
  const sy = scale(one.y.value, height - MARGINS.bottom - 22, MARGINS.top);
  const curve = one.curve.value;
  const pan = usePanZoom(() => ({ x: one.domain.peek(), y: one.y.peek() }), () => sx, () => sy, (x, y) => one.view(x, y));
  return (
    <>
      <rect class="ground" width={width} height={height} {...pan} onDblClick={(e) => pinAt(one, sx.back(e.offsetX))} />
      <Axes sx={sx} sy={sy} width={width} height={height} x={one.name.value} y="cost" lift={28} />
      <clipPath id={clip}><rect x={MARGINS.left} y={0} width={width - MARGINS.left - MARGINS.right} height={height - MARGINS.bottom + 2} /></clipPath>
      <g clip-path={`url(#${clip})`}>
        {curve && <Bands curve={curve} sx={sx} y={height - MARGINS.bottom - 6} height={5} dark={app.dark.value} span={one.y.value} />}
        {curve && <CurveLine d={curve.path(sx, sy)} />}
        <Pinned one={one} sx={sx} sy={sy} />
      </g>
      <Moving one={one} sx={sx} sy={sy} foot={height - MARGINS.bottom} clip={clip} />
    </>
  );
}

function pinAt(one: OneParameter, x: number): void {
  const near = Number(x.toPrecision(3));
  const pins = one.pins();
  one.app.set({ pins: [...pins, near].join(",") }, true);
}

function Pinned({ one, sx, sy }: { one: OneParameter; sx: Scale; sy: Scale }) {
  return (
    <>
      {one.pins().map((x) => {
        const here = one.at(x);
        if (!here) return null;
        const apart = Math.abs(sx(x) - sx(one.x.value)) > 110 || Math.abs(sy(here.f) - sy(one.at(one.x.value)?.f ?? 0)) > 50;
        return (
          <g key={x}>
            <Tangent here={here} sx={sx} sy={sy} below={(one.curve.value?.bend(x) ?? 1) >= 0} faint label={apart || x === one.x.value} />
            <circle class="pin" cx={sx(x)} cy={sy(here.f)} r={4} aria-hidden="true" />
          </g>
        );
      })}
    </>
  );
}

/** All that moves with the finger, and nothing else. */
function Moving({ one, sx, sy, foot, clip }: { one: OneParameter; sx: Scale; sy: Scale; foot: number; clip: string }) {
  const x = one.x.value;
  const here = one.at(x);
  const [low, high] = one.domain.value;
  if (!here) return null;
  const fine = Number.isFinite(here.f);
  const [px, py] = [sx(x), fine ? Math.min(Math.max(sy(here.f), -20), foot + 20) : foot];
  const pinnedHere = one.pins().includes(x);
  return (
    <>
      <Drop x={px} from={py} to={foot} />
      <g clip-path={`url(#${clip})`}>
        {fine && <Triangle here={here} sx={sx} sy={sy} />}
        {fine && <Tangent here={here} sx={sx} sy={sy} below={(one.curve.value?.bend(x) ?? 1) >= 0} label={!pinnedHere} reach={150} />}
      </g>
      <Handle
        label={`${one.name.value}, drag along the curve`}
        cx={px} cy={py} value={x} low={low} high={high} text={spoken(one, here)}
        hollow={here.word === "no slope here"}
        onPixel={(pixel) => one.move(sx.back(pixel))}
        onStep={(right, up) => one.move(x + (right || up) * one.stride, one.stride / 50)}
        onEnd={(which) => one.move(which === "low" ? low : high)}
        onPin={() => togglePin(one, x)}
        onRest={() => one.app.announce(spoken(one, one.at(one.x.peek()) ?? here))}
      />
    </>
  );
}

function togglePin(one: OneParameter, x: number): void {
  const pins = one.pins();
  one.app.set({ pins: (pins.includes(x) ? pins.filter((pin) => pin !== x) : [...pins, x]).join(",") }, true);
}

export function spoken(one: OneParameter, here: { x: number; f: number; slope: number; word: string }): string {
  const what = Number.isFinite(here.slope) ? `slope ${num(here.slope)}, ${here.word}` : here.word;
  return `${one.name.value} ${num(here.x)}, cost ${num(here.f)}, ${what}`;
}

function SlopePicture({ one, width, height }: { one: OneParameter; width: number; height: number }) {
  const sx = scale(one.domain.value, MARGINS.left, width - MARGINS.right);
  const sy = scale(one.slopes.value, height - 8, 12);
  const curve = one.curve.value;
  return (
    <>
      <Axes sx={sx} sy={sy} width={width} height={height} y="slope" margins={{ ...MARGINS, bottom: 8, top: 12 }} grid={false} feet={false} />
      <line class="zero" x1={MARGINS.left} x2={width - MARGINS.right} y1={sy(0)} y2={sy(0)} aria-hidden="true" />
      {curve && <CurveLine class="curve thin" d={curve.path(sx, sy, "slope")} />}
      <SlopeDot one={one} sx={sx} sy={sy} height={height} />
    </>
  );
}

function SlopeDot({ one, sx, sy, height }: { one: OneParameter; sx: Scale; sy: Scale; height: number }) {
  const here = one.at(one.x.value);
  if (!here) return null;
  const px = sx(here.x);
  return (
    <g aria-hidden="true">
      <Drop x={px} from={0} to={height} />
      {Number.isFinite(here.slope) && <line class="stem" x1={px} x2={px} y1={sy(0)} y2={sy(here.slope)} />}
      {Number.isFinite(here.slope) ? <circle class="pin" cx={px} cy={sy(here.slope)} r={4} /> : [here.left, here.right].map((side) => side !== null && <circle class="pin hollow" cx={px} cy={sy(side)} r={4} />)}
    </g>
  );
}

function Numbers({ one }: { one: OneParameter }) {
  const here = one.at(one.x.value);
  const [low, high] = one.domain.value;
  const [bottom, top] = one.y.value;
  const limit = (FLAT_SHARE * (top - bottom)) / (high - low);
  if (!here) return <p class="soft">looking …</p>;
  return (
    <>
      <Direction word={here.word} slope={here.word === "flat" ? `here (|slope| ≤ ${num(limit, 2)})` : undefined} />
      <dl class="bigs">
        <Big name={one.name.value} value={num(here.x, 12)} />
        <Big name="cost" value={num(here.f)}><Badge exact={here.exact} /></Big>
        {Number.isFinite(here.slope) ? (
          <Big name="slope" value={num(here.slope)} unit={`per +1 of ${one.name.value}`}><Badge exact={here.exact} /></Big>
        ) : (
          <>
            {here.before !== null && here.after !== null && here.before !== here.after && <p class="soft">The cost jumps from {num(here.before)} to {num(here.after)}.</p>}
            <Big name="slope from the left" value={num(here.left)} />
            <Big name="slope from the right" value={num(here.right)}><Badge exact={here.exact} /></Big>
          </>
        )}
      </dl>
    </>
  );
}

export function AxisChoice({ one }: { one: OneParameter }) {
  const app = useApp();
  const d = app.described.value;
  if (!d || d.n < 2) return null;
  return (
    <fieldset class="choice">
      <legend>along</legend>
      {d.names.slice(0, 12).map((name, k) => (
        <label><input type="radio" name="axis" checked={one.axis.value === k} onChange={() => app.set({ axis: String(k), low: undefined, high: undefined })} /> {name}</label>
      ))}
    </fieldset>
  );
}

function Pins({ one }: { one: OneParameter }) {
  const x = one.x.value;
  const pins = one.pins();
  return (
    <div class="row">
      <button onClick={() => togglePin(one, x)}>{pins.includes(x) ? "unpin" : "pin"} this tangent</button>
      {pins.length > 0 && <button class="quiet" onClick={() => one.app.set({ pins: undefined }, true)}>clear pins</button>}
    </div>
  );
}

export function Zoom({ one }: { one: OneParameter }) {
  return (
    <div class="zoom" role="group" aria-label="zoom">
      <button aria-label="zoom in" onClick={() => one.zoom(0.5)}>+</button>
      <button aria-label="zoom out" onClick={() => one.zoom(2)}>−</button>
      <button aria-label="whole window" onClick={() => { one.yRange.value = null; one.app.set({ low: undefined, high: undefined }); }}>⤢</button>
    </div>
  );
}

function Next({ one }: { one: OneParameter }) {
  const app = one.app;
  return (
    <p class="next">
      <button class="link" onClick={() => app.go("walk", { x: String(one.x.value) })}>Let go: walk down →</button>
      <button class="link" onClick={() => app.go("limit")}>Where does the slope come from? →</button>
    </p>
  );
}
