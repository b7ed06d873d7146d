// The events of a subscription as the server streams them; a stream that breaks off, as when a worker leaves, is opened again.

export interface Result {
  data?: unknown;
  errors?: { message: string; extensions?: { code?: string } }[];
}

interface Sink {
  next(result: Result): void;
  complete(): void;
}

/** Gives the headers to ask with; `anew` after the server has refused the token of the last ones. */
export type HeadersFor = (anew: boolean) => Promise<Headers>;

const AGAIN_AFTER_MS = 1000;
const MOST_FAILURES = 5;

export const failed = (message: string): Result => ({ errors: [{ message }] });

export const isRefused = (result: Result): boolean =>
  (result.data ?? null) === null && (result.errors?.some(({ extensions }) => extensions?.code === "UNAUTHENTICATED") ?? false);

/** What GraphiQL takes for a subscription: it stops at once when nobody looks any more. */
export const followed = (body: string, headersFor: HeadersFor) => ({
  subscribe(sink: Sink) {
    const leaving = new AbortController();
    void follow(body, headersFor, sink, leaving.signal);
    return { unsubscribe: () => leaving.abort() };
  },
});

async function follow(body: string, headersFor: HeadersFor, sink: Sink, signal: AbortSignal): Promise<void> {
  let anew = false;
  for (let failures = 0; failures < MOST_FAILURES; failures++) {
    const headers = await headersFor(anew);
    const response = await fetch("graphql", { method: "POST", headers, body, signal }).catch(() => null);
    let ending = "broken off";
    for await (const { kind, result } of events(response)) {
      if (signal.aborted) return;
      if (kind === "complete") ending = ending === "refused" ? ending : kind;
      else if (result && isRefused(result) && !anew) ending = "refused";
      else if (result) {
        sink.next(result);
        failures = 0;
      }
    }
    if (signal.aborted) return;
    if (ending === "complete") return sink.complete();
    anew = ending === "refused";
    if (!anew) await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS));
  }
  if (signal.aborted) return;
  sink.next(failed("The server cannot be reached. Check the connection and try again."));
  sink.complete();
}

interface Told {
  kind: string;
  result?: Result;
}

/** What is told until the end; an answer that is no stream is the only event. */
async function* events(response: Response | null): AsyncGenerator<Told> {
  if (!response?.body) return;
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) return yield* streamed(response.body);
  const answer = (await response.json().catch(() => null)) as (Result & { detail?: string }) | null;
  const isResult = answer !== null && ("data" in answer || "errors" in answer);
  const why = answer?.detail ?? "The server sent no events.";
  yield { kind: "next", result: isResult ? answer : failed(`${why} (status ${response.status})`) };
  yield { kind: "complete" };
}

/** Events end with an empty line; a stream that is broken off just ends. */
async function* streamed(body: ReadableStream<Uint8Array>): AsyncGenerator<Told> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let unread = "";
  for (;;) {
    const read = await reader.read().catch(() => null);
    if (!read || read.done) return;
    const parts = (unread + decoder.decode(read.value, { stream: true })).split("\n\n");
    unread = parts.pop() ?? "";
    yield* parts.map(told);
  }
}

function told(part: string): Told {
  const lines = part.split("\n");
  const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const data = field("data");
  return { kind: field("event") ?? "", ...(data ? { result: JSON.parse(data) as Result } : {}) };
}
