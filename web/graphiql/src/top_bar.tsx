// The bar above GraphiQL: who is signed in, and the example operations.
import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { type FormEvent, type MouseEvent, useEffect, useState, useSyncExternalStore } from "react";
import { useEditorOptions } from "./editor_options";
import type { Example } from "./examples";
import { accessToken, endingReason, signedInEmail, signIn, signOut, subscribe } from "./session";

interface DemoUser {
  email: string;
  label: string;
}

interface Config {
  demoUsers: DemoUser[];
  demoPassword: string | null;
}

const NO_DEMO: Config = { demoUsers: [], demoPassword: null };

function useConfig(): Config {
  const [config, setConfig] = useState(NO_DEMO);
  useEffect(() => {
    fetch("graphiql/config.json")
      .then((response) => response.json())
      .then(setConfig, () => setConfig(NO_DEMO));
  }, []);
  return config;
}

/** Signing in with its progress and its error in words. */
function useSignIn() {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  async function attempt(email: string, password: string): Promise<void> {
    setBusy(true);
    setProblem("");
    try {
      await signIn(email, password);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  }
  return { isBusy, problem, attempt };
}

interface Attempt {
  isBusy: boolean;
  attempt: (email: string, password: string) => Promise<void>;
}

function SignInForm({ isBusy, attempt }: Attempt) {
  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    void attempt(String(form.get("email")).trim(), String(form.get("password")));
  }
  return (
    <form className="sign-in" onSubmit={submit} aria-label="Sign in">
      <input name="email" type="email" placeholder="Email" aria-label="Email" autoComplete="username" required />
      <input
        name="password"
        type="password"
        placeholder="Password"
        aria-label="Password"
        autoComplete="current-password"
        required
      />
      <button type="submit" className="primary" disabled={isBusy}>
        Sign in
      </button>
    </form>
  );
}

/** The header for curl or a notebook; browsers let only https and localhost copy. */
function CopyHeader() {
  const [isCopied, setCopied] = useState(false);
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(`Authorization: Bearer ${await accessToken()}`);
    setCopied(true);
    setTimeout(() => setCopied(false), 3000);
  }
  return (
    <button type="button" onClick={() => void copy()} title="Copy the Authorization header, for curl or a notebook">
      {isCopied ? "Copied" : "Copy header"}
    </button>
  );
}

function SignedIn({ email }: { email: string }) {
  return (
    <div className="signed-in">
      <span role="status" title="Requests carry an Authorization header with your token">
        Signed in as <strong>{email}</strong>
      </span>
      {isSecureContext && <CopyHeader />}
      <button type="button" onClick={signOut}>
        Sign out
      </button>
    </div>
  );
}

function DemoUsers({ config, email, isBusy, attempt }: Attempt & { config: Config; email: string | null }) {
  if (config.demoUsers.length === 0 || config.demoPassword === null) return null;
  const password = config.demoPassword;
  return (
    <div className="demo-users" role="group" aria-label="Sign in as a demo user">
      <span aria-hidden="true">Demo</span>
      {config.demoUsers.map((user) => (
        <button
          key={user.email}
          type="button"
          title={`Sign in as ${user.email}`}
          aria-pressed={user.email === email}
          disabled={isBusy}
          onClick={() => void attempt(user.email, password)}
        >
          {user.label}
        </button>
      ))}
    </div>
  );
}

function Examples({ examples }: { examples: Example[] }) {
  const { addTab, changeTab, updateActiveTabValues } = useGraphiQLActions();
  const { tabs, active, queryEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    active: state.activeTabIndex,
    queryEditor: state.queryEditor,
  }));
  function open({ operationName, query }: Example): void {
    const index = tabs.findIndex((tab) => tab.title === operationName);
    if (index === active) return;
    if (index >= 0) return changeTab(index);
    addTab();
    queryEditor?.setValue(query);
    updateActiveTabValues({ query, operationName });
  }
  /** Who uses the keyboard (a click of no mouse) goes on in the editor, past the hundred fields of the explorer. */
  function onClick(event: MouseEvent, example: Example): void {
    open(example);
    if (event.detail === 0) queryEditor?.focus();
  }
  return (
    <nav className="examples" aria-label="Examples">
      <span aria-hidden="true">Examples</span>
      {examples.map((example) => (
        <button
          key={example.operationName}
          type="button"
          aria-current={tabs[active]?.title === example.operationName}
          onClick={(event) => onClick(event, example)}
        >
          {example.label}
        </button>
      ))}
    </nav>
  );
}

export function TopBar({ examples }: { examples: Example[] }) {
  useEditorOptions();
  const config = useConfig();
  const email = useSyncExternalStore(subscribe, signedInEmail);
  const ended = useSyncExternalStore(subscribe, endingReason);
  const { isBusy, problem, attempt } = useSignIn();
  const hasSchema = useGraphiQL((state) => Boolean(state.schema));
  const { introspect } = useGraphiQLActions();
  useEffect(() => {
    if (email && !hasSchema) void introspect();
  }, [email]);
  return (
    <header className="top-bar">
      <h1>
        Rollcall <span>GraphiQL</span>
      </h1>
      <Examples examples={examples} />
      <div className="account">
        <DemoUsers config={config} email={email} isBusy={isBusy} attempt={attempt} />
        {email ? <SignedIn email={email} /> : <SignInForm isBusy={isBusy} attempt={attempt} />}
      </div>
      <p role="alert">{problem || ended}</p>
    </header>
  );
}
