// The view of the reader: sorting, filtering, columns, and every control's state in the address.
// Without this script the page says the same; the rows then stay in the order they were written in.
(() => {
  "use strict";
  const table = document.getElementById("results-table");
  const body = document.getElementById("rows");
  const form = document.getElementById("view");
  const rows = body ? [...body.rows] : [];
  const heads = table ? [...table.tHead.rows[0].cells] : [];
  const inputs = () => [...document.querySelectorAll("input[name^=view-], #view-q, input[name^=pix-], select[name^=pix-]")];
  const initial = { sort: "", shown: new Set(heads.filter(h => !("extra" in h.dataset)).map(h => h.dataset.col)) };
  let view = { sort: initial.sort, shown: new Set(initial.shown) };
  let restoring = false;

  // ---- what a cell is sorted by: smaller comes first, NaN always last
  const number = cell => {
    const text = "v" in cell.dataset ? cell.dataset.v : cell.textContent.trim().replace(/,/g, "");
    return parseFloat(text);
  };
  const badness = (head, cell) => {
    const value = number(cell);
    if (head.dataset.better === "target") return Math.abs(value - parseFloat(head.dataset.target));
    return head.dataset.better === "higher" ? -value : value;
  };
  const sorted = () => {
    const [col, reversed] = view.sort.endsWith("-") ? [view.sort.slice(0, -1), -1] : [view.sort, 1];
    const at = heads.findIndex(h => h.dataset.col === col);
    if (at < 0) return rows;
    const keys = new Map(rows.map(row => [row, col === "method" ? row.dataset.label : badness(heads[at], row.cells[at])]));
    return [...rows].sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (typeof x === "string") return reversed * x.localeCompare(y, "en", { numeric: true });
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
      return reversed * (x - y);
    });
  };

  // ---- drawing the view
  const query = () => (document.getElementById("view-q") || { value: "" }).value.trim().toLowerCase();
  const draw = () => {
    if (!table || !form) return;
    const order = sorted(), words = query();
    const best = !!form.querySelector("input[value=best]:checked");
    const whole = document.createDocumentFragment();
    let count = 0;
    for (const row of order) {
      row.hidden = (best && "folded" in row.dataset) || !row.dataset.label.toLowerCase().includes(words);
      count += !row.hidden;
      whole.append(row);
    }
    body.append(whole);
    heads.forEach((head, at) => {
      const hide = !view.shown.has(head.dataset.col);
      if (head.hidden !== hide) {
        head.hidden = hide;
        for (const row of rows) row.cells[at].hidden = hide;
        for (const row of table.querySelectorAll("tfoot tr, .failed tr")) {
          if (row.cells.length > at && row.cells[at].colSpan === 1) row.cells[at].hidden = hide;
        }
      }
      const mine = view.sort.replace(/-$/, "") === head.dataset.col;
      if (mine) head.setAttribute("aria-sort", view.sort.endsWith("-") !== (head.dataset.better === "higher") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const head = heads.find(h => h.dataset.col === view.sort.replace(/-$/, ""));
    const how = head ? `sorted by ${head.dataset.name}${view.sort.endsWith("-") ? ", reversed" : head.dataset.better ? ", best first" : ""}` : "in the order of rank";
    document.getElementById("view-status").textContent = `${count} of ${rows.length} methods, ${how}`;
  };

  // ---- the address
  const isDefault = input => input.type === "radio" || input.type === "checkbox"
    ? input.checked === input.defaultChecked : input.value === input.defaultValue;
  const write = () => {
    if (restoring) return;
    const state = new URLSearchParams();
    if (view.sort) state.set("sort", view.sort);
    const shown = heads.map(h => h.dataset.col).filter(col => view.shown.has(col));
    if (heads.some(h => view.shown.has(h.dataset.col) !== initial.shown.has(h.dataset.col))) state.set("cols", shown.join(","));
    for (const input of inputs()) {
      const name = input.name || input.id;
      if (name === "view-col" || isDefault(input)) continue;
      if (input.type === "radio") { if (input.checked) state.set(name, input.value); }
      else state.set(name, input.type === "checkbox" ? +input.checked : input.value);
    }
    const open = [...document.querySelectorAll("details[id][open]")].map(d => d.id);
    if (open.length) state.set("open", open.join(","));
    const text = state.toString();
    try {
      history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    } catch { location.hash = text; }
  };
  const read = () => {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return;  // a place in the page, not a view
    restoring = true;
    const state = new URLSearchParams(text);
    const sort = state.get("sort") || "";
    view.sort = heads.some(h => h.dataset.col === sort.replace(/-$/, "")) ? sort : "";
    const known = new Set(heads.map(h => h.dataset.col));
    const wanted = (state.get("cols") || "").split(",").filter(col => known.has(col));
    view.shown = new Set(state.has("cols") ? ["method", ...wanted] : initial.shown);
    for (const input of inputs()) {
      const name = input.name || input.id;
      const before = [input.checked, input.value];
      if (name === "view-col") input.checked = view.shown.has(input.value);
      else if (input.type === "radio") input.checked = inputs().some(i => i.name === name && i.value === state.get(name)) ? input.value === state.get(name) : input.defaultChecked;
      else if (input.type === "checkbox") input.checked = state.has(name) ? state.get(name) === "1" : input.defaultChecked;
      else input.value = state.has(name) ? state.get(name) : input.defaultValue;
      if (before[0] !== input.checked || before[1] !== input.value) input.dispatchEvent(new Event("change", { bubbles: true }));
    }
    const open = new Set((state.get("open") || "").split(","));
    for (const details of document.querySelectorAll("details[id]")) details.open = open.has(details.id);
    restoring = false;
    draw();
  };

  // ---- controls
  const build = () => {
    const chooser = document.querySelector("#view-columns fieldset");
    for (const head of heads) {
      head.dataset.name = head.textContent.replace(/\s+/g, " ").trim().replace(/, (lower|higher|closer).*/, "").replace(/ [↓↑≈]$/, "");
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const col = head.dataset.col;
        view.sort = view.sort === col ? `${col}-` : view.sort === `${col}-` ? "" : col;
        draw(); write();
      });
      if (head.dataset.col === "method") continue;
      const label = document.createElement("label"), box = document.createElement("input");
      Object.assign(box, { type: "checkbox", name: "view-col", value: head.dataset.col });
      box.checked = box.defaultChecked = initial.shown.has(head.dataset.col);
      label.append(box, ` ${head.dataset.name}`);
      chooser.append(label);
    }
    document.getElementById("view-reset").addEventListener("click", () => {
      history.replaceState(null, "", "#=");
      read(); write();
    });
    form.addEventListener("submit", event => event.preventDefault());
    form.hidden = false;
  };
  const changed = event => {
    const input = event.target;
    if (!input.matches || !input.matches("input, select")) return;
    if (input.name === "view-col") view.shown[input.checked ? "add" : "delete"](input.value);
    if (form && form.contains(input)) draw();
    write();
  };
  document.documentElement.classList.add("js");
  if (table && form) build();
  document.addEventListener("change", changed);
  document.addEventListener("input", event => { if (event.target.id === "view-q") changed(event); });
  document.addEventListener("toggle", event => { if (event.target.id) write(); }, true);
  addEventListener("hashchange", read);
  read();

  // ---- a method that is pointed at in a chart or the table is marked in both
  const tell = label => document.dispatchEvent(new CustomEvent("srbench:highlight", { detail: { label } }));
  for (const kind of ["mouseover", "focusin"]) {
    if (body) body.addEventListener(kind, event => { const row = event.target.closest("tr"); if (row) tell(row.dataset.label); });
  }
  for (const kind of ["mouseleave", "focusout"]) if (body) body.addEventListener(kind, () => tell(""));
  document.addEventListener("srbench:highlight", event => {
    for (const row of rows) row.classList.toggle("lit", !!event.detail.label && row.dataset.label === event.detail.label);
  });
})();
