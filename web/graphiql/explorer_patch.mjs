// Puts right, while bundling, what graphiql-explorer 0.9.0 cannot do: show an argument that is a list, and be used without a mouse.
import { readFile } from "node:fs/promises";

const ABOVE_INPUTS = `
      if (argValue) {
        if (argValue.kind === 'Variable') {`;
const WITH_LISTS = `
      if (argValue) {
        if (argValue.kind === 'ListValue') {
          input = React.createElement('span', { style: { color: styleConfig.colors.string2 } }, (0, _graphql.print)(argValue));
        } else if (argValue.kind === 'Variable') {`;
const REACT = "var React = _interopRequireWildcard(_react);";
const KEYBOARD_REACT = `
var React = Object.assign({}, _interopRequireWildcard(_react));
React.createElement = function (type, props, ...children) {
  var isPressable = type === 'span' && props && props.onClick;
  return _react.createElement(type, isPressable ? Object.assign({}, props, PRESSABLE) : props, ...children);
};
var PRESSABLE = {
  role: 'button',
  tabIndex: 0,
  onKeyDown: function (event) {
    if (event.target !== event.currentTarget || (event.key !== 'Enter' && event.key !== ' ')) return;
    event.preventDefault();
    event.currentTarget.click();
  },
};`;

function replacedOnce(text, before, after) {
  if (text.split(before).length !== 2) throw new Error(`graphiql-explorer has changed: look for ${before}`);
  return text.replace(before, () => after);
}

export const explorerPatch = {
  name: "explorer-patch",
  setup({ onLoad }) {
    onLoad({ filter: /graphiql-explorer\/dist\/Explorer\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      return { contents: replacedOnce(replacedOnce(text, ABOVE_INPUTS, WITH_LISTS), REACT, KEYBOARD_REACT), loader: "js" };
    });
  },
};
