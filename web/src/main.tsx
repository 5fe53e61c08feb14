/** Mounts the explorer: one on its own page, or one for every block of saved data on a page of ours. */

import { render } from "preact";
import { App, AppProvider, type Payload } from "./app";
import { Shell } from "./frame";
import { ScreenOf } from "./screens";
import "./style.css";

/** Mount one explorer into an element; gives the function that takes it away again. */
export function mount(root: HTMLElement, payload?: Payload): () => void {
  const app = new App(root, payload);
  const inside = payload ? <ScreenOf /> : <Shell><ScreenOf /></Shell>;
  render(<AppProvider value={app}>{inside}</AppProvider>, root);
  return () => {
    render(null, root);
    app.close();
  };
}

for (const root of document.querySelectorAll<HTMLElement>("[data-explorer]")) mount(root);
for (const data of document.querySelectorAll<HTMLScriptElement>("script[type='application/json'][data-steepest]")) {
  const root = document.createElement("div");
  root.className = "steepest still";
  // A page without a body tag has its first scripts in the head, where nothing can be seen.
  if (data.closest("head")) document.body.append(root);
  else data.after(root);
  mount(root, JSON.parse(data.textContent ?? "{}"));
}
