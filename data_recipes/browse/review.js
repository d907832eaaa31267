const ROLES = {customer: "客户", agent: "坐席", system: "系统"};
const WORDS = {accept: "采纳 accept", edit: "修改 edit", reject: "拒绝 reject"};
const STATES = {open: "未决定 open", decided: "已决定 decided", changed: "已决定、证据有变 evidence changed", reworded: "原决定针对其他文字 reworded"};
const FIELDS = {situation: "情形 situation", action: "做法 action", steps: "步骤 steps", modality: "情态 modality", subject: "主体 subject", conditions: "条件 conditions", exception: "例外 exception"};
const KINDS = Object.keys(DATA.kinds).filter((kind) => DATA.units.some((unit) => unit.kind === kind));
const STORE = `tianjing-review-${DATA.knowledge}`;
const state = {kind: KINDS[0] ?? "", page: 0, search: "", state: "", order: ""};
// Key of a unit -> {decision, edits: {field: text}, comment}: what is filled in here.
const filled = new Map();
// The same, of what the browser kept and somebody has decided on since: shown, never filled in.
const passed = new Map();
const units = new Map(DATA.units.map((unit) => [unit.row.key, unit]));
const entries = pager(state, draw, unitNode, () => "");
let unsaved = false;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// What is filled in survives a closed window, where the browser lets a page keep anything.
function keep() {
  unsaved = true;
  const seen = [...filled].map(([key, entry]) => [key, {...entry, digest: units.get(key).row.digest, seen: units.get(key).row.seen}]);
  try { localStorage.setItem(STORE, JSON.stringify({reviewer: byId("reviewer").value, filled: [...passed, ...seen]})); } catch { /* the warning on leaving stays */ }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) ?? "null");
    if (!kept) return;
    byId("reviewer").value = kept.reviewer;
    for (const [key, {digest, seen, ...entry}] of kept.filled.filter(([key]) => units.has(key))) {
      const unit = units.get(key);
      if (digest === unit.row.digest && seen === unit.row.seen) filled.set(key, entry);
      else if (stands(unit, entry)) passed.delete(key);
      else if (entry.decision || entry.comment.trim()) passed.set(key, {digest, seen, ...entry});
    }
    unsaved = filled.size > 0;
  } catch { /* nothing kept */ }
}

// Whether the decision that counts says the same: what was filled in has been recorded.
function stands(unit, {decision, edits, comment}) {
  const names = decision === "edit" ? new Set([...Object.keys(edits), ...Object.keys(unit.before)]) : [];
  return decision === unit.decision && comment.trim() === unit.comment && [...names].every((name) => edits[name] === unit.before[name]);
}

function passedNode(unit) {
  const entry = passed.get(unit.row.key);
  if (!entry || filled.has(unit.row.key)) return null;
  const words = [WORDS[entry.decision] ?? "", ...(entry.decision === "edit" ? Object.values(entry.edits) : []), entry.comment.trim()];
  const since = `在决定 ${unit.row.seen} 之前填写，未采用 filled in before decision ${unit.row.seen}, not taken over`;
  return make("p", {className: "note warn"}, `${since}: ${words.filter((word) => word).join(" · ")}`);
}

function haystack(unit) {
  unit.haystack ??= [...Object.values(unit.row), unit.text, ...Object.values(unit.editable), ...unit.facts.flat()].join("\n").toLowerCase();
  return unit.haystack;
}

function decide(unit, word) {
  const known = filled.get(unit.row.key) ?? {decision: "", edits: {}, comment: ""};
  const decision = known.decision === word ? "" : word;
  if (unit.vetoed && (decision === "accept" || decision === "edit")) return;
  if (!decision && !known.comment) filled.delete(unit.row.key);
  else filled.set(unit.row.key, {...known, decision});
  keep();
  redraw(unit);
  if (decision === "edit") document.activeElement.closest("article")?.querySelector(".edits input, .edits textarea")?.focus();
}

