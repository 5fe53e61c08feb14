// After the build: the licences of what is inside, and a hash of what it was built from, for the test that needs no Node.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PAGE = "../src/steepest/explorer/page";
const INSIDE = ["preact", "@preact/signals", "@preact/signals-core", "d3-array", "d3-contour", "internmap"];

const licences = INSIDE.map((name) => {
  const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  const file = readdirSync(`node_modules/${name}`).find((entry) => /^licen[cs]e/i.test(entry));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(`node_modules/${name}/${file}`, "utf8").trim() : ""}\n`;
});
writeFileSync(`${PAGE}/licences.txt`, licences.join(`\n${"-".repeat(80)}\n\n`));

function* files(folder) {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else yield path;
  }
}

const hash = createHash("sha256");
for (const path of ["finish.mjs", "index.html", "package.json", "tsconfig.json", "vite.config.ts", ...files("public"), ...files("src")]) {
  hash.update(`${path}\n`);
  hash.update(readFileSync(path));
}
writeFileSync(`${PAGE}/built_from.txt`, `${hash.digest("hex")}\n`);
