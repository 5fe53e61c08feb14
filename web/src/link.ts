/** The way to Python, behind one interface: a WebSocket, or answers that were saved with the page. */

import { signal, type Signal } from "@preact/signals";
import { fromBase64, unpack, type Frame } from "./frames";

export type Question = { ask: string } & Record<string, unknown>;
export type Heard = (frame: Frame) => void;

export interface Link {
  /** Ask in a lane; a newer question in the same lane makes older answers worthless, and they are dropped. */
  ask(lane: string, question: Question, heard: Heard): void;
  readonly state: Signal<"connecting" | "open" | "gone" | "saved">;
  readonly waiting: Signal<number>;
  close(): void;
}

export class SocketLink implements Link {
  readonly state = signal<"connecting" | "open" | "gone" | "saved">("connecting");
  readonly waiting = signal(0);
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
    };
  }

  ask(lane: string, question: Question, heard: Heard): void {
    const id = ++this.id;
    this.lanes.set(lane, { id, heard, answered: false });
    this.count();
    const text = JSON.stringify({ ...question, lane, id });
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    else if (this.socket.readyState === WebSocket.CONNECTING) this.queued.push(text);
  }

  close(): void {
    this.socket.close();
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

  constructor(private answers: Saved[]) {}

  ask(_lane: string, question: Question, heard: Heard): void {
    const same = this.answers.filter((saved) => saved.question.ask === question.ask);
    const exact = same.find((saved) => JSON.stringify(saved.question.x) === JSON.stringify(question.x));
    const chosen = exact ?? (FIXED.has(question.ask) ? same[0] : undefined);
    if (chosen) queueMicrotask(() => heard(unpack(fromBase64(chosen.frame))));
  }

  close(): void {}
}
