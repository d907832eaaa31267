// Runs the script of a page without a browser: {data, script, store, steps} on standard input, {store, results} out.
// An element here holds its children and attributes and does nothing; `store` is what the browser keeps of the page.
const vm = require("vm");
const {data, script, store, steps} = JSON.parse(require("fs").readFileSync(0, "utf-8"));

class Element {
  constructor() { Object.assign(this, {children: [], dataset: {}, value: "", own: ""}); }
  get textContent() { return this.own + this.children.map((child) => child.textContent ?? child).join(" "); }
  set textContent(text) { this.own = text; this.children = []; }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  replaceWith() {}
  setAttribute(name, value) { this[name] = value; }
  addEventListener() {}
  querySelector() { return new Element(); }
  querySelectorAll() { return []; }
  closest() { return null; }
  focus() {}
}

const known = {data: Object.assign(new Element(), {textContent: data})};
const document = Object.assign(new Element(), {
  getElementById: (id) => (known[id] ??= new Element()),
  createElement: () => new Element(),
  createElementNS: () => new Element(),
  activeElement: new Element(),
});
const localStorage = {getItem: (key) => store[key] ?? null, setItem: (key, value) => { store[key] = value; }};
const page = vm.createContext({document, localStorage, window: new Element()});
vm.runInContext(script, page);
process.stdout.write(JSON.stringify({store, results: steps.map((one) => vm.runInContext(one, page) ?? null)}));
