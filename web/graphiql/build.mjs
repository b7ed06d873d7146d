// Builds dist/: gzipped files named by their content, the page that names them, and the licences of what is inside.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { explorerPatch } from "./explorer_patch.mjs";

const ASSETS = "dist/assets";
const SHARED = {
  bundle: true,
  minify: true,
  metafile: true,
  outdir: ASSETS,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
};
const WORKERS = {
  editor: "monaco-editor/esm/vs/editor/editor.worker.js",
  graphql: "monaco-graphql/esm/graphql.worker.js",
  json: "monaco-editor/esm/vs/language/json/json.worker.js",
};

/** The file that an entry point became. */
function outputOf(metafile, entry, extension) {
  const names = Object.keys(metafile.outputs).filter((name) => name.endsWith(extension));
  const found = names.find((name) => path.basename(name).startsWith(`${entry}-`));
  if (!found) throw new Error(`no ${extension} file came out of ${entry}`);
  return path.basename(found);
}

/** The packages whose files went into the bundle. */
function packagesIn(metafiles) {
  const inputs = metafiles.flatMap((metafile) => Object.values(metafile.outputs).flatMap((output) => Object.keys(output.inputs)));
  const names = inputs.map((name) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)?.[0]);
  return [...new Set(names.filter(Boolean))].sort();
}

async function licenceOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? (await readFile(`${folder}/${file}`, "utf8")).replaceAll("\r\n", "\n").trim() : "";
  return `${name} ${version}: ${license}\n\n${text}`.trim();
}

/** What dist/ was built from, so that a test can say when it is stale. */
async function hashOfSources() {
  const inside = await readdir("src", { recursive: true, withFileTypes: true });
  const names = inside.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`);
  const hash = createHash("sha256");
  for (const name of [...names, "build.mjs", "explorer_patch.mjs", "package-lock.json"].sort())
    hash.update(`${name}\0`).update(await readFile(name)).update("\0");
  return hash.digest("hex");
}

await rm("dist", { recursive: true, force: true });
await mkdir(ASSETS, { recursive: true });
const workers = await build({ ...SHARED, format: "iife", entryPoints: WORKERS, entryNames: "[name].worker-[hash]" });
const workerFiles = Object.fromEntries(
  Object.keys(WORKERS).map((name) => [name, outputOf(workers.metafile, `${name}.worker`, ".js")]),
);
const page = await build({
  ...SHARED,
  format: "esm",
  splitting: true,
  jsx: "automatic",
  plugins: [explorerPatch],
  entryPoints: { page: "src/main.tsx" },
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  loader: { ".ttf": "dataurl", ".graphql": "text" },
  define: { ...SHARED.define, WORKER_FILES: JSON.stringify(workerFiles) },
});

const html = (await readFile("src/index.html", "utf8"))
  .replace("{{style}}", outputOf(page.metafile, "page", ".css"))
  .replace("{{script}}", outputOf(page.metafile, "page", ".js"));
await writeFile("dist/index.html", html);
await writeFile("dist/sources.sha256", `${await hashOfSources()}\n`);
const licences = await Promise.all(packagesIn([workers.metafile, page.metafile]).map(licenceOf));
await writeFile("dist/LICENCES.txt", `${licences.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
// A stylesheet of a chunk is never loaded: esbuild puts what it imports into the page's stylesheet too.
for (const name of await readdir(ASSETS)) {
  const file = `${ASSETS}/${name}`;
  if (!/^chunk-.*\.css$/.test(name)) await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
  await rm(file);
}
