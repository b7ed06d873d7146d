declare module "*.graphql" {
  const text: string;
  export default text;
}
declare module "*.css";
declare module "monaco-graphql/esm/monaco-editor.js";
declare module "monaco-editor/esm/vs/editor/browser/config/tabFocus.js" {
  export const TabFocus: { setTabFocusMode(on: boolean): void };
}
