const ROLES = {system: "系统", user: "提问", assistant: "回答", chosen: "选用", rejected: "不选", customer: "客户", agent: "坐席", clause: "条文", steps: "步骤", text: "原文"};
const state = {tab: -1, page: 0, search: "", task: "", split: "", source: "", rule: "", reason: ""};
const SPLITS = ["train", "validation", "test"];
const entries = pager(state, draw, entryNode, (page, pages) => `（第 ${page} 页，共 ${pages} 页；全表 ${DATA.tabs[state.tab].total} 行）`);

function textOf(message) {
  return typeof message[1] === "number" ? DATA.shared[message[1]] : message[1];
}

function haystack(entry) {
  entry.haystack ??= [
    entry.id, entry.title, entry.split, entry.task, entry.source, entry.rule, entry.reason,
    ...(entry.messages ?? []).filter((message) => message[0] !== "system").map(textOf),
    ...(entry.facts ?? []).flat(),
    ...(entry.sources ?? []).flatMap((source) => [source.id, source.title, ...(source.lines ?? []).map((line) => line[1])]),
  ].join("\n").toLowerCase();
  return entry.haystack;
}

function marked(text, marks) {
  const node = make("div", {});
  let from = 0;
  while (from < text.length) {
    let at = -1, found = "";
    for (const mark of marks) {
      const place = text.indexOf(mark, from);
      if (place >= 0 && (at < 0 || place < at)) [at, found] = [place, mark];
    }
    if (at < 0) break;
    node.append(text.slice(from, at), make("mark", {}, found));
    from = at + found.length;
  }
  node.append(text.slice(from));
  return node;
}

function bubble(role, text, marks, style) {
  return make("div", {className: `bubble ${style}`}, make("b", {}, ROLES[role] ?? role), marked(text, marks));
}

function messageNode(message, marks) {
  const node = bubble(message[0], textOf(message), marks, message[0]);
  return message[0] === "system" && typeof message[1] === "number" && state.kind === "rows"
    ? make("details", {}, make("summary", {}, "系统提示 system message"), node) : node;
}

function sourceNode(source, marks) {
  const lines = (source.lines ?? []).map(([speaker, text, cited]) => bubble(speaker, text, cited ? marks : [], `${speaker} ${cited ? "cited" : "uncited"}`));
  return make("div", {}, make("h4", {}, [source.id, source.title].filter(Boolean).join(" · ")), ...lines);
}

function entryNode(entry) {
  const marks = [...(entry.marks ?? []), ...(state.search.length > 1 ? [state.search] : [])];
  const tags = [entry.task, entry.split, entry.rule, entry.reason].filter(Boolean);
  const node = make("article", {tabIndex: 0},
    make("header", {}, entry.title ? make("strong", {}, entry.title) : null, make("code", {}, entry.id),
      ...tags.map((tag) => make("span", {className: "tag"}, tag))),
    ...(entry.messages ?? []).map((message) => messageNode(message, marks)));
  if (entry.sources?.length) {
    const sources = make("div", {className: "sources"}, ...entry.sources.map((source) => sourceNode(source, marks)));
    const label = make("summary", {}, `出处 sources (${entry.sources.length})`);
    node.append(make("details", {className: "origin", open: state.kind !== "rows"}, label, sources));
  }
  if (entry.facts?.length) {
    const facts = entry.facts.map(([name, value]) => make("div", {className: value.length > 24 ? "long" : ""},
      make("dt", {}, name), make("dd", {}, value)));
    node.append(make("dl", {className: "facts"}, ...facts));
  }
  return node;
}

function fits(entry, without) {
  return ["task", "split", "source", "rule", "reason"].every((name) => name === without || !state[name] || entry[name] === state[name])
    && (!state.search || haystack(entry).includes(state.search.toLowerCase()));
}

function counts(name) {
  const found = new Map();
  for (const entry of DATA.tabs[state.tab].entries) {
    if (entry[name]) found.set(entry[name], (found.get(entry[name]) ?? 0) + (fits(entry, name) ? 1 : 0));
  }
  const key = (value) => (name === "split" ? String(SPLITS.indexOf(value)) : value);
  return [...found].sort((one, other) => (key(one[0]) < key(other[0]) ? -1 : 1));
}

function drawChips(id, name) {
  const values = counts(name);
  byId(id).hidden = values.length < 2 && !state[name];
  const all = values.reduce((sum, [, count]) => sum + count, 0);
  byId(id).replaceChildren(...[["", all], ...values].map(([value, count]) => {
    const chip = make("button", {type: "button"}, `${value || "全部 all"} ${count}`);
    chip.setAttribute("aria-pressed", String(state[name] === value));
    chip.addEventListener("click", () => { state[name] = value; state.page = 0; draw(); byId(id).querySelector("[aria-pressed=true]").focus(); });
    return chip;
  }));
}

function drawSelect(name, label) {
  const values = counts(name);
  byId(name).hidden = !values.length;
  byId(name).replaceChildren(make("option", {value: ""}, label),
    ...values.map(([value, count]) => make("option", {value, selected: state[name] === value}, `${value} (${count})`)));
}

function draw() {
  const overview = state.tab < 0;
  byId("overview").hidden = !overview;
  byId("browse").hidden = overview;
  drawTabs(state.tab + 1);
  if (overview) return;
  const tab = DATA.tabs[state.tab];
  state.kind = tab.name;
  drawChips("tasks", "task");
  drawChips("splits", "split");
  drawSelect("source", "来源 source");
  drawSelect("rule", "规则 rule");
  drawSelect("reason", "原因 reason");
  entries.show(tab.entries.filter((entry) => fits(entry)));
}

function open(tab) {
  Object.assign(state, {tab, page: 0, task: "", split: "", source: "", rule: "", reason: ""});
  draw();
}

const labels = [["概览 overview", ""], ...DATA.tabs.map((tab) => [tab.title, String(tab.total)])];
makeTabs(labels, (number) => open(number - 1), () => state.tab + 1, (number) => (number ? "browse" : "overview"));
byId("search").addEventListener("input", (event) => { state.search = event.target.value.trim(); state.page = 0; draw(); });
for (const name of ["source", "rule", "reason"]) {
  byId(name).addEventListener("change", (event) => { state[name] = event.target.value; state.page = 0; draw(); });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const number = Number(event.key);
  if (number >= 1 && number <= labels.length) open(number - 2);
  else if (state.tab < 0) return;
  else if (event.key === "/") { event.preventDefault(); byId("search").focus(); }
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "ArrowRight") entries.turn(1);
  else if (event.key === "ArrowLeft") entries.turn(-1);
});
window.addEventListener("beforeprint", () => document.querySelectorAll("details.origin").forEach((node) => { node.open = true; }));
const asked = DATA.tabs.findIndex((tab) => tab.name === location.hash.slice(1));
open(asked);
