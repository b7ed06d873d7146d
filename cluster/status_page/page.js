// The live page of the status port: draws what /events sends once a second. No outside request, no build step.

const SPAN_S = 300;
const HEIGHT = 170;
const LEFT = 44;
const BOTTOM = 20;
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const points = [];
const lives = new Map();

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function figure(value, digits = 1) {
  if (value === null || value === undefined) return "–";
  const shown = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? Math.min(digits, 1) : digits;
  return value.toLocaleString("en", { maximumFractionDigits: shown });
}

const numberOf = (name) => Number(name.replace(/\D/g, ""));
const percent = (share) => (share === null || share === undefined ? "–" : `${figure(share * 100)} %`);
const mebibytes = (bytes) => `${figure(bytes / 2 ** 20, 0)} MiB`;

function duration(seconds) {
  if (seconds < 90) return `${Math.floor(seconds)} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172800 ? `${figure(seconds / 3600)} h` : `${figure(seconds / 86400)} d`;
}

/** The next of 1, 2, 5 times a power of ten: the top of an axis. */
function roundedUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 0.001)));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= value);
}

const widthOf = (id) => Math.max(byId(id).clientWidth, 200);
const across = (at, now, width) => LEFT + ((at - now + SPAN_S) / SPAN_S) * (width - LEFT);

function timeAxis(svg, width, height) {
  for (let minute = 0; minute <= SPAN_S / 60; minute += width < 420 ? 2 : 1) {
    const x = across(-60 * minute, 0, width);
    const label = minute === 0 ? "now" : `-${minute} min`;
    const anchor = minute === 0 ? "end" : minute === SPAN_S / 60 ? "start" : "middle";
    svg.append(shape("text", { x, y: height - 4, "text-anchor": anchor }, label));
  }
}

/** One path for each unbroken run of values. */
function curve(key, now, top, width) {
  let path = "";
  let before = null;
  for (const point of points) {
    const value = point[key];
    const x = across(point.at, now, width);
    if (value === null || value === undefined || x < LEFT) {
      before = null;
      continue;
    }
    const y = (HEIGHT - BOTTOM) * (1 - Math.min(value / top, 1));
    path += `${before !== null && point.at - before < 5 ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    before = point.at;
  }
  return path;
}

function chart(id, series, unit) {
  const now = points.length ? points[points.length - 1].at : 0;
  const seen = points.flatMap((point) => series.map(({ key }) => point[key] ?? 0));
  const top = roundedUp(Math.max(...seen, 1) * 1.05);
  const width = widthOf(id);
  const latest = series.map(({ key, name }) => `${name} ${figure(points.at(-1)?.[key])} ${unit}`);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": latest.join(", ") });
  for (const share of [0, 0.5, 1]) {
    const y = (HEIGHT - BOTTOM) * (1 - share);
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: width, y1: y, y2: y }));
    svg.append(shape("text", { x: LEFT - 6, y: y + (share === 1 ? 9 : 4), "text-anchor": "end" }, figure(top * share)));
  }
  timeAxis(svg, width, HEIGHT);
  for (const { key, colour } of series) svg.append(shape("path", { class: `curve ${colour}`, d: curve(key, now, top, width) }));
  const legend = element("ul", { class: "legend" });
  for (const { key, name, colour } of series) {
    const value = element("span", {}, `${name} ${figure(points.at(-1)?.[key])} ${unit}`);
    legend.append(element("li", { class: colour }, value));
  }
  byId(id).replaceChildren(legend, svg);
}

/** A lane for each worker, a bar for each process in it; a red stroke where one died unasked. */
function drawLives(stats) {
  for (const life of stats.lives.filter((life) => life.name !== "status")) lives.set(life.pid, life);
  for (const worker of stats.workers) lives.set(worker.pid, { ...worker, ended: null });
  const visible = [...lives.values()].filter((life) => (life.ended ?? stats.at) > stats.at - SPAN_S);
  for (const life of lives.values()) if (!visible.includes(life)) lives.delete(life.pid);
  const lanes = [...new Set(visible.map((life) => life.name))].sort((a, b) => numberOf(a) - numberOf(b));
  const lane = 22;
  const width = widthOf("lives");
  const height = lanes.length * lane + BOTTOM;
  const alive = `${stats.health.serving} of ${stats.health.wanted} workers serve`;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": alive });
  lanes.forEach((name, index) => svg.append(shape("text", { x: 0, y: index * lane + 15 }, name.replace("worker", "no."))));
  for (const life of visible) {
    const y = lanes.indexOf(life.name) * lane;
    const from = Math.max(across(life.began, stats.at, width), LEFT);
    const to = across(life.ended ?? stats.at, stats.at, width);
    const state = life.ended ? "left" : life.serves ? "" : "leaving";
    const end = life.ended ? `, ${life.end}` : "";
    const title = shape("title", {}, `process ${life.pid}${end}, ${duration((life.ended ?? stats.at) - life.began)}`);
    const size = { x: from, y: y + 4, width: Math.max(to - from, 1), height: lane - 8, rx: 3 };
    svg.append(shape("rect", { class: `life ${state}`, "data-pid": life.pid, ...size }, title));
    if (life.ended && !life.expected) svg.append(shape("line", { class: "death", x1: to, x2: to, y1: y + 1, y2: y + lane - 1 }));
  }
  timeAxis(svg, width, height);
  const summary = element("p", { class: "soft" }, `${alive}; ${stats.restarts} replaced after a death`);
  byId("lives").replaceChildren(summary, svg);
}

