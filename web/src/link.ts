/** The way to Python, behind one interface: a WebSocket, saved answers, or the messages of a notebook's widget. */

import { signal, type Signal } from "@preact/signals";
import { fromBase64, unpack, type Frame } from "./frames";

export type Question = { ask: string } & Record<string, unknown>;
export type Heard = (frame: Frame) => void;

export interface Link {
  /** Ask in a lane; a newer question in the same lane makes older answers worthless, and they are dropped. */
  ask(lane: string, question: Question, heard: Heard): void;
  readonly state: Signal<"connecting" | "open" | "gone" | "saved">;
  readonly waiting: Signal<number>;
  /** Whether Python has been silent for long while something is asked. */
  readonly slow: Signal<boolean>;
  /** End whatever Python is doing. */
  stop(): void;
  close(): void;
}

/** Milliseconds without a word after which a person may want to stop; shorter would flash at the first picture. */
const PATIENCE = 2500;

export class SocketLink implements Link {
  readonly state = signal<"connecting" | "open" | "gone" | "saved">("connecting");
  readonly waiting = signal(0);
  readonly slow = signal(false);
  private timer = 0;
  private socket: WebSocket;
  private id = 0;
  private lanes = new Map<string, { id: number; heard: Heard; answered: boolean }>();
  private queued: string[] = [];

  constructor(address: string, greeted: Heard) {
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.state.value = "open";
      for (const text of this.queued.splice(0)) this.socket.send(text);
    };
    this.socket.onclose = () => (this.state.value = "gone");
    this.socket.onmessage = ({ data }) => {
      const frame = unpack(data);
      if (frame.header.hello) return greeted(frame);
      for (const lane of this.lanes.values()) {
        if (lane.id !== frame.header.id) continue;
        if (!lane.answered) {
          lane.answered = true;
          this.count();
        }
        lane.heard(frame);
      }
      this.watch();
    };
  }

  ask(lane: string, question: Question, heard: Heard): void {
    const id = ++this.id;
    const idle = !this.waiting.peek();
    this.lanes.set(lane, { id, heard, answered: false });
    this.count();
    if (idle) this.watch();
    const text = JSON.stringify({ ...question, lane, id });
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    else if (this.socket.readyState === WebSocket.CONNECTING) this.queued.push(text);
  }

  stop(): void {
    this.lanes.clear();
    this.count();
    this.watch();
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ ask: "stop", id: ++this.id }));
  }

  close(): void {
    clearTimeout(this.timer);
    this.socket.close();
  }

  private watch(): void {
    clearTimeout(this.timer);
    this.slow.value = false;
    if (this.waiting.peek()) this.timer = window.setTimeout(() => (this.slow.value = this.waiting.peek() > 0), PATIENCE);
  }

  private count(): void {
    let open = 0;
    for (const lane of this.lanes.values()) if (!lane.answered) open++;
    this.waiting.value = open;
  }
}

export interface Saved {
  question: Question;
  frame: string;
}

/** Questions whose answer does not move with the handle: the saved one serves every place. */
const FIXED = new Set(["describe", "curve", "grid", "window", "found", "paths", "walks", "fit data", "run plane"]);

export class SavedLink implements Link {
  readonly state = signal<"connecting" | "open" | "gone" | "saved">("saved");
  readonly waiting = signal(0);

  readonly slow = signal(false);

  constructor(private answers: Saved[]) {}

  ask(_lane: string, question: Question, heard: Heard): void {
    const same = this.answers.filter((saved) => saved.question.ask === question.ask);
    const exact = same.find((saved) => JSON.stringify(saved.question.x) === JSON.stringify(question.x));
    const chosen = exact ?? (FIXED.has(question.ask) ? same[0] : undefined);
    if (chosen) queueMicrotask(() => heard(unpack(fromBase64(chosen.frame))));
  }

  stop(): void {}

  close(): void {}
}

/** What a notebook gives a widget; its values are shared with Python, its messages go both ways. */
export interface Model {
  get(name: string): unknown;
  send(content: unknown): void;
  on(event: "msg:custom", heard: (content: { id?: number; done?: boolean }, buffers: DataView[]) => void): void;
  off(event: "msg:custom", heard: (...given: any[]) => void): void;
}

interface Waiting {
  id: number;
  question: Question;
  heard: Heard;
}

/**
 * Draws what was saved, and asks Python for the rest: in each lane one question is under way and the newest waits, so
 * that a kernel that is busy, or gone, only leaves numbers between samples.
 */
export class ModelLink implements Link {
  readonly state = signal<"connecting" | "open" | "gone" | "saved">("saved");
  readonly waiting = signal(0);
  readonly slow = signal(false);
  private id = 0;
  private saved: SavedLink;
  private asked = new Map<string, Waiting>();
  private next = new Map<string, Waiting>();
  private spoken = new Set<string>();

  constructor(private model: Model, private answers: Saved[]) {
    this.saved = new SavedLink(answers);
    model.on("msg:custom", this.hear);
  }

  ask(lane: string, question: Question, heard: Heard): void {
    const known = this.answers.some((saved) => alike(saved.question, question));
    // What was saved for another window never replaces what Python itself has said.
    const useful = () => known || !this.spoken.has(lane);
    if (useful()) this.saved.ask(lane, question, (frame) => useful() && heard(frame));
    if (known) {
      this.next.delete(lane);
      const under = this.asked.get(lane);
      if (under) under.heard = () => {};
      return;
    }
    const one = { id: ++this.id, question, heard };
    if (this.asked.has(lane)) this.next.set(lane, one);
    else this.send(lane, one);
  }

  stop(): void {}

  close(): void {
    this.model.off("msg:custom", this.hear);
    this.next.clear();
  }

  private send(lane: string, one: Waiting): void {
    this.asked.set(lane, one);
    this.waiting.value = this.asked.size;
    this.model.send({ ...one.question, id: one.id });
  }

  private hear = (content: { id?: number; done?: boolean }, buffers: DataView[]): void => {
    for (const [lane, one] of this.asked) {
      if (one.id !== content.id) continue;
      if (content.done) {
        this.asked.delete(lane);
        this.waiting.value = this.asked.size;
        const newer = this.next.get(lane);
        this.next.delete(lane);
        if (newer) this.send(lane, newer);
      } else if (!this.next.has(lane)) {
        this.spoken.add(lane);
        const [{ buffer, byteOffset, byteLength }] = buffers;
        one.heard(unpack(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer));
      }
      return;
    }
  };
}

/** Whether two questions ask the same of the one cost that is looked at. */
function alike(saved: Question, asked: Question): boolean {
  const text = (question: Question) => JSON.stringify(Object.entries({ ...question, of: 0 }).sort(([a], [b]) => (a < b ? -1 : 1)));
  return text(saved) === text(asked);
}
