// The page: GraphiQL with explorer, documentation and history below a bar of our own.
import "./workers";
import "monaco-graphql/esm/monaco-editor.js"; // imported here too, so that its style lands in the page's one stylesheet
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./style.css";
import { DOC_EXPLORER_PLUGIN, DocExplorerStore } from "@graphiql/plugin-doc-explorer";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN, HistoryStore } from "@graphiql/plugin-history";
import { GraphiQLProvider } from "@graphiql/react";
import { GraphiQL, GraphiQLInterface } from "graphiql";
import { createRoot } from "react-dom/client";
import { DownloadCsv } from "./download";
import { examplesOn } from "./examples";
import { fetcher } from "./fetcher";
import { TopBar } from "./top_bar";

const EXPLORER = explorerPlugin({ showAttribution: false });
const PLUGINS = [DOC_EXPLORER_PLUGIN, EXPLORER, HISTORY_PLUGIN];
const EXAMPLES = examplesOn(new Date());
const hasRoom = matchMedia("(min-width: 900px)").matches;

function Page() {
  return (
    <GraphiQLProvider
      fetcher={fetcher}
      plugins={PLUGINS}
      referencePlugin={DOC_EXPLORER_PLUGIN}
      visiblePlugin={hasRoom ? EXPLORER : undefined}
      defaultTabs={EXAMPLES.map(({ query }) => ({ query }))}
      schemaDescription
    >
      <HistoryStore>
        <DocExplorerStore>
          <TopBar examples={EXAMPLES} />
          <main>
            <GraphiQLInterface>
              <GraphiQL.Logo>{null}</GraphiQL.Logo>
              <GraphiQL.Footer>
                <DownloadCsv />
              </GraphiQL.Footer>
            </GraphiQLInterface>
          </main>
        </DocExplorerStore>
      </HistoryStore>
    </GraphiQLProvider>
  );
}

createRoot(document.getElementById("page") as HTMLElement).render(<Page />);
