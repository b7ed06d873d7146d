// What all four editors are told once they are there: Tab leaves them, and long lines wrap.
import { useGraphiQL } from "@graphiql/react";
import { TabFocus } from "monaco-editor/esm/vs/editor/browser/config/tabFocus.js";
import { useEffect } from "react";

TabFocus.setTabFocusMode(true); // Monaco 0.52 lists tabFocusMode as an option of an editor but reads only this

const OPTIONS = { wordWrap: "on", wrappingIndent: "indent" } as const;
const SMALL = { lineNumbers: "off", folding: false, fontSize: 13 } as const;
const isSmall = matchMedia("(max-width: 720px)").matches;

export function useEditorOptions(): void {
  const editors = useGraphiQL((state) => ({
    query: state.queryEditor,
    variables: state.variableEditor,
    headers: state.headerEditor,
    response: state.responseEditor,
  }));
  useEffect(() => {
    for (const editor of Object.values(editors)) editor?.updateOptions({ ...OPTIONS, ...(isSmall ? SMALL : {}) });
  }, [editors]);
}
