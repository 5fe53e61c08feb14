/** A picture as a file: the SVG that stands there with its styles written in, or the same drawn as PNG. */

import type { App } from "./app";

const WRITTEN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "display"];

function standing(body: HTMLElement, app: App): { text: string; width: number; height: number } {
  const svgs = [...body.querySelectorAll<SVGSVGElement>(".stage svg")];
  const boxes = svgs.map((svg) => svg.getBoundingClientRect());
  const left = Math.min(...boxes.map((b) => b.left));
  const top = Math.min(...boxes.map((b) => b.top));
  const width = Math.max(...boxes.map((b) => b.right)) - left;
  const height = Math.max(...boxes.map((b) => b.bottom)) - top;
  const parts = svgs.map((svg, i) => {
    const copy = svg.cloneNode(true) as SVGSVGElement;
    const originals = [svg, ...svg.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((element, k) => {
      const style = getComputedStyle(originals[k]);
      for (const name of WRITTEN) (element as SVGElement).style.setProperty(name, style.getPropertyValue(name));
    });
    const under = svg.parentElement?.querySelector("canvas");
    const image = under ? `<image href="${under.toDataURL()}" x="${under.offsetLeft}" y="${under.offsetTop}" width="${under.clientWidth}" height="${under.clientHeight}"/>` : "";
    return `<g transform="translate(${boxes[i].left - left},${boxes[i].top - top})">${image}${new XMLSerializer().serializeToString(copy)}</g>`;
  });
  const paper = getComputedStyle(app.element()).getPropertyValue("--card").trim();
  const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"><rect width="100%" height="100%" fill="${paper}"/>${parts.join("")}</svg>`;
  return { text, width, height };
}

function download(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

export async function saveSvg(body: HTMLElement, app: App): Promise<void> {
  download(new Blob([standing(body, app).text], { type: "image/svg+xml" }), `steepest-${app.screen.value}.svg`);
}

export async function savePng(body: HTMLElement, app: App): Promise<void> {
  const { text, width, height } = standing(body, app);
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  canvas.toBlob((blob) => blob && download(blob, `steepest-${app.screen.value}.png`));
}
