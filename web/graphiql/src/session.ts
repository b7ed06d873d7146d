// Who is signed in: tokens from the password and refresh grants, kept for this browser tab only.

const STORAGE_KEY = "rollcall.session";
const REFRESH_BEFORE_MS = 30_000;

interface Tokens {
  email: string;
  accessToken: string;
  refreshToken: string | null;
  expiresAtMs: number;
}

interface TokenAnswer {
  access_token: string;
  refresh_token?: string | null;
  expires_in?: number;
}

export class SignInError extends Error {
  constructor(
    message: string,
    readonly isRefusal: boolean,
  ) {
    super(message);
  }
}

let tokens: Tokens | null = stored();
let refreshing: Promise<string | null> | null = null;
let ending = "";
const listeners = new Set<() => void>();

function stored(): Tokens | null {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "null") as Tokens | null;
  } catch {
    return null;
  }
}

function keep(next: Tokens | null, why = ""): void {
  tokens = next;
  ending = why;
  if (next) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(next));
  else sessionStorage.removeItem(STORAGE_KEY);
  listeners.forEach((listener) => listener());
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const signedInEmail = (): string | null => tokens?.email ?? null;

/** Why the session ended by itself, or "". */
export const endingReason = (): string => ending;

export const signOut = (): void => keep(null);

export async function signIn(email: string, password: string): Promise<void> {
  await grant(email, { grant_type: "password", username: email, password });
}

/** The token to send now, refreshed when it is about to expire. */
export async function accessToken(): Promise<string | null> {
  if (!tokens || Date.now() < tokens.expiresAtMs - REFRESH_BEFORE_MS) return tokens?.accessToken ?? null;
  return refresh();
}

/** Get a new access token; many callers share one request. Null when the session has ended. */
export function refresh(): Promise<string | null> {
  refreshing ??= refreshOnce().finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function refreshOnce(): Promise<string | null> {
  const before = tokens;
  if (!before) return null;
  try {
    if (!before.refreshToken) throw new SignInError("no refresh token", true);
    await grant(before.email, { grant_type: "refresh_token", refresh_token: before.refreshToken });
  } catch (error) {
    if (tokens === before && error instanceof SignInError && error.isRefusal)
      keep(null, "Your session has ended. Sign in again.");
  }
  return tokens?.accessToken ?? null;
}

async function grant(email: string, form: Record<string, string>): Promise<void> {
  const before = tokens;
  const answer = await post(form);
  // A sign-out while the refresh was under way stays a sign-out.
  if (form.grant_type === "refresh_token" && tokens !== before) return;
  keep({
    email,
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token ?? form.refresh_token ?? null,
    expiresAtMs: Date.now() + (answer.expires_in ?? 300) * 1000,
  });
}

async function post(form: Record<string, string>): Promise<TokenAnswer> {
  let response: Response;
  try {
    response = await fetch("auth/token", { method: "POST", body: new URLSearchParams(form) });
  } catch {
    throw new SignInError("The server cannot be reached. Check the connection and try again.", false);
  }
  const answer = (await response.json().catch(() => ({}))) as TokenAnswer & Record<string, unknown>;
  if (response.ok && typeof answer.access_token === "string") return answer;
  throw refusal(response, answer);
}

function refusal(response: Response, answer: Record<string, unknown>): SignInError {
  if (response.status === 429) {
    const wait = response.headers.get("retry-after");
    return new SignInError(`Too many attempts. Try again ${wait ? `in ${wait} seconds` : "in a minute"}.`, false);
  }
  if (response.status === 401 || answer.error === "invalid_grant")
    return new SignInError("The email or the password is wrong.", true);
  const detail = answer.error_description ?? answer.detail ?? "The server could not sign you in.";
  return new SignInError(`${detail} (status ${response.status})`, response.status < 500);
}