/** `columns` are [heading, value of a row, its kind: "number" for the right-hand side, "drawn" what a phone has no room for]. */
function table(id, columns, rows, empty) {
  if (!rows.length) {
    byId(id).replaceChildren(element("p", { class: "empty" }, empty));
    return;
  }
  const head = element("tr", {}, ...columns.map(([title, , kind]) => element("th", { scope: "col", class: kind ?? "" }, title)));
  const body = rows.map((row) => element("tr", {}, ...columns.map(([, value, kind]) => element("td", { class: kind ?? "" }, value(row)))));
  const titled = columns.some(([title]) => title);
  byId(id).replaceChildren(element("table", {}, ...(titled ? [element("thead", {}, head)] : []), element("tbody", {}, ...body)));
}

function drawTables(stats) {
  const named = (group) => Object.entries(group).map(([name, found]) => ({ name, ...found }));
  const timing = (count) => [
    [count, (row) => figure(row.count, 0), "number"],
    ["errors", (row) => figure(row.errors, 0), "number"],
    ["per s", (row) => figure(row.per_s), "number"],
    ["p50 ms", (row) => figure(row.p50_ms), "number"],
    ["p95 ms", (row) => figure(row.p95_ms), "number"],
    ["p99 ms", (row) => figure(row.p99_ms), "number"],
  ];
  const busiest = (a, b) => b.per_s - a.per_s || b.count - a.count;
  table("operations", [["operation", (row) => row.name], ...timing("requests")], named(stats.operations).sort(busiest), "No request yet.");
  const hits = (name, more = []) => [
    [name, (row) => row.name],
    ["hit rate", (row) => percent(row.hit_rate), "number"],
    ["", (row) => element("meter", { value: row.hit_rate ?? 0, "aria-label": `hit rate of ${row.name}` }), "drawn"],
    ["hits", (row) => figure(row.hits, 0), "number"],
    ["misses", (row) => figure(row.misses, 0), "number"],
    ...more,
  ];
  const mostAsked = (a, b) => b.hits + b.misses - a.hits - a.misses;
  const fills = ["fills", (row) => figure(row.fills, 0), "number"];
  table("loaders", hits("loader", [fills]), named(stats.cache.loaders).sort(mostAsked), "No lookup yet.");
  table("viewers", hits("viewer"), named(stats.cache.viewers).sort(mostAsked), "No query yet.");
  drawCoherence(stats.cache);
  table("slow", [
    ["when", (row) => `${duration(stats.at - row.at)} ago`.replaceAll(" ", "\u00a0")],
    ["statement", (row) => row.name],
    ["ms", (row) => figure(row.ms), "number"],
    ["operation", (row) => row.operation || "–"],
  ], stats.slow_statements.slice(-8).reverse(), "None took longer than SLOW_QUERY_THRESHOLD_MS.");
  table("workers", [
    ["worker", (row) => row.name],
    ["process", (row) => String(row.pid), "number"],
    ["state", (row) => (row.serves ? "serves" : "starts or leaves")],
    ["age", (row) => duration(stats.at - row.began), "number"],
    ["requests", (row) => figure(row.requests, 0), "number"],
    ["errors", (row) => figure(row.errors, 0), "number"],
    ["in flight", (row) => figure(row.in_flight, 0), "number"],
    ["p95 ms", (row) => figure(row.p95_ms), "number"],
    ["lag ms", (row) => figure(row.event_loop_lag_ms), "number"],
    ["CPU", (row) => percent(row.cpu), "number"],
    ["memory", (row) => mebibytes(row.rss_bytes), "number"],
    ["pool", (row) => `${row.db_pool_in_use ?? 0} of ${row.db_pool_size ?? 0}`, "number"],
    ["Redis", (row) => row.cache_breaker ?? "–"],
  ], [...stats.workers].sort((a, b) => numberOf(a.name) - numberOf(b.name)), "No worker.");
  drawServers(stats.database ?? {}, stats.redis ?? {}, stats.versions);
}

