// How GraphiQL asks the server: JSON over POST, with the token of whoever is signed in; subscriptions as a stream of events.
import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { Kind, OperationTypeNode, parse } from "graphql";
import { accessToken, refresh } from "./session";
import { failed, followed, isRefused, type Result } from "./stream";

const JSON_TYPES = "application/graphql-response+json, application/json;q=0.9";

function headersWith(token: string | null, own: Record<string, string> | undefined, accept = JSON_TYPES): Headers {
  const headers = new Headers({
    accept,
    "content-type": "application/json",
  });
  if (token) headers.set("authorization", `Bearer ${token}`);
  for (const [name, value] of Object.entries(own ?? {})) headers.set(name, value);
  return headers;
}

async function send(body: string, headers: Headers): Promise<{ status: number; result: Result }> {
  const response = await fetch("graphql", { method: "POST", headers, body }).catch(() => null);
  if (!response) return { status: 0, result: failed("The server cannot be reached. Check the connection and try again.") };
  const answer = (await response.json().catch(() => null)) as (Result & { detail?: string }) | null;
  if (answer && ("data" in answer || "errors" in answer)) return { status: response.status, result: answer };
  const detail = answer?.detail ?? "The server sent no GraphQL result.";
  return { status: response.status, result: failed(`${detail} (status ${response.status})`) };
}

const isUnauthenticated = (status: number, result: Result): boolean => status === 401 || isRefused(result);

/** GraphiQL names the operation some 100 ms after an edit or a change of tabs: who runs sooner would ask for another tab's. */
function withOwnOperationName(params: FetcherParams): FetcherParams {
  try {
    const operations = parse(params.query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    const names = operations.map((operation) => ("name" in operation ? operation.name?.value : undefined));
    return names.length === 1 ? { ...params, operationName: names[0] } : params;
  } catch {
    return params; // the server says what is wrong with it
  }
}

function isSubscription({ query, operationName }: FetcherParams): boolean {
  try {
    const operations = parse(query).definitions.filter((found) => found.kind === Kind.OPERATION_DEFINITION);
    const asked = operations.length === 1 ? operations[0] : operations.find(({ name }) => name?.value === operationName);
    return asked?.operation === OperationTypeNode.SUBSCRIPTION;
  } catch {
    return false; // the server says what is wrong with it
  }
}

/** A token that the server no longer takes is refreshed once; headers typed by hand win over ours. */
export const fetcher: Fetcher = async (params, options) => {
  const body = JSON.stringify(withOwnOperationName(params));
  if (isSubscription(params)) {
    const headersFor = async (anew: boolean) =>
      headersWith(await (anew ? refresh() : accessToken()), options?.headers, "text/event-stream");
    return followed(body, headersFor) as never;
  }
  const token = await accessToken();
  const first = await send(body, headersWith(token, options?.headers));
  if (!token || !isUnauthenticated(first.status, first.result)) return first.result as never;
  const newer = await refresh();
  if (!newer || newer === token) return first.result as never;
  return (await send(body, headersWith(newer, options?.headers))).result as never;
};