function intervalNode([effect, low, high]) {
  const x = (value) => 200 + 190 * Math.max(-1, Math.min(1, value));
  const side = low > 0 ? "good" : high < 0 ? "bad" : "open";
  const label = `${(100 * effect).toFixed(1)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
  return svg("svg", {viewBox: "0 0 400 34", class: "interval", role: "img", "aria-label": `effect ${label} percentage points`},
    svg("line", {x1: 10, x2: 390, y1: 12, y2: 12}), svg("line", {x1: 200, x2: 200, y1: 3, y2: 21, class: "zero"}),
    svg("g", {class: side}, svg("line", {x1: x(low), x2: Math.max(x(high), x(low) + 1), y1: 12, y2: 12, class: "range"}), svg("circle", {cx: x(effect), cy: 12, r: 5})),
    text(10, "-100"), text(200, "0"), text(390, "+100"));
  function text(at, words) {
    return svg("text", {x: at, y: 32, "text-anchor": at < 50 ? "start" : at > 350 ? "end" : "middle"}, words);
  }
}

function editsNode(unit, entry) {
  const node = make("div", {className: "edits"});
  for (const [name, now] of Object.entries(unit.editable)) {
    const long = name in DATA.separators || now.length > 60;
    const input = make(long ? "textarea" : "input", {value: entry.edits[name] ?? unit.before[name] ?? now});
    input.addEventListener("input", () => {
      const words = input.value.trim();
      if (words && words !== now) entry.edits[name] = words; else delete entry.edits[name];
      keep();
      drawProgress();
    });
    if (!(name in entry.edits) && unit.before[name]) entry.edits[name] = unit.before[name];
    const hint = DATA.separators[name] ? `（以 ${DATA.separators[name]} 分隔）` : "";
    node.append(make("label", {}, make("span", {}, `${FIELDS[name] ?? name}${hint}`), input));
  }
  return node;
}

function unitNode(unit) {
  const entry = filled.get(unit.row.key);
  const decision = entry?.decision ?? "";
  const node = make("article", {tabIndex: 0, className: decision});
  node.dataset.key = unit.row.key;
  const tags = [[unit.state === "open" ? "" : STATES[unit.state], unit.state], [unit.vetoed ? `否决 ${unit.row.verdict}` : "", "vetoed"], [unit.weak && !unit.vetoed ? "证据不足，不会教 weak evidence, not taught" : "", ""], [unit.row.decided, ""], [WORDS[decision], decision]];
  node.append(make("header", {}, make("strong", {}, unit.row.summary), make("code", {}, unit.row.key),
    ...tags.filter(([label]) => label).map(([label, style]) => make("span", {className: `tag ${style}`}, label))));
  if (unit.interval) node.append(intervalNode(unit.interval));
  if (unit.text) node.append(make("p", {className: "text"}, unit.text));
  if (unit.comment) node.append(make("p", {className: "soft"}, `上次的意见 comment before: ${unit.comment}`));
  node.append(...[passedNode(unit)].filter((one) => one));
  node.append(make("dl", {className: "facts"}, ...unit.facts.map(([name, value]) => make("div", {className: value.length > 24 ? "long" : ""}, make("dt", {}, name), make("dd", {}, value)))));
  if (unit.exemplars.length) {
    const talks = unit.exemplars.map((one) => make("div", {}, make("h4", {}, one.id), ...one.turns.map(([speaker, words]) =>
      make("div", {className: `bubble ${speaker}`}, make("b", {}, ROLES[speaker] ?? speaker), make("div", {}, words)))));
    node.append(make("details", {}, make("summary", {}, `例子 exemplars (${unit.exemplars.length})`), make("div", {className: "sources"}, ...talks)));
  }
  const buttons = Object.entries(WORDS).map(([word, label]) => {
    const button = make("button", {type: "button", disabled: unit.vetoed && word !== "reject"}, label);
    button.setAttribute("aria-pressed", String(decision === word));
    button.addEventListener("click", () => decide(unit, word));
    return button;
  });
  const comment = make("input", {type: "text", className: "comment", placeholder: "意见 comment", value: entry?.comment ?? ""});
  comment.setAttribute("aria-label", "意见 comment");
  comment.addEventListener("input", () => {
    filled.set(unit.row.key, {...(filled.get(unit.row.key) ?? {decision: "", edits: {}}), comment: comment.value});
    keep();
    drawProgress();
  });
  node.append(make("div", {className: "decide"}, ...buttons, comment));
  if (decision === "edit") node.append(editsNode(unit, entry));
  return node;
}

function redraw(unit) {
  const old = [...byId("entries").children].find((node) => node.dataset.key === unit.row.key);
  const node = unitNode(unit);
  old?.replaceWith(node);
  node.focus({preventScroll: true});
  drawProgress();
  drawChips();
}

function standing(unit) {
  return filled.get(unit.row.key)?.decision || unit.state;
}

function fits(unit, without) {
  return unit.kind === state.kind && (without || !state.state || standing(unit) === state.state)
    && (!state.search || haystack(unit).includes(state.search.toLowerCase()));
}

function drawChips() {
  const found = new Map([["", 0]]);
  for (const unit of DATA.units.filter((one) => fits(one, true))) {
    found.set("", found.get("") + 1);
    found.set(standing(unit), (found.get(standing(unit)) ?? 0) + 1);
  }
  if (state.state && !found.has(state.state)) found.set(state.state, 0);
  byId("states").replaceChildren(...[...found].map(([value, count]) => {
    const chip = make("button", {type: "button"}, `${value ? WORDS[value] ?? STATES[value] : "全部 all"} ${count}`);
    chip.setAttribute("aria-pressed", String(state.state === value));
    chip.addEventListener("click", () => { state.state = value; state.page = 0; draw(); byId("states").querySelector("[aria-pressed=true]").focus(); });
    return chip;
  }));
}

function drawProgress() {
  const chosen = [...filled.values()].filter((entry) => entry.decision).length;
  const lost = [...filled.values()].filter((entry) => !entry.decision && entry.comment.trim()).length;
  const bare = [...filled.values()].filter((entry) => entry.decision === "edit" && !Object.keys(entry.edits).length).length;
  const old = [...passed.keys()].filter((key) => !filled.has(key)).length;
  byId("progress").textContent = `已填 ${chosen} / ${DATA.units.length} decided here`
    + (bare ? ` · ${bare} 项修改还没有新措辞 edits without new words` : "")
    + (lost ? ` · ${lost} 条意见还没有决定 comments without a decision` : "")
    + (old ? ` · ${old} 项此前填写未采用 filled in before, not taken over` : "");
}

function sorted(units) {
  const value = {effect: (unit) => -Number(unit.row.effect || -9), q: (unit) => Number(unit.row.q || 9)}[state.order];
  return value ? [...units].sort((one, other) => value(one) - value(other)) : units;
}

function draw() {
  drawTabs(KINDS.indexOf(state.kind));
  byId("order").hidden = state.kind !== "practice";
  drawChips();
  drawProgress();
  entries.show(sorted(DATA.units.filter((unit) => fits(unit))));
}

function open(kind) {
  Object.assign(state, {kind, page: 0, state: ""});
  draw();
}

// The same table as review.csv. A cell that a spreadsheet would compute gets an apostrophe in front.
function cell(name, value) {
  const inert = /^[=+\-@\t\r]/.test(value) && !["effect", "ci_low", "ci_high", "q"].includes(name) ? `'${value}` : value;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

function table() {
  const rows = DATA.units.map((unit) => {
    const entry = filled.get(unit.row.key);
    if (!entry) return unit.row;
    const edits = entry.decision === "edit" ? entry.edits : {};
    return {...unit.row, ...edits, decision: entry.decision, comment: entry.comment.trim(), reviewer: entry.decision ? byId("reviewer").value.trim() : ""};
  });
  return [DATA.columns.join(","), ...rows.map((row) => DATA.columns.map((name) => cell(name, row[name])).join(","))].join("\r\n") + "\r\n";
}

function save() {
  const link = make("a", {href: URL.createObjectURL(new Blob(["\ufeff", table()], {type: "text/csv"})), download: "review.csv"});
  document.body.append(link);
  link.click();
  link.remove();
  unsaved = false;
}

const sizes = KINDS.map((kind) => [DATA.kinds[kind], String(DATA.units.filter((unit) => unit.kind === kind).length)]);
makeTabs(sizes, (number) => open(KINDS[number]), () => KINDS.indexOf(state.kind), () => "browse");
byId("reviewer").addEventListener("input", keep);
byId("search").addEventListener("input", (event) => { state.search = event.target.value.trim(); state.page = 0; draw(); });
byId("order").addEventListener("change", (event) => { state.order = event.target.value; state.page = 0; draw(); });
byId("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") (event.target.closest("article") ?? event.target).focus();
    if (event.key === "Escape" && !event.target.closest("article")) event.target.blur();
    return;
  }
  const key = document.activeElement.closest("article")?.dataset.key;
  const unit = key === undefined ? null : DATA.units.find((one) => one.row.key === key);
  const word = {a: "accept", e: "edit", r: "reject"}[event.key];
  const number = Number(event.key);
  if (number >= 1 && number <= KINDS.length) open(KINDS[number - 1]);
  else if (event.key === "/") { event.preventDefault(); byId("search").focus(); }
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "ArrowRight") entries.turn(1);
  else if (event.key === "ArrowLeft") entries.turn(-1);
  else if (unit && word) { event.preventDefault(); if (filled.get(key)?.decision !== word) decide(unit, word); }
  else if (unit && event.key === "u") { filled.delete(key); keep(); redraw(unit); }
});
window.addEventListener("beforeunload", (event) => { if (unsaved && filled.size) event.preventDefault(); });
recall();
draw();
