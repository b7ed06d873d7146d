// The line below the result: downloads it as CSV.
import { useGraphiQL } from "@graphiql/react";
import { useEffect, useState } from "react";
import { csvOf } from "./csv";

const BYTE_ORDER_MARK = "\ufeff"; // without it Excel reads UTF-8 as the local code page

function dataOf(result: string): unknown {
  try {
    return (JSON.parse(result) as { data?: unknown }).data;
  } catch {
    return undefined;
  }
}

function save(text: string, fileName: string): void {
  const url = URL.createObjectURL(new Blob([BYTE_ORDER_MARK, text], { type: "text/csv" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: fileName });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function DownloadCsv() {
  const [said, say] = useState("");
  const { responseEditor, title, queryId } = useGraphiQL((state) => ({
    responseEditor: state.responseEditor,
    title: state.tabs[state.activeTabIndex]?.title ?? "",
    queryId: state.queryId,
  }));
  useEffect(() => say(""), [title, queryId]);
  function download(): void {
    const csv = csvOf(dataOf(responseEditor?.getValue() ?? ""));
    if (!csv) return say("There is no data to download: run the operation first.");
    const fileName = `${title.replaceAll(/\W/g, "") || "result"}.csv`;
    save(csv.text, fileName);
    say(`${fileName}: ${csv.rowCount} ${csv.rowCount === 1 ? "row" : "rows"}`);
  }
  return (
    <div className="download">
      <button type="button" onClick={download} title="The first list in the result, one line an element">
        Download CSV
      </button>
      <span role="status">{said}</span>
    </div>
  );
}
