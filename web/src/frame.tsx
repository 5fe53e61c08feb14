/** What every screen shares: the line on top, the ways between screens, the panel, and the call in Python below. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { SCREENS, useApp } from "./app";
import { arrowOf, type Word } from "./look";
import { savePng, saveSvg } from "./save";

export function Badge({ exact, still }: { exact: boolean; still?: boolean }) {
  return <span class={exact ? "badge exact" : "badge"}>{exact ? "exact" : still ? "between samples" : "between samples"}</span>;
}

export function Big({ name, value, children, unit }: { name: string; value: string; unit?: string; children?: ComponentChildren }) {
  return (
    <div class="big">
      <dt>{name}</dt>
      <dd>
        <span class="number">{value}</span>
        {unit && <span class="unit"> {unit}</span>}
        {children}
      </dd>
    </div>
  );
}

export function Direction({ word, slope }: { word: Word; slope?: string }) {
  return (
    <p class={`direction ${word.replaceAll(" ", "-")}`}>
      <span class="arrow" aria-hidden="true">{arrowOf(word) || "∅"}</span> {word}
      {slope && <small> {slope}</small>}
    </p>
  );
}

/** The input line: an expression, drawn while it is typed; an error points at its character. */
function InputLine() {
  const app = useApp();
  const text = useSignal<string | null>(null);
  const timer = useRef(0);
  const field = useRef<HTMLInputElement>(null);
  const fitting = app.screen.value === "fit";
  const given = fitting ? app.param("m") ?? app.hello.value.fit?.model ?? "a*exp(-b*t) + c" : app.param("f");
  const named = given === undefined;
  const shown = text.value ?? given ?? "";
  const fault = app.fault.value;
  const typed = (value: string) => {
    text.value = value;
    clearTimeout(timer.current);
    if (value.trim()) timer.current = window.setTimeout(() => accept(value), 140);
  };
  const accept = (value: string) => {
    if (!value.trim() || value === given) return;
    if (fitting) return app.set({ m: value, x: undefined, axes: undefined, window: undefined });
    const cold = !["slope", "limit", "walk", "landscape", "found"].includes(app.screen.value);
    app.look(value, cold ? "slope" : undefined);
  };
  useEffect(() => {
    if (document.activeElement !== field.current) text.value = null;
  }, [given]);
  return (
    <div class="input">
      <label for="cost" class="hidden">{fitting ? "model, an expression of a column and parameters" : "cost, an expression of one or more letters"}</label>
      <span class="fx" aria-hidden="true">{fitting ? "model" : "cost"}</span>
      <input
        id="cost"
        ref={field}
        class={fault?.kind === "expression" ? "wrong" : ""}
        value={shown}
        placeholder={named && app.hello.value.named ? app.hello.value.named.label : "type a formula, such as (x-2)**2 + sin(5*x)"}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        aria-invalid={fault?.kind === "expression"}
        aria-describedby="fault"
        onInput={(event) => typed(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && accept(event.currentTarget.value)}
        onBlur={() => !app.fault.value && (text.value = null)}
      />
      <div id="fault" role="status" class="fault">
        {fault && fault.kind === "expression" && (
          <>
            <pre aria-hidden="true">{" ".repeat(Math.min(fault.position ?? 0, 200))}▲</pre>
            <span>{fault.message}</span>
          </>
        )}
      </div>
    </div>
  );
}

export function Shell({ children }: { children: ComponentChildren }) {
  const app = useApp();
  const hello = app.hello.value;
  const state = app.link.state.value;
  const shown = SCREENS.filter(([key]) => (key === "live" || key === "many" ? hello.run || app.screen.value === key : true));
  const tabs = useRef<HTMLElement>(null);
  useEffect(() => {  // on a narrow screen the tabs scroll: the one that is open is brought into sight
    const bar = tabs.current;
    const open = bar?.querySelector<HTMLElement>("[aria-current]");
    if (!bar || !open) return;
    const [at, seen] = [open.getBoundingClientRect(), bar.getBoundingClientRect()];
    bar.scrollLeft += at.left + at.width / 2 - seen.left - seen.width / 2;
  }, [app.screen.value, shown.length]);
  return (
    <div class="shell">
      <header>
        <a class="mark" href="#slope" onClick={(e) => { e.preventDefault(); app.look("x**2 - 2*x + 3", "slope", { x: "1.2", pins: "-1,1,3", low: "-2", high: "4" }); }} aria-label="steepest: to the lesson">
          <svg viewBox="0 0 34 24" width="34" height="24" aria-hidden="true"><path class="valley" d="M2 3C8 24 18 26 31 5" /><circle class="ball" cx="15.6" cy="17.2" r="3.6" /></svg>
          <span>steepest</span>
        </a>
        <InputLine />
        <button class="quiet" aria-label={app.dark.value ? "light theme" : "dark theme"} onClick={() => (app.dark.value = !app.dark.value)}>{app.dark.value ? "☀" : "☾"}</button>
        <button class="quiet" aria-label="keys" aria-expanded={app.help.value} onClick={() => (app.help.value = !app.help.value)}>?</button>
      </header>
      <nav aria-label="screens" ref={tabs}>
        {shown.map(([key, name]) => (
          <a href={app.fragment(key, app.settled.value)} aria-current={app.screen.value === key ? "page" : undefined} onClick={(e) => { if (e.ctrlKey || e.metaKey) return; e.preventDefault(); app.go(key); }}>{name}</a>
        ))}
      </nav>
      {state === "gone" && <p class="notice" role="alert">The explorer has stopped. What is drawn stays; start <code>steepest explore</code> again for more.</p>}
      {app.link.slow.value && state === "open" && (
        <p class="notice slow" role="status">Python is still computing. <button onClick={() => app.link.stop()}>stop</button></p>
      )}
      {app.help.value && <Help />}
      <main>{children}</main>
      <div class="hidden" role="status" aria-live="polite">{app.announcement.value}</div>
    </div>
  );
}

function Help() {
  const app = useApp();
  const keys = [
    ["← →", "move the point by a hundredth of the window"],
    ["Shift", "ten times as far"],
    ["Alt", "a fifth as far"],
    ["Home End", "to the edge of the window"],
    ["↑ ↓", "in a landscape: the second parameter"],
    ["p, double-click", "pin the tangent"],
    ["+ −", "zoom (or the wheel); drag the background to move"],
    ["Space", "play or pause a walk"],
  ];
  return (
    <section class="help" aria-label="keys">
      <dl>{keys.map(([key, what]) => <><dt><kbd>{key}</kbd></dt><dd>{what}</dd></>)}</dl>
      <p><b>exact</b>: Python computed this number at this very place. <b>between samples</b>: read off the curve between two exact samples; the exact number follows.</p>
      <button onClick={() => (app.help.value = false)}>close</button>
    </section>
  );
}

/** The picture left, the panel right, the call in Python below. */
export function Screen({ title, picture, panel, say, name }: {
  title: string; picture: ComponentChildren; panel: ComponentChildren; say(): string; name: string;
}) {
  const app = useApp();
  const body = useRef<HTMLDivElement>(null);
  return (
    <article class={`screen ${name}`} data-screen={name} aria-label={title}>
      <h1 class={app.still ? "" : "hidden"}>{app.still && app.title ? app.title : title}</h1>
      <div class="body" ref={body}>
        <div class="stage">{picture}</div>
        <aside class="panel" aria-label="numbers">{panel}</aside>
      </div>
      <Say say={say} body={body} name={name} />
    </article>
  );
}

function Say({ say, body, name }: { say(): string; body: { current: HTMLDivElement | null }; name: string }) {
  const app = useApp();
  const text = say();
  const done = useSignal("");
  const flash = (what: string) => {
    done.value = what;
    setTimeout(() => (done.value = ""), 1600);
  };
  return (
    <footer class="say">
      <span class="label" id={`say-${name}`}>in Python</span>
      <code aria-labelledby={`say-${name}`} tabindex={0} role="region">{text}</code>
      <span class="buttons">
        <button onClick={() => navigator.clipboard.writeText(text).then(() => flash("copied"), () => flash("not allowed"))}>copy</button>
        <button onClick={() => saveSvg(body.current!, app).then(() => flash("saved"))}>SVG</button>
        <button onClick={() => savePng(body.current!, app).then(() => flash("saved"))}>PNG</button>
        {!app.still && <button onClick={() => navigator.clipboard.writeText(location.origin + "/" + app.fragment()).then(() => flash("copied"), () => flash("not allowed"))}>link</button>}
        <span role="status" class="done">{done.value}</span>
      </span>
    </footer>
  );
}

export function Trouble() {
  const fault = useApp().fault.value;
  if (!fault || fault.kind === "expression") return null;
  return (
    <div class="trouble" role="alert">
      <b>{fault.kind === "time" ? "Stopped" : "The cost says"}</b>
      <p>{fault.message}</p>
      {fault.line && <code>{fault.line}</code>}
    </div>
  );
}
