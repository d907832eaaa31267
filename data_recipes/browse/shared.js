"use strict";
// What the pages share. Data reaches them as text nodes only: nothing in it can become markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PAGE_ROWS = 20;
const byId = (id) => document.getElementById(id);

function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null));
  return node;
}

// The entries a page at a time: `state.page` is the page's number, `draw` draws all and calls `show`, `nodeOf` makes the
// node of one entry, `place` tells which are shown, of how many.
function pager(state, draw, nodeOf, place) {
  let all = [];
  const pages = () => Math.max(1, Math.ceil(all.length / PAGE_ROWS));
  function show(matching) {
    all = matching;
    state.page = Math.min(state.page, pages() - 1);
    const first = state.page * PAGE_ROWS;
    const shown = all.slice(first, first + PAGE_ROWS);
    byId("place").textContent = all.length
      ? `${first + 1}–${first + shown.length} / ${all.length}${place(state.page + 1, pages())}` : "没有符合的 nothing matches";
    byId("back").disabled = state.page === 0;
    byId("next").disabled = state.page === pages() - 1;
    byId("entries").replaceChildren(...shown.map(nodeOf));
  }
  function turn(by) {
    if (state.page + by < 0 || state.page + by >= pages()) return;
    state.page += by;
    draw();
    byId("browse").scrollIntoView();
    byId("entries").firstElementChild?.focus({preventScroll: true});
  }
  byId("back").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  return {show, turn};
}

// Moves the focus by so many entries.
function step(by) {
  const rows = [...byId("entries").children];
  const at = rows.indexOf(document.activeElement.closest("article"));
  const row = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
  row?.focus();
  row?.scrollIntoView({block: "nearest"});
}

// One tab for each [label, count]; `open` is called with its number. The arrows go from tab to tab.
function makeTabs(labels, open, selected, controls) {
  const tabs = document.querySelector("[role=tablist]");
  labels.forEach(([label, count], number) => {
    const tab = make("button", {type: "button"}, label, " ", make("span", {}, count));
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", controls(number));
    tab.addEventListener("click", () => open(number));
    tabs.append(tab);
  });
  tabs.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!by) return;
    event.stopPropagation();
    open((selected() + by + labels.length) % labels.length);
    tabs.children[selected()].focus();
  });
}

function drawTabs(selected) {
  document.querySelectorAll("[role=tab]").forEach((tab, number) => {
    tab.setAttribute("aria-selected", String(number === selected));
    tab.tabIndex = number === selected ? 0 : -1;
  });
}
