// One script, one style sheet, names without hashes: the same source gives the same files, which are committed.
import { defineConfig } from "vite";

// The page's entry is its HTML, which has no exports; a notebook imports the same file for its `render`.
const exported = {
  name: "exported",
  transform: (code: string, id: string) =>
    id.endsWith("/index.html") ? `${code}\nexport { default } from "/src/main.tsx";` : undefined,
};

export default defineConfig({
  base: "./",
  plugins: [{ ...exported, enforce: "post" }],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/steepest/explorer/page",
    emptyOutDir: true,
    modulePreload: false,
    target: "es2022",
    assetsInlineLimit: 0,
    rollupOptions: {
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "explorer.js", chunkFileNames: "[name].js", assetFileNames: "explorer[extname]" },
    },
  },
});
