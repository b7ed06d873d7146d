// A GraphQL result as CSV: the first list of objects in it, one line an element; lists and connections within it make more lines.

type Row = Record<string, unknown>;
type Line = Map<string, unknown>;

const KEYS = /(^|\.)keys$/; // the parts of a statistic's one key: columns beside each other, never lines

const SAFE_START = /^[^=+\-@\t\r]/;

function isObject(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTable(value: unknown): value is Row[] {
  return Array.isArray(value) && value.length > 0 && value.every(isObject);
}

function firstTable(value: unknown): Row[] | null {
  if (isTable(value)) return value;
  if (!isObject(value)) return null;
  for (const inner of Object.values(value)) {
    const table = firstTable(inner);
    if (table) return table;
  }
  return null;
}

/** The elements of a list of objects or of a connection, whose edges give way to their nodes. */
function elementsOf(value: unknown): Row[] | null {
  if (isTable(value)) return value.every((row) => isObject(row.node)) ? value.map((row) => row.node as Row) : value;
  return isObject(value) ? elementsOf(value.edges ?? value.nodes) : null;
}

/** Put single values into the columns; give the lists in which each element is a line of its own. */
function flatten(value: unknown, path: string, columns: Line): [string, Row[]][] {
  const elements = path && !KEYS.test(path) ? elementsOf(value) : null;
  if (!isObject(value) && !Array.isArray(value)) columns.set(path, value);
  const fields = elements ? besideElements(value) : entriesOf(value);
  const inner = fields.flatMap(([name, field]) => flatten(field, path ? `${path}.${name}` : name, columns));
  return elements ? [[path, elements], ...inner] : inner;
}

/** The fields of an object; the elements of a list numbered from 1. */
function entriesOf(value: unknown): [string, unknown][] {
  if (Array.isArray(value)) return value.map((element, index) => [String(index + 1), element]);
  return isObject(value) ? Object.entries(value) : [];
}

/** What a connection says besides its elements, such as their number. */
function besideElements(value: unknown): [string, unknown][] {
  const own = ["edges", "nodes", "pageInfo"];
  return isObject(value) ? Object.entries(value).filter(([name]) => !own.includes(name)) : [];
}

/** One line an innermost element, with the values of what it is in; lists side by side follow each other. */
function linesOf(row: Row, path: string): Line[] {
  const own: Line = new Map();
  const lists = flatten(row, "", own);
  const outer = new Map([...own].map(([name, value]) => [path ? `${path}.${name}` : name, value]));
  const inner = lists.flatMap(([name, elements]) =>
    elements.flatMap((element) => linesOf(element, path ? `${path}.${name}` : name)),
  );
  return inner.length > 0 ? inner.map((line) => new Map([...outer, ...line])) : [outer];
}

/** Text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers. */
function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value === "string" && text !== "" && !SAFE_START.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Columns in the order of the selection; those that only later rows have go before what follows them there. */
function columnsOf(rows: Line[]): string[] {
  const columns: string[] = [];
  const known = new Set<string>();
  for (const row of rows) {
    const own = [...row.keys()];
    if (own.every((column) => known.has(column))) continue;
    let place = columns.length;
    for (const column of own.reverse()) {
      if (known.has(column)) place = columns.indexOf(column);
      else columns.splice(place, 0, column);
      known.add(column);
    }
  }
  return columns;
}

/** A null object and its fields never both have a value, so the null's own column would be empty. */
function withoutNullObjects(columns: string[]): string[] {
  return columns.filter((column) => !columns.some((other) => other.startsWith(`${column}.`)));
}

export function csvOf(data: unknown): { text: string; rowCount: number } | null {
  if (!isObject(data)) return null;
  const rows = elementsOf(firstTable(data) ?? [data])?.flatMap((row) => linesOf(row, "")) ?? [];
  const columns = withoutNullObjects(columnsOf(rows));
  const lines = [columns, ...rows.map((row) => columns.map((column) => row.get(column)))];
  return { text: lines.map((line) => line.map(cell).join(",") + "\r\n").join(""), rowCount: rows.length };
}
