/** One explorer on a page: what is looked at, from where, and the way to Python. Several may stand on one page. */

import { batch, computed, effect, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { SavedLink, SocketLink, type Heard, type Link, type Question, type Saved } from "./link";
import shared from "./shared.json";

export type Params = Record<string, string>;

export interface Fault {
  message: string;
  position?: number;
  line?: string;
  kind?: string;
}

export interface Described {
  label: string;
  code: string;
  names: string[];
  n: number;
  start: number[];
  derivatives: string;
  text: string | null;
}

/** What a page with its data inside holds; explorer/__init__.py says how Python writes it. */
export interface Payload {
  screen: string;
  state: Params;
  answers: Saved[];
  title?: string;
}

export interface Hello {
  version?: string;
  named?: { label: string; start?: number[] };
  run?: { name: string };
  fit?: { model: string; name: string };
}

export const SCREENS = [
  ["open", "Open"],
  ["slope", "Slope"],
  ["limit", "Where it comes from"],
  ["walk", "Walk down"],
  ["landscape", "Landscape"],
  ["found", "What was found"],
  ["fit", "Fit data"],
  ["many", "Many parameters"],
  ["live", "Live run"],
] as const;

export const LESSON = shared.lesson.text;
/** The first picture: the lesson, with the three tangents that say what a slope is. */
const FIRST: Params = { f: LESSON, x: "1.2", pins: "-1,1,3", low: "-2", high: "4" };

export class App {
  readonly link: Link;
  readonly still: boolean;
  readonly title: string;
  readonly screen = signal("slope");
  readonly params: Signal<Params> = signal({ ...FIRST });
  readonly hello: Signal<Hello> = signal({});
  /** What a question is about: an expression, or what the command line named. */
  readonly about: ReadonlySignal<Record<string, unknown>> = computed(() => {
    const p = this.params.value;
    if (this.screen.value === "fit") return { fit: this.fit.value };
    return p.f !== undefined ? { text: p.f } : { named: true };
  });
  /** The points and the model of the fit: of the command line, dropped on the page, or an example. */
  readonly fit: ReadonlySignal<Record<string, unknown>> = computed(() => {
    const p = this.params.value;
    const model = p.m === undefined ? {} : { model: p.m };
    if (p.table) return { table: p.table, ...model };
    return this.hello.value.fit ? model : { example: true, ...model };
  });
  private readonly answered: Signal<{ about: string; described: Described } | null> = signal(null);
  private readonly faults: Signal<Record<string, Fault>> = signal({});
  /** What Python said of the cost that is looked at now; null until it has. */
  readonly described: ReadonlySignal<Described | null> = computed(() => {
    const a = this.answered.value;
    return a && a.about === JSON.stringify(this.about.value) ? a.described : null;
  });
  /** The same of the cost before, while the new one is not known yet. */
  readonly last: ReadonlySignal<Described | null> = computed(() => this.answered.value?.described ?? null);
  readonly fault: ReadonlySignal<Fault | null> = computed(() => Object.values(this.faults.value)[0] ?? null);
  readonly help = signal(false);
  readonly announcement = signal("");
  readonly dark: Signal<boolean>;
  private ends: (() => void)[] = [];
  private lesson = new SavedLink(shared.lesson.saved as Saved[]);

  /** The place looked at, one number for each parameter. */
  readonly place: ReadonlySignal<number[]> = computed(() => {
    const given = list(this.params.value.x);
    const d = this.described.value;
    if (!d) return given;
    return given.length === d.n ? given : d.start;
  });

  constructor(private root: HTMLElement, payload?: Payload, link?: Link, dark?: boolean) {
    this.still = !!payload;
    this.title = payload?.title ?? "";
    const wish = matchMedia("(prefers-color-scheme: dark)");
    this.dark = signal(dark ?? wish.matches);
    const follow = () => (this.dark.value = wish.matches);
    if (dark === undefined) wish.addEventListener("change", follow);
    this.ends.push(() => wish.removeEventListener("change", follow));
    this.ends.push(effect(() => void (root.dataset.theme = this.dark.value ? "dark" : "light")));
    if (payload) {
      this.screen.value = payload.screen;
      this.params.value = payload.state;
      this.link = link ?? new SavedLink(payload.answers);
    } else {
      this.readFragment();
      const here = () => this.readFragment();
      addEventListener("popstate", here);
      this.ends.push(() => removeEventListener("popstate", here));
      const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ask`;
      this.link = new SocketLink(address, ({ header }) => (this.hello.value = header.hello));
    }
    this.ends.push(effect(() => {
      const of = this.about.value;
      // A page that was opened on a run may have no cost to ask about; what was named is known with the greeting.
      const hello = this.hello.value;
      if (!this.still && "named" in of && !hello.named && (hello.run || !hello.version)) return;
      // An address that names a screen and no cost: the lesson's.
      if (!this.still && "named" in of && !hello.named && ["found", "landscape"].includes(this.screen.value)) return this.set({ f: LESSON });
      this.describe(of);
    }));
  }

  private selected = new Map<string, ReadonlySignal<string | undefined>>();
  /** One entry of the fragment: who reads it is told of its changes alone, not of every move of the point. */
  param(name: string): string | undefined {
    let found = this.selected.get(name);
    if (!found) this.selected.set(name, (found = computed(() => this.params.value[name])));
    return found.value;
  }

  close(): void {
    for (const end of this.ends) end();
    this.link.close();
  }

  /** Ask Python. The lesson's own samples come with the page, so that its first picture waits for nothing. */
  ask(lane: string, question: Question, heard: Heard): void {
    if (!this.still && JSON.stringify(question.of) === JSON.stringify({ text: LESSON }) && this.isLesson(question)) {
      this.lesson.ask(lane, question, heard);
    }
    this.link.ask(lane, question, heard);
  }

  private isLesson(question: Question): boolean {
    return question.ask === "describe" || (question.ask === "curve" && question.low === -2 && question.high === 4);
  }

  /** Keep or clear what went wrong in a lane; true where something did. */
  trouble(lane: string, header: Record<string, any>): boolean {
    const { [lane]: before, ...others } = this.faults.value;
    if (header.error) this.faults.value = { ...others, [lane]: header.error };
    else if (before) this.faults.value = others;
    return !!header.error;
  }

  private describe(of: Record<string, unknown>): void {
    this.ask("describe", { ask: "describe", of }, ({ header }) => {
      batch(() => {
        if (this.trouble("describe", header)) return;
        const next = { about: JSON.stringify(of), described: strip(header) as unknown as Described };
        if (JSON.stringify(this.answered.value) !== JSON.stringify(next)) this.answered.value = next;
      });
    });
  }

  /** Change what is looked at; `kept` leaves an entry in the browser's history to go back to. */
  set(changes: Params | Record<string, string | undefined>, kept = false): void {
    const next: Params = { ...this.params.value };
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) delete next[name];
      else next[name] = value;
    }
    this.params.value = next;
    this.writeFragment(kept);
  }

  go(screen: string, changes: Record<string, string | undefined> = {}): void {
    batch(() => {
      this.screen.value = screen;
      this.set(changes, true);
    });
  }

  /** Another cost: everything that belonged to the last one is dropped. */
  look(text: string | undefined, screen?: string, more: Params = {}): void {
    batch(() => {
      this.faults.value = {};
      this.params.value = { ...(text === undefined ? {} : { f: text }), ...more };
      if (screen) this.screen.value = screen;
      this.writeFragment(true);
    });
  }

  fragment(screen = this.screen.peek(), params: Params = this.params.peek()): string {
    const query = new URLSearchParams(params).toString();
    return `#${screen}${query ? `?${query}` : ""}`;
  }

  /** The fragment's entries as they stand in the address: settled, while `params` moves with the finger. */
  readonly settled: Signal<Params> = signal({});
  private timer = 0;
  private writeFragment(kept: boolean): void {
    if (this.still) return;
    clearTimeout(this.timer);
    const write = (how: "pushState" | "replaceState") => {
      history[how](null, "", this.fragment());
      this.settled.value = this.params.peek();
    };
    if (kept) write("pushState");
    else this.timer = window.setTimeout(() => write("replaceState"), 200);
  }

  private readFragment(): void {
    const [screen, query] = location.hash.slice(1).split("?", 2);
    batch(() => {
      if (SCREENS.some(([key]) => key === screen)) {
        this.screen.value = screen;
        this.params.value = query ? Object.fromEntries(new URLSearchParams(query)) : screen === "slope" || screen === "walk" || screen === "limit" ? { ...FIRST } : {};
      } else {
        this.screen.value = "slope";
        this.params.value = { ...FIRST };
      }
      this.settled.value = this.params.value;
    });
  }

  announce(text: string): void {
    this.announcement.value = text;
  }

  element(): HTMLElement {
    return this.root;
  }
}

function strip({ arrays: _a, id: _i, ...rest }: Record<string, any>): Record<string, any> {
  return rest;
}

export function list(text: string | undefined): number[] {
  if (!text) return [];
  return text.split(",").map(Number).filter((value) => Number.isFinite(value));
}

const Context = createContext<App>(null as unknown as App);
export const AppProvider = Context.Provider;
export const useApp = () => useContext(Context);
