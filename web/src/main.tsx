/** Mounts the explorer: on its own page, for every block of saved data on a page of ours, or as a notebook's widget. */

import { render } from "preact";
import { App, AppProvider, type Payload } from "./app";
import { Shell } from "./frame";
import { ModelLink, type Model } from "./link";
import { ScreenOf } from "./screens";
import "./style.css";

/** Mount one explorer into an element; gives the function that takes it away again. */
export function mount(root: HTMLElement, payload?: Payload, surroundings: { model?: Model; dark?: boolean } = {}): () => void {
  const link = surroundings.model && new ModelLink(surroundings.model, payload?.answers ?? []);
  const app = new App(root, payload, link, surroundings.dark);
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

/** Whether what lies behind an element is dark: a notebook's theme is not what the system wishes for. */
function darkBehind(element: HTMLElement): boolean | undefined {
  for (let at: HTMLElement | null = element.isConnected ? element : document.body; at; at = at.parentElement) {
    const [red, green, blue, alpha = 1] = (getComputedStyle(at).backgroundColor.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    if (alpha > 0.5) return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  }
  return undefined;
}

/** What a notebook calls, https://anywidget.dev/en/afm. The notebook's styles stay out of the picture, and ours in it. */
export default {
  render({ model, el }: { model: Model; el: HTMLElement }): () => void {
    const host = document.createElement("div");
    // Arrow keys move the point, not the cell that is chosen (jupyterlab/lumino#15).
    host.dataset.lmSuppressShortcuts = "true";
    el.append(host);
    const shadow = host.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent = model.get("_style") as string;
    const root = document.createElement("div");
    root.className = "steepest still";
    shadow.append(style, root);
    const unmount = mount(root, model.get("_payload") as Payload, { model, dark: darkBehind(el) });
    return () => {
      unmount();
      host.remove();
    };
  },
};
