/** Live run: a run file followed while the job writes it; what is raw is shown raw, and silence is told. */

import { signal, type Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { useApp, type App } from "../app";
import { spread } from "../curve";
import { Big, Screen, Trouble } from "../frame";
import type { Frame } from "../frames";
import { num, prose, seconds } from "../numbers";
import { Axes, Picture, scale } from "../plane";

/** Seconds without a line after which a writer that has not ended counts as silent. */
const SILENT = 10;
const SMALL = [
  ["gradient_norm", "gradient norm"],
  ["step_length", "step length"],
  ["rate", "learning rate"],
  ["validation", "validation"],
] as const;

export function LiveScreen() {
  const app = useApp();
  const [frame] = useState(() => signal<Frame | null>(null));
  const [age] = useState(() => signal<{ at: number; value: number } | null>(null));
  const [clock] = useState(() => signal(Date.now()));
  const [log] = useState(() => signal(true));
  const [smooth] = useState(() => signal(false));
  const [frozen] = useState(() => signal(false));
  const [said] = useState(() => signal(""));
  const run = app.hello.value.run;
  useEffect(() => {
    if (!run) return;
    app.ask("follow", { ask: "follow" }, (answer) => {
      if (answer.header.age !== undefined && answer.header.age !== null) age.value = { at: Date.now(), value: answer.header.age };
      if (answer.header.count !== undefined && (!frozen.value || !frame.value)) frame.value = answer;
    });
    const timer = setInterval(() => (clock.value = Date.now()), 500);
    return () => clearInterval(timer);
  }, [run]);
  if (!run) return <Screen name="live" title="Live run" say={() => ""} picture={<p class="empty">A run is followed by its file: steepest explore run.jsonl</p>} panel={<p class="soft">minimize(…, record="run.jsonl") and train(…) write one.</p>} />;
  const f = frame.value;
  const h = f?.header;
  // Of a job that has said who it is and not yet taken a step: it compiles, or reads its data.
  const begun = !!f?.arrays.value;
  const old = age.value ? age.value.value + (clock.value - age.value.at) / 1000 : null;
  return (
    <Screen
      name="live" title="Live run"
      say={() => `from steepest.runs import read_run\nrun = read_run(${JSON.stringify(run.name)})\nprint(run.column("value"))`}
      picture={<>
        {f && begun && <Picture label="cost at every step" class="tall">{(size) => <Curve frame={f} name="value" log={log.value} smooth={smooth.value} {...size} />}</Picture>}
        {f && begun && <div class="lines">{SMALL.filter(([key]) => f.arrays[key]).map(([key, name]) => (
          <Picture label={name} class="line" minimum={90}>{(size) => <Curve frame={f} name={key} title={name} log small {...size} />}</Picture>
        ))}</div>}
        {!f && <p class="empty">waiting for the first line of {run.name} …</p>}
        {f && !begun && <p class="empty">{h?.end ? "It ended before its first step." : "The job has begun and has not taken a step yet."}</p>}
      </>}
      panel={h ? <>
        <p class={`state ${h.end ? "ended" : begun && old !== null && old > SILENT ? "silent" : "running"}`} data-steps={h.count}>
          {h.end ? <><b>{h.end.end}</b><small>{prose(h.end.sentence ?? "")}</small></> : !begun ? <><b>getting ready</b><small>{old !== null ? `for ${seconds(old)}` : ""}</small></> : old !== null && old > SILENT ? <><b>writer silent</b><small>for {seconds(old)}</small></> : <><b>running</b><small>{old !== null ? `${num(Math.max(old, 0.1), 1)} s ago` : ""}</small></>}
        </p>
        <dl class="bigs pair">
          <Big name="step" value={(h.last.step ?? 0).toLocaleString("en-US")} />
          <Big name="cost" value={begun ? num(h.last.value ?? NaN, 5) : "…"} />
          {h.last.rate !== undefined && <Big name="rate" value={num(h.last.rate, 3)} />}
          {h.pace?.evaluations !== undefined ? <Big name="evaluations a second" value={num(h.pace.evaluations, 3)} /> : h.pace && <Big name="steps a second" value={num(h.pace.steps, 3)} />}
          {h.pace?.left !== undefined && <Big name="time left" value={seconds(h.pace.left)} unit={`± ${seconds(h.pace.left_uncertain)}`} />}
        </dl>
        {h.trouble && <p class="trouble" role="alert"><b>✕ {h.trouble.value} at step {h.trouble.step}</b>{h.trouble.groups.length > 0 && <> in {h.trouble.groups.join(", ")}</>}. The last finite cost was {num(h.trouble.before, 5)}.</p>}
        <div class="row">
          <button aria-pressed={log.value} onClick={() => (log.value = !log.value)}>log axis</button>
          <button aria-pressed={smooth.value} onClick={() => (smooth.value = !smooth.value)}>smoothed</button>
          <button aria-pressed={frozen.value} onClick={() => (frozen.value = !frozen.value)}>{frozen.value ? "follow again" : "hold still"}</button>
        </div>
        {smooth.value && <p class="soft">Smoothed: running mean with decay 0.95, corrected for its beginning (divided by 1 − 0.95ᵏ).</p>}
        {h.header.steerable && !h.end && <Commands app={app} said={said} />}
        {h.groups.length > 0 && <Groups groups={h.groups} />}
        {h.events.length > 0 && <ul class="events">{h.events.slice(-6).map((e: any) => <li>step {e.step}: {e.event} <small>by {e.by}</small></li>)}</ul>}
        <p class="soft">{h.header.label} ({h.header.kind}){h.damaged > 0 && `, ${h.damaged} damaged lines passed over`}</p>
        <Trouble />
        <p class="next"><button class="link" onClick={() => app.go("many")}>Look around its path →</button></p>
      </> : <Trouble />}
    />
  );
}

function Commands({ app, said }: { app: App; said: Signal<string> }) {
  const send = (command: string) => app.ask("command", { ask: "command", command }, ({ header }) => (said.value = header.error ? header.error.message : `asked to ${header.asked}`));
  return (
    <div class="row" role="group" aria-label="steer the run">
      <button onClick={() => send("pause")}>pause</button>
      <button onClick={() => send("go on")}>go on</button>
      <button onClick={() => send("halve the rate")}>halve the rate</button>
      <button onClick={() => send("stop")}>stop after this step</button>
      <span class="soft" role="status">{said.value}</span>
    </div>
  );
}

function Groups({ groups }: { groups: { name: string; gradient: number | null; step: number | null; ratio: number | null }[] }) {
  return (
    <div class="rows" tabindex={0} role="region" aria-label="parameter groups">
      <table>
        <thead><tr><th scope="col">group</th><th scope="col">gradient</th><th scope="col">step ÷ size</th></tr></thead>
        <tbody>{groups.map((g) => <tr><td>{g.name}</td><td>{g.gradient === null ? "✕" : num(g.gradient, 2)}</td><td>{g.ratio === null ? "–" : num(g.ratio, 2)}</td></tr>)}</tbody>
      </table>
    </div>
  );
}

function Curve({ frame, name, title, log, smooth, small, width, height }: {
  frame: Frame; name: string; title?: string; log: boolean; smooth?: boolean; small?: boolean; width: number; height: number;
}) {
  const [x, y] = [frame.arrays[`step:${name}`], frame.arrays[name]];
  const finite = Array.from(y).filter(Number.isFinite);
  const positive = finite.filter((v) => v > 0);
  const logged = log && positive.length > 0.5 * finite.length;
  const m = small ? { left: 54, right: 8, top: 24, bottom: 20 } : { left: 62, right: 14, top: 16, bottom: 26 };
  const range: [number, number] = logged ? [Math.min(...positive), Math.max(...positive)] : spread(finite);
  if (logged && range[1] < range[0] * 1.5) [range[0], range[1]] = [range[0] / 1.3, range[1] * 1.3];
  const sx = scale([x[0], Math.max(x[x.length - 1], x[0] + 1)], m.left, width - m.right);
  const sy = scale(range, height - m.bottom, m.top, logged);
  const pixel = (v: number) => Math.min(Math.max(sy(logged ? Math.max(v, range[0]) : v), m.top - 6), height - m.bottom);
  const raw: string[] = [];
  const soft: string[] = [];
  let [mean, weight, open] = [0, 0, false];
  for (let k = 0; k < y.length; k++) {
    if (!Number.isFinite(y[k]) || (logged && y[k] <= 0)) {
      open = false;
      continue;
    }
    raw.push(`${open ? "L" : "M"}${sx(x[k]).toFixed(1)},${pixel(y[k]).toFixed(1)}`);
    mean = 0.95 * mean + 0.05 * (logged ? Math.log(Math.max(y[k], range[0])) : y[k]);
    weight = 0.95 * weight + 0.05;
    const value = mean / weight;
    soft.push(`${open ? "L" : "M"}${sx(x[k]).toFixed(1)},${pixel(logged ? Math.exp(value) : value).toFixed(1)}`);
    open = true;
  }
  const broken = frame.header.trouble && name === "value" ? frame.header.trouble.step : null;
  return (
    <>
      <Axes sx={sx} sy={sy} width={width} height={height} x={small ? undefined : "step"} y={small ? undefined : logged ? "cost (log)" : "cost"} margins={m} />
      {title && <text class="mark-label" x={8} y={14}>{title}</text>}
      <g aria-hidden="true">
        <path class={smooth ? "curve raw" : "curve thin"} d={raw.join("")} />
        {smooth && <path class="curve" d={soft.join("")} />}
        {broken !== null && <g class="broken"><path d={`M${sx(broken) - 7},${m.top + 4}l14,14m0,-14l-14,14`} /><text x={sx(broken) - 12} y={m.top + 16} text-anchor="end">not finite</text></g>}
      </g>
    </>
  );
}
