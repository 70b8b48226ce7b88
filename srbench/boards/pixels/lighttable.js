/* The light table moves its crop, sorts its scenes and keeps the view in the address. */
(() => {
  "use strict";
  const by = id => document.getElementById(id);
  const data = JSON.parse(by("lt-data").textContent);
  const root = document.documentElement;
  const rail = document.querySelector(".pix-scenes");
  const labels = [...rail.querySelectorAll(".pix-scene")];
  const radio = label => label.querySelector("input");
  const [x, y, order, seed] = ["lt-x", "lt-y", "lt-order", "lt-seed"].map(by);
  const first = {scene: radio(labels.find(label => radio(label).checked)).value,
                 x: x.value, y: y.value, order: order.value, seed: seed.value};

  const clamp = (input, value) => {
    const most = Number(input.max), whole = Math.round(Number(value));
    return String(Math.min(most, Math.max(0, Number.isFinite(whole) ? whole : 0)));
  };
  const moveTo = (left, top) => {
    x.value = clamp(x, left);
    y.value = clamp(y, top);
    root.style.setProperty("--x", x.value);
    root.style.setProperty("--y", y.value);
  };

  // Orders of the rail: by rule, by spread over methods, by one method's values, at random.
  const spread = place => {
    const values = data.badness.map(row => row[place]).filter(value => value !== null);
    if (values.length < 2) return -1;
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  };
  const noise = (place, start) => {  // 32-bit mixing (MurmurHash3), the same in every browser
    let h = Math.imul(place + 1, 0x9e3779b1) ^ Math.imul(start + 1, 0x85ebca6b);
    h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
    h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
    return (h ^ h >>> 16) >>> 0;
  };
  const score = place => {
    const row = data.keys.indexOf(order.value);
    if (order.value === "disagree") return spread(place);
    if (order.value === "random") return noise(place, Number(seed.value) || 0);
    return row >= 0 ? data.badness[row][place] ?? -Infinity : -place;
  };
  const sort = () => {
    const places = labels.map((_, place) => place);
    const scores = places.map(score);
    places.sort((a, b) => scores[b] - scores[a] || a - b);
    for (const place of places) rail.append(labels[place]);
    return places[0];
  };

  const view = () => ({scene: radio(labels.find(label => radio(label).checked)).value,
                       x: x.value, y: y.value, order: order.value, seed: seed.value});
  const save = () => {
    const now = view(), state = new URLSearchParams();
    for (const [name, value] of Object.entries(now)) if (value !== first[name]) state.set(name, value);
    const hash = `#${state}`;
    by("lt-link").href = hash;
    try {
      history.replaceState(null, "", hash);
    } catch {
      // Some browsers forbid it for files; the link still has it.
    }
  };
  const restore = () => {
    const state = {...first, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1)))};
    const chosen = labels.find(label => radio(label).value === state.scene);
    if (chosen) radio(chosen).checked = true;
    if ([...order.options].some(option => option.value === state.order)) order.value = state.order;
    seed.value = clamp(seed, state.seed);
    moveTo(state.x, state.y);
    sort();
    save();
  };

  for (const input of [order, seed]) {
    input.addEventListener("change", () => {
      if (input === seed) seed.value = clamp(seed, seed.value);
      const top = sort();
      radio(labels[top]).checked = true;
      save();
    });
  }
  for (const input of [x, y]) {
    input.addEventListener("change", () => {
      moveTo(x.value, y.value);
      save();
    });
  }
  rail.addEventListener("change", save);
  by("lt-move").addEventListener("keydown", event => {
    const step = event.shiftKey ? 8 : 1;
    const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    moveTo(Number(x.value) + step * way[0], Number(y.value) + step * way[1]);
    save();
  });
  document.querySelector(".lt-table").addEventListener("click", event => {
    const frame = event.target.closest(".lt-whole");
    if (!frame) return;
    const place = frame.getBoundingClientRect(), style = getComputedStyle(root);
    const side = Number(style.getPropertyValue("--s")) / 2;
    moveTo((event.clientX - place.left) / place.width * Number(style.getPropertyValue("--w")) - side,
           (event.clientY - place.top) / place.height * Number(style.getPropertyValue("--h")) - side);
    save();
  });
  window.addEventListener("hashchange", restore);

  // A canvas may be saved only where images share the page's origin, which files do not.
  const draw = async () => {
    const side = 256, gap = 12, below = 64;
    const scale = side / Number(getComputedStyle(root).getPropertyValue("--s"));
    const stands = [...document.querySelectorAll(".lt-stand")];
    const canvas = Object.assign(document.createElement("canvas"),
      {width: stands.length * (side + gap) + gap, height: side + below + gap});
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = false;
    for (const [place, stand] of stands.entries()) {
      const left = gap + place * (side + gap);
      const image = [...stand.querySelectorAll(".lt-crop img")].find(one => one.offsetParent);
      if (image) {
        await image.decode();
        const part = image.naturalWidth / Number(getComputedStyle(root).getPropertyValue("--w"));
        pen.drawImage(image, x.value * part, y.value * part, side / scale * part, side / scale * part,
                      left, gap, side, side);
      }
      pen.fillStyle = "#000";
      pen.font = "14px sans-serif";
      pen.fillText(stand.querySelector("h3").textContent.trim(), left, side + gap + 18, side);
      const facts = [...stand.querySelectorAll(".lt-facts dl div")].filter(one => one.offsetParent);
      pen.fillText(facts.map(one => [...one.children].map(part => part.textContent).join(" ")).join("  "),
                   left, side + gap + 36, side);
    }
    const about = `${document.title}; ${by("lt-now").innerText}; crop at ${x.value}, ${y.value}`;
    pen.fillText(`${about}; ${document.querySelector(".lt-foot .muted").textContent.split(".")[0]}`,
                 gap, side + gap + 56, canvas.width - 2 * gap);
    return new Promise(done => canvas.toBlob(done));
  };
  const button = by("lt-figure");
  button.hidden = !location.protocol.startsWith("http");
  button.addEventListener("click", async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await draw());
    link.download = "figure.png";
    link.click();
    by("lt-said").textContent = "Saved as figure.png.";
  });

  for (const hidden of document.querySelectorAll(".lt-scripted")) hidden.hidden = false;
  restore();
})();
