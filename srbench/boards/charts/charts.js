// Charts become interactive when a reader comes near; where that fails the drawn pictures stay.
addEventListener("load", () => {
  const EVENT = "srbench:highlight", FACTOR = 1.4, SHIFT = 0.2;
  const code = document.getElementById("chart-library"), begun = new Set();
  const make = (tag, more) => Object.assign(document.createElement(tag), more);
  const tip = make("div", { id: "vg-tooltip-element", hidden: true });

  function tooltip(_, { clientX: x, clientY: y }, item, value) {
    tip.hidden = !value;
    tip.textContent = value;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${y + 14 + height > innerHeight ? y - height - 10 : y + 14}px`;
  }

  // Shows the parts [from, to] of what the axes show now, from the left and from the bottom.
  function show(view, panels, parts) {
    for (const panel of panels) for (const name of ["x", "y"]) {
      const { key, log, reverse, named } = panel[name], [from, to] = parts[name];
      const [f, g] = log ? [Math.log, Math.exp] : [v => v, v => v];
      const low = f(view.signal(`${key}_low`)), width = f(view.signal(`${key}_high`)) - low;
      view.signal(`${key}_low`, g(low + width * (reverse ? 1 - to : from)));
      view.signal(`${key}_high`, g(low + width * (reverse ? 1 - from : to)));
      if (!named) view.signal(`${key}_ticks`, null);
    }
    view.runAsync();
  }
  const scaled = (by, at = 0.5) => [at * (1 - by), at * (1 - by) + by];
  const zoom = (by, x, y) => ({ x: scaled(by, x), y: scaled(by, y) });
  const move = (x, y) => ({ x: [x, 1 + x], y: [y, 1 + y] });

  function buttons(view, panels, first) {
    const bar = make("div", { className: "chart-zoom", role: "group", ariaLabel: "Zoom" });
    const add = (textContent, title, onclick) =>
      bar.append(make("button", { type: "button", textContent, title, ariaLabel: title, onclick }));
    for (const [text, title, parts] of [
      ["+", "Zoom in", zoom(1 / FACTOR)], ["−", "Zoom out", zoom(FACTOR)],
      ["←", "Move left", move(-SHIFT, 0)], ["→", "Move right", move(SHIFT, 0)],
      ["↑", "Move up", move(0, SHIFT)], ["↓", "Move down", move(0, -SHIFT)],
    ]) add(text, title, () => show(view, panels, parts));
    add("Reset", "Show all", () => {
      for (const { name, value } of first) view.signal(name, value);
      view.runAsync();
    });
    return bar;
  }

  async function upgrade(figure) {
    const spec = JSON.parse(figure.querySelector("script[data-chart]").textContent);
    const { zoom: panels, size } = spec.usermeta.srbench;
    const drawn = figure.querySelector("svg"), place = make("div");
    if (!window.srbenchVega) document.head.append(make("script", { text: code.textContent }));
    const { view } = await srbenchVega(place, spec, {
      ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip,
      loader: { load: () => Promise.reject() } }); // no request leaves the page
    const svg = place.querySelector("svg");
    for (const { name, value } of drawn.attributes) svg.setAttribute(name, value);
    svg.prepend(drawn.querySelector("desc"));
    drawn.replaceWith(place);
    place.parentElement.after(buttons(view, panels, spec.params));
    const tell = label => document.dispatchEvent(new CustomEvent(EVENT, { detail: { label } }));
    view.addEventListener("mouseover", (_, item) => tell(item?.datum?.label ?? ""));
    place.onmouseleave = () => { tip.hidden = true; tell(""); };
    place.addEventListener("wheel", event => {
      if (!event.ctrlKey) return; // the page scrolls
      event.preventDefault();
      const box = svg.getBoundingClientRect(), one = panels.length < 2;
      show(view, panels, zoom(event.deltaY < 0 ? 1 / FACTOR : FACTOR,
        one ? (event.clientX - box.left) / box.width : 0.5,
        one ? (box.bottom - event.clientY) / box.height : 0.5));
    });
    document.addEventListener(EVENT, event =>
      view.signal("highlight", `${event.detail?.label ?? ""}`).runAsync());
    figure.classList.add("interactive");
  }

  const watcher = new IntersectionObserver(seen =>
    seen.forEach(entry => entry.isIntersecting && begin(entry.target)), { rootMargin: "200px" });
  function begin(figure) {
    if (begun.has(figure)) return;
    begun.add(figure);
    upgrade(figure).catch(() => {}); // the drawn picture stays
  }
  if (code) for (const figure of document.querySelectorAll("figure.chart")) {
    document.body.append(tip);
    watcher.observe(figure);
    figure.addEventListener("focusin", () => begin(figure));
  }
});
