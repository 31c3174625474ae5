"use strict";
// Everything that comes from a run is put into the page as text, never as markup.
const packed = JSON.parse(document.getElementById("data").textContent);
const VERDICTS = ["passed", "failed", "inconclusive", "unreadable"];
const COLOURS = {passed: "good", inconclusive: "open"};
const PAGE = 100;
const two = (number) => String(number).padStart(2, "0");
const runs = packed.rows ? packed.rows.split("\n").map((row) => {
  const [at, suffix, definition, verdict, recovery, lost] = row.split(",");
  const [name, environment] = packed.definitions[parseInt(definition, 36)];
  const time = new Date((packed.from + parseInt(at, 36)) * 1000);
  const stamp = time.getUTCFullYear() + two(time.getUTCMonth() + 1) + two(time.getUTCDate()) + "T" +
    two(time.getUTCHours()) + two(time.getUTCMinutes()) + two(time.getUTCSeconds()) + "Z";
  const began = time.toISOString().slice(0, 16).replace("T", " ") + "Z";
  const id = suffix.startsWith("=") ? packed.ids[parseInt(suffix.slice(1), 36)] : stamp + "-" + name + "-" + suffix;
  const recovery_s = recovery === "" ? null : parseInt(recovery, 36) / 100;
  return {id, began, name, environment, verdict: VERDICTS[verdict], recovery_s, lost: lost === "" ? null : parseInt(lost, 36),
    found: (began + " " + name + " " + environment + " " + id).toLowerCase()};
}) : [];
let shown = runs, first = 0;
const by = (id) => document.getElementById(id);
function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 10) return seconds.toFixed(2) + " s";
  if (seconds < 120) return seconds.toFixed(1) + " s";
  if (seconds < 7200) return (seconds / 60).toFixed(1) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}
function cell(row, text, style) {
  const made = row.insertCell();
  made.textContent = text;
  if (style) made.className = style;
  return made;
}
function show() {
  const body = document.createElement("tbody");
  body.id = "runs";
  for (const run of shown.slice(first, first + PAGE)) {
    const row = body.insertRow(), began = cell(row, "", "mono small");
    const href = packed.hrefs[run.id] || (packed.before === null ? null : packed.before + run.id + packed.after);
    const place = href === null ? began : began.appendChild(document.createElement("a"));
    if (href !== null) place.href = href;
    place.textContent = run.began;
    cell(row, run.name);
    cell(row, run.environment);
    cell(row, run.verdict, COLOURS[run.verdict] || "bad");
    cell(row, duration(run.recovery_s));
    cell(row, run.lost === null ? "–" : run.lost.toLocaleString("en"), run.lost ? "bad" : "");
  }
  by("runs").replaceWith(body);
  by("said").textContent = shown.length.toLocaleString("en") + " of " + runs.length.toLocaleString("en") + " runs.";
  by("place").textContent = shown.length ? (first + 1) + " to " + Math.min(first + PAGE, shown.length) : "none";
  by("newer").disabled = first === 0;
  by("older").disabled = first + PAGE >= shown.length;
}
function filter() {
  const words = by("words").value.toLowerCase().split(/\s+/).filter(Boolean), verdict = by("verdict").value;
  shown = runs.filter((run) => (!verdict || run.verdict === verdict) && words.every((word) => run.found.includes(word)));
  first = 0;
  show();
}
by("words").addEventListener("input", filter);
by("verdict").addEventListener("change", filter);
by("newer").addEventListener("click", () => { first = Math.max(0, first - PAGE); show(); });
by("older").addEventListener("click", () => { first += PAGE; show(); });
show();
