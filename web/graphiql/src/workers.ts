// Names the files of Monaco's workers, which build.mjs bundles on their own.

declare const WORKER_FILES: Record<"editor" | "graphql" | "json", string>;

function fileFor(label: string): string {
  return label === "json" || label === "graphql" ? WORKER_FILES[label] : WORKER_FILES.editor;
}

Object.assign(globalThis, {
  MonacoEnvironment: {
    getWorker: (_id: string, label: string) => new Worker(new URL(`graphiql/assets/${fileFor(label)}`, document.baseURI)),
  },
});