/** How writes were kept from the cache, and what became of hits that were compared with PostgreSQL. */
function drawCoherence(cache) {
  const sum = (group) => Object.values(group).reduce((all, number) => all + number, 0);
  const of = (group, name) => figure(group[name] ?? 0, 0);
  const stale = sum(cache.stale);
  const named = Object.keys(cache.stale).join(", ");
  table("coherence", [["", (row) => row[0]], ["", (row) => row[1], "number"], ["", (row) => row[2], "text"]], [
    ["Writes", of(cache.writes, "held"), "held in the cache until committed"],
    ["", of(cache.writes, "suspended"), "without Redis, the cache switched off"],
    ["Hits compared", of(cache.verified, "same"), "as in PostgreSQL"],
    ["", figure(["overtaken", "skipped", "failed"].reduce((all, name) => all + (cache.verified[name] ?? 0), 0), 0), "without a verdict"],
    ["Stale", element("span", { class: stale ? "bad" : "" }, figure(stale, 0)), stale ? `alarm: ${named}` : "none found"],
  ], "");
}

function drawServers(database, redis, versions) {
  const state = (server) => (server.up ? "up" : server.error ?? "off");
  table("servers", [["", (row) => row[0]], ["state", (row) => row[1]], ["version", (row) => row[2]], ["", (row) => row[3]]], [
    ["PostgreSQL", state(database), database.version ?? "–", database.up
      ? `${database.connections} of ${database.usable_connections} connections, ${mebibytes(database.database_bytes)}, migration ${database.migration ?? "none"}`
      : ""],
    ["Outbox", database.outbox_rows ? `${figure(database.outbox_rows, 0)} waiting` : "drained", "", `oldest for ${figure(database.outbox_age_s ?? 0)} s`],
    ["Redis", state(redis), redis.version ?? "–", redis.up ? `${figure(redis.keys, 0)} keys, ${mebibytes(redis.used_memory_bytes)}` : ""],
    ["Fence", redis.fence_s > 0 ? "the cache is usable" : "the cache is off", "", `${figure(redis.fence_s ?? 0, 2)} s left`],
    ["Rollcall", "", versions.rollcall, `Python ${versions.python}, hypercorn ${versions.hypercorn}`],
  ], "");
}

function drawTiles(stats) {
  const total = stats.total;
  const tiles = [
    ["Requests per s", figure(points.at(-1)?.per_s), ""],
    ["p95", figure(points.at(-1)?.p95_ms), "ms"],
    ["Errors", figure(total.errors, 0), `of ${figure(total.requests, 0)}`],
    ["Cache hits", percent(stats.cache.hit_rate), ""],
    ["Loop lag", figure(total.event_loop_lag_ms), "ms"],
    ["Workers", `${stats.health.serving}`, `of ${stats.health.wanted}`],
    ["In flight", figure(total.in_flight, 0), ""],
    ["Memory", figure(total.rss_bytes / 2 ** 20, 0), "MiB"],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, unit]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value, " ", element("small", {}, unit)))));
}

function drawHealth(status, reasons) {
  const badge = byId("health");
  badge.className = `badge ${status}`;
  const text = [status, ...reasons].join(" · ");
  if (badge.textContent !== text) badge.textContent = text;
}

function keep(point) {
  if (points.length && point.at <= points[points.length - 1].at) return;
  points.push(point);
  while (point.at - points[0].at > SPAN_S) points.shift();
}

function draw(stats) {
  stats.points.forEach(keep);
  drawHealth(stats.health.status, stats.health.reasons);
  byId("since").textContent = stats.clustered ? "" : "ENABLE_CLUSTERING is off: one process, nothing is restarted";
  drawTiles(stats);
  chart("throughput", [{ key: "per_s", name: "requests", colour: "one" }, { key: "errors_per_s", name: "errors", colour: "three" }], "/s");
  chart("latency", [
    { key: "p50_ms", name: "p50", colour: "one" },
    { key: "p95_ms", name: "p95", colour: "two" },
    { key: "p99_ms", name: "p99", colour: "three" },
  ], "ms");
  chart("lag", [{ key: "lag_ms", name: "lag", colour: "one" }], "ms");
  drawLives(stats);
  drawTables(stats);
}

const events = new EventSource("/events");
events.addEventListener("history", (event) => JSON.parse(event.data).forEach(keep));
events.addEventListener("stats", (event) => draw(JSON.parse(event.data)));
events.addEventListener("error", () => drawHealth("down", ["no connection to the status port, trying again"]));
