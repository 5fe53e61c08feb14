// One script, one style sheet, names without hashes: the same source gives the same files, which are committed.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/steepest/explorer/page",
    emptyOutDir: true,
    modulePreload: false,
    target: "es2022",
    assetsInlineLimit: 0,
    rollupOptions: {
      output: { entryFileNames: "explorer.js", chunkFileNames: "[name].js", assetFileNames: "explorer[extname]" },
    },
  },
});
